//go:build linux

package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// produceEvents writes by one idempotent producer after the other, each with the next codec.
func (l *load) produceEvents(ctx context.Context, writer int, codecs []kgo.CompressionCodec) {
	next := [6]uint64{}
	for round := writer; ctx.Err() == nil; round++ {
		cl := l.client(kgo.DefaultProduceTopic(events), kgo.ProducerBatchCompression(codecs[round%len(codecs)]), kgo.ProducerLinger(20*time.Millisecond))
		life, cancel := life(ctx, 40*time.Second)
		for l.pauseFor(life, 100*time.Millisecond) {
			p := rand.Int32N(6)
			for range 1 + rand.IntN(20) {
				next[p]++
				number := next[p]
				cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: p, Value: value(uint32(writer), number, rand.IntN(2000))}, func(r *kgo.Record, err error) {
					if err != nil {
						l.find(fmt.Errorf("writer %d: %w", writer, err))
						return
					}
					l.acknowledged.Add(1)
					l.events.acknowledged(uint32(writer), p, number)
				})
			}
		}
		cancel()
		if err := cl.Flush(context.WithoutCancel(ctx)); err != nil {
			l.find(fmt.Errorf("writer %d: %w", writer, err))
		}
		cl.Close()
	}
}

// transact writes transactions, every fifth of which is aborted.
func (l *load) transact(ctx context.Context, writer int, codecs []kgo.CompressionCodec) {
	next := [3]uint64{}
	for round := writer; ctx.Err() == nil; round++ {
		// Some transactional ids are used again and some are not, so that these have to expire.
		id := fmt.Sprint("teller-", writer)
		if round%2 == 1 {
			id = fmt.Sprint(id, "-", round)
		}
		cl := l.client(kgo.DefaultProduceTopic(ledger), kgo.TransactionalID(id), kgo.ProducerBatchCompression(codecs[round%len(codecs)]))
		life, cancel := life(ctx, 30*time.Second)
		for l.pauseFor(life, 500*time.Millisecond) {
			if err := l.transaction(context.WithoutCancel(ctx), cl, writer, &next); err != nil {
				l.find(fmt.Errorf("%s: %w", id, err))
				break
			}
		}
		cancel()
		cl.Close()
	}
}

func (l *load) transaction(ctx context.Context, cl *kgo.Client, writer int, next *[3]uint64) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := cl.BeginTransaction(); err != nil {
		return err
	}
	abort := rand.IntN(5) == 0
	ahead := *next
	var records []*kgo.Record
	for range 1 + rand.IntN(30) {
		p := rand.Int32N(3)
		var number uint64
		if !abort {
			ahead[p]++
			number = ahead[p]
		}
		records = append(records, &kgo.Record{Partition: p, Value: value(uint32(writer), number, rand.IntN(1000))})
	}
	if err := cl.ProduceSync(ctx, records...).FirstErr(); err != nil {
		return err
	}
	if err := cl.EndTransaction(ctx, kgo.TransactionEndTry(!abort)); err != nil {
		return err
	}
	if abort {
		l.aborted.Add(1)
		return nil
	}
	l.committed.Add(1)
	l.acknowledged.Add(int64(len(records)))
	*next = ahead
	for p, n := range next {
		l.ledger.acknowledged(uint32(writer), int32(p), n)
	}
	return nil
}

// probe writes single records at a fixed rate, and counts from when each was due.
func (l *load) probe(ctx context.Context) {
	cl := l.client(kgo.DefaultProduceTopic(events), kgo.ProducerLinger(0), kgo.ProducerBatchCompression(kgo.NoCompression()))
	defer cl.Close()
	const writer = 100
	var next uint64
	pace := time.Duration(float64(50*time.Millisecond) / l.rate)
	due := time.Now()
	for pause(ctx, time.Until(due)) {
		next++
		number, due2 := next, due
		p := int32(number % 6)
		cl.Produce(context.WithoutCancel(ctx), &kgo.Record{Partition: p, Value: value(writer, (number-1)/6+1, 500)}, func(_ *kgo.Record, err error) {
			if err != nil {
				l.find(fmt.Errorf("probe: %w", err))
				return
			}
			l.probes.add(time.Since(due2))
			l.acknowledged.Add(1)
			l.events.acknowledged(writer, p, (number-1)/6+1)
		})
		due = due.Add(pace)
	}
	if err := cl.Flush(context.WithoutCancel(ctx)); err != nil {
		l.find(fmt.Errorf("probe: %w", err))
	}
}

// probes is how long the latest ones took, in milliseconds.
type probes struct {
	mu   sync.Mutex
	took []float64
}

func (p *probes) add(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = append(p.took, float64(d)/1e6)
}

// take returns those since the last call.
func (p *probes) take() []float64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	took := p.took
	p.took = nil
	return took
}
