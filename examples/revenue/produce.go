package main

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const pace = 20 * time.Millisecond // between two handfuls of orders

// produce sends the orders evenly over the given time.
func (s *session) produce(ctx context.Context, orders []order, length time.Duration) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.bootstrap), kgo.DefaultProduceTopic(s.topic))
	if err != nil {
		return err
	}
	defer client.Close()
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	start, sent := time.Now(), 0
	for sent < len(orders) {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		due := min(len(orders), int(float64(len(orders))*float64(time.Since(start))/float64(length)))
		for ; sent < due; sent++ {
			s.send(ctx, client, orders[sent])
		}
	}
	return client.Flush(ctx)
}

func (s *session) send(ctx context.Context, client *kgo.Client, o order) {
	record := &kgo.Record{
		Key:     o.key,
		Value:   o.line,
		Headers: []kgo.RecordHeader{{Key: "country", Value: []byte(o.country)}},
	}
	client.Produce(ctx, record, func(_ *kgo.Record, err error) {
		if err != nil {
			s.fail(err)
			return
		}
		s.ledger.acknowledged()
	})
}
