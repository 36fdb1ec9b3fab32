//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/test/internal/nodes"
)

// recordSize is of every record, in bytes; they do not compress.
const recordSize = 1024

// measure writes the megabytes, all producers together, or has every consumer read them.
func (p point) measure(ctx context.Context, c *nodes.Cluster) (s sample, err error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...))
	if err != nil {
		return s, err
	}
	defer cl.Close()
	adm, topic := kadm.NewClient(cl), fmt.Sprint("growth-", time.Now().UnixNano())
	if _, err := adm.CreateTopic(ctx, int32(p.partitions), int16(len(c.Addrs)), nil, topic); err != nil {
		return s, err
	}
	defer func() {
		_, failed := adm.DeleteTopics(ctx, topic)
		err = errors.Join(err, failed)
	}()
	if err := awaitLed(ctx, adm, topic, p.partitions); err != nil {
		return s, err
	}
	w := &work{point: p, cluster: c, topic: topic}
	records := p.mb * 1e6 / recordSize / p.producers
	gb := float64(records*p.producers*recordSize) / 1e9
	begin, used := time.Now(), c.Used()
	if err := together(p.producers, func() error { return w.produce(ctx, records) }); err != nil {
		return s, err
	}
	if p.consumers > 0 {
		rounds := max(1, 10/p.consumers) // a short time says little: processor time comes in hundredths of a second
		gb *= float64(p.consumers * rounds)
		begin, used = time.Now(), c.Used()
		if err := together(p.consumers, func() error { return w.consume(ctx, records, rounds) }); err != nil {
			return s, err
		}
	}
	return sample{(c.Used() - used).Seconds() / gb, gb * 1000 / time.Since(begin).Seconds(), c.Anonymous(),
		float64(w.bytes.Load()) / 1024 / float64(max(1, w.batches.Load()))}, nil
}

func awaitLed(ctx context.Context, adm *kadm.Client, topic string, partitions int) error {
	for {
		m, err := adm.ListTopics(ctx, topic)
		if err != nil {
			return err
		}
		led := 0
		for _, p := range m[topic].Partitions {
			if p.Err == nil && p.Leader >= 0 && len(p.ISR) == len(p.Replicas) {
				led++
			}
		}
		if led == partitions {
			return nil
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// together runs so many at a time and returns when all have ended.
func together(n int, do func() error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = do() })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// work is one topic and the batches that were written to it. It is a hook of its producers.
type work struct {
	point
	cluster        *nodes.Cluster
	topic          string
	batches, bytes atomic.Int64
}

// OnProduceBatchWritten counts.
func (w *work) OnProduceBatchWritten(_ kgo.BrokerMetadata, _ string, _ int32, m kgo.ProduceBatchMetrics) {
	w.batches.Add(1)
	w.bytes.Add(int64(m.CompressedBytes))
}

func (w *work) produce(ctx context.Context, records int) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Addrs...), kgo.DefaultProduceTopic(w.topic), kgo.WithHooks(w),
		kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchMaxBytes(int32(w.batch)<<10), kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(64<<20/w.producers),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	if err != nil {
		return err
	}
	defer cl.Close()
	value := make([]byte, recordSize)
	for i := range value {
		value[i] = byte(rand.Uint32())
	}
	var failed atomic.Value
	for range records {
		cl.Produce(ctx, &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, err)
			}
		})
	}
	if err := cl.Flush(ctx); err != nil {
		return err
	}
	if err, ok := failed.Load().(error); ok {
		return err
	}
	return nil
}

// consume reads the topic so many times. What it does with the records is left out: what counts is the
// brokers' time.
func (w *work) consume(ctx context.Context, records, rounds int) error {
	for range rounds {
		cl, err := kgo.NewClient(kgo.SeedBrokers(w.cluster.Addrs...), kgo.ConsumeTopics(w.topic),
			kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxBytes(8<<20), kgo.FetchMaxPartitionBytes(1<<20))
		if err != nil {
			return err
		}
		for n := 0; n < records; {
			f := cl.PollFetches(ctx)
			if err := f.Err(); err != nil {
				cl.Close()
				return err
			}
			n += f.NumRecords()
		}
		cl.Close()
	}
	return nil
}
