package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

type benchConsume struct{ *bench }

func newBenchConsume(a *app) *cobra.Command {
	b := &benchConsume{newBenchOf(a, "consume", "fetch")}
	b.size, b.partitions, b.replication = minBenchSize, 1, -1
	c := &cobra.Command{
		Use:   "consume TOPIC",
		Short: "Measure how fast records are read",
		Long: `Read a topic from its start, all of it or --records, as fast as records come, in no group. The latency
is that of fetch requests: a broker may wait half a second in one where it has nothing.`,
		Example: `  logctl bench consume orders
  logctl bench consume orders --records 1000 -o json`,
		Args:              arguments(1, 1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, named []string) error {
			if err := b.validate(); err != nil {
				return err
			}
			return b.withTopic(c.Context(), named, b.run)
		},
	}
	c.Flags().Int64VarP(&b.records, "records", "n", 1<<62, "stop after this many (default all)")
	c.Flags().Lookup("records").DefValue = "0"
	return c
}

// BrokerE2E is the client's hook: it is told how long each request took.
func (b *benchConsume) OnBrokerE2E(_ kgo.BrokerMetadata, key int16, e2e kgo.BrokerE2E) {
	if key == int16(kmsg.Fetch) && e2e.Err() == nil {
		b.timed["fetch"].add(e2e.DurationE2E())
	}
}

func (b *benchConsume) run(ctx context.Context) error {
	s := &consume{app: b.app, from: "start"}
	cl, err := b.client(kgo.WithHooks(b), kgo.KeepControlRecords(), kgo.FetchMaxWait(500*time.Millisecond))
	if err != nil {
		return err
	}
	defer cl.Close()
	plan, err := s.plan(ctx, b.admin(cl), []string{b.topic})
	if err != nil {
		return err
	}
	if plan.finished() {
		return refused("topic %s is empty, so there is nothing to read", b.topic)
	}
	b.records = min(b.records, plan.total())
	cl.AddConsumePartitions(plan.starts)
	return b.measure(ctx, func(ctx context.Context) error {
		for !plan.finished() && b.done.Load() < b.records {
			fetches := s.poll(ctx, cl)
			if err := fetchError(fetches); err != nil {
				return s.explainEnd(ctx, cl, err)
			}
			fetches.EachRecord(func(r *kgo.Record) {
				if plan.wants(r) && !r.Attrs.IsControl() {
					b.done.Add(1)
					b.bytes.Add(int64(len(r.Key) + len(r.Value)))
				}
			})
		}
		return nil
	})
}
