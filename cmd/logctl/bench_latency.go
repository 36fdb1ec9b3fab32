package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

type benchLatency struct {
	*bench
	produce produce
	rate    float64
}

func newBenchLatency(a *app) *cobra.Command {
	b := &benchLatency{bench: newBenchOf(a, "latency", "acknowledged", "end to end"), produce: produce{app: a, partition: -1, compression: "none"}}
	c := &cobra.Command{
		Use:   "latency [TOPIC]",
		Short: "Measure how long a record takes to be acknowledged, and to arrive at a reader",
		Long: `Write records at a steady rate and read them in the same process, so that no two clocks are compared:
from the moment a record is handed over until it is acknowledged, and until a reader that waits has it.
The topic is one that is made for it, or the one that is named.`,
		Example: `  logctl bench latency --records 200
  logctl bench latency --records 1000 --rate 1000 --size 1024 --replication-factor 3 -o json`,
		Args:              arguments(0, 1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, named []string) error {
			opts, err := b.produce.producerOptions()
			if err != nil {
				return err
			}
			if b.produce.acks == "0" {
				return usage("--acks 0 is never acknowledged, so there is nothing to time; use all or 1")
			}
			if b.rate <= 0 {
				return usage("--rate must be more than 0")
			}
			if err := b.validate(); err != nil {
				return err
			}
			return b.withTopic(c.Context(), named, func(ctx context.Context) error {
				return b.run(ctx, opts)
			})
		},
	}
	f := c.Flags()
	f.Int64VarP(&b.records, "records", "n", 1000, "how many records are written")
	f.IntVar(&b.size, "size", 100, "bytes of each record's value")
	f.Float64Var(&b.rate, "rate", 100, "records a second")
	f.StringVar(&b.produce.acks, "acks", "all", "who must have a record before it counts as written: all or 1 (the leader)")
	b.topicFlags(c)
	return c
}

func (b *benchLatency) run(ctx context.Context, opts []kgo.Opt) error {
	cl, err := b.client(append(opts, kgo.ProducerLinger(0), kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	from := &consume{app: b.app, from: "end", follow: true}
	plan, err := from.plan(ctx, b.admin(cl), []string{b.topic})
	if err != nil {
		return err
	}
	cl.AddConsumePartitions(plan.starts)
	return b.measure(ctx, func(ctx context.Context) error {
		reading, cancel := context.WithCancel(ctx)
		defer cancel()
		var reader sync.WaitGroup
		arrived := make(chan struct{})
		reader.Go(func() { b.read(reading, cl, arrived) })
		err := b.write(ctx, cl)
		if err == nil {
			select { // what was acknowledged arrives, unless something is wrong
			case <-arrived:
			case <-ctx.Done():
			case <-time.After(b.timeout):
				err = unreachable("%d of %d records were not read within %v of being written; see logctl cluster health", b.records-b.done.Load(), b.records, b.timeout)
			}
		}
		cancel()
		reader.Wait()
		return err
	})
}

func (b *benchLatency) write(ctx context.Context, cl *kgo.Client) error {
	s := newSender(ctx, cl, b.topic, b.timeout)
	letters := payload(b.size)
	p := pace{rate: b.rate, begun: time.Now()}
	for range b.records {
		if p.wait(s.ctx) != nil {
			break
		}
		value := append([]byte(nil), letters...)
		stamp(value, time.Since(b.begun))
		s.sendTimed(&kgo.Record{Value: value}, b.timed["acknowledged"].add)
	}
	return s.finish()
}

// read times the arrival of every record, and closes arrived after the last.
func (b *benchLatency) read(ctx context.Context, cl *kgo.Client, arrived chan<- struct{}) {
	for b.done.Load() < b.records {
		fetches := cl.PollFetches(ctx)
		if errors.Is(fetches.Err0(), context.Canceled) {
			return
		}
		now := time.Since(b.begun)
		fetches.EachRecord(func(r *kgo.Record) {
			b.timed["end to end"].add(now - stamped(r.Value))
			b.done.Add(1)
			b.bytes.Add(int64(len(r.Value)))
		})
	}
	close(arrived)
}
