package main

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// minBenchSize has room for a time.
const minBenchSize = 8 // bytes

type benchProduce struct {
	*bench
	produce produce // for its flags of acks and compression
	rate    float64
	linger  time.Duration
}

func newBenchProduce(a *app) *cobra.Command {
	b := &benchProduce{bench: newBenchOf(a, "produce", "acknowledged"), produce: produce{app: a, partition: -1}}
	c := &cobra.Command{
		Use:   "produce [TOPIC]",
		Short: "Measure how fast records are written, and how long until they are acknowledged",
		Long: `Write records of random letters as fast as they are taken, or --rate a second, to a topic that is made
for it, or to the one that is named, where they stay. The latency is from the moment a record is handed
over, so at full speed it is mostly waiting for those before it.`,
		Example: `  logctl bench produce
  logctl bench produce --records 2000 --size 1024 --partitions 12 --replication-factor 3
  logctl bench produce orders --records 5000 --rate 10000 --acks 1 --compression zstd -o json`,
		Args:              arguments(0, 1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, named []string) error {
			opts, err := b.produce.producerOptions()
			if err != nil {
				return err
			}
			if b.rate < 0 || b.linger < 0 {
				return usage("--rate and --linger must not be negative")
			}
			if err := b.validate(); err != nil {
				return err
			}
			opts = append(opts, kgo.ProducerLinger(b.linger))
			return b.withTopic(c.Context(), named, func(ctx context.Context) error {
				return b.run(ctx, opts)
			})
		},
	}
	f := c.Flags()
	f.Int64VarP(&b.records, "records", "n", 1_000_000, "how many records are written")
	f.IntVar(&b.size, "size", 100, "bytes of each record's value")
	f.Float64Var(&b.rate, "rate", 0, "records a second; 0 is as fast as they are taken")
	f.DurationVar(&b.linger, "linger", 0, "how long the client waits for a batch to fill")
	f.StringVar(&b.produce.compression, "compression", "none", "none, gzip, snappy, lz4 or zstd")
	f.StringVar(&b.produce.acks, "acks", "all", "who must have a record before it counts as written: all, 1 (the leader) or 0 (nobody)")
	b.topicFlags(c)
	return c
}

func (b *benchProduce) run(ctx context.Context, opts []kgo.Opt) error {
	cl, err := b.client(append(opts, kgo.DefaultProduceTopic(b.topic))...)
	if err != nil {
		return err
	}
	defer cl.Close()
	s := newSender(ctx, cl, b.topic, b.timeout)
	letters := payload(b.size + 1<<20)
	return b.measure(ctx, func(ctx context.Context) error {
		p := pace{rate: b.rate, begun: time.Now()}
		for i := range b.records {
			if p.wait(s.ctx) != nil {
				break
			}
			at := int(i*7919) % (1 << 20)
			s.sendTimed(&kgo.Record{Value: letters[at : at+b.size : at+b.size]}, func(took time.Duration) {
				b.timed["acknowledged"].add(took)
				b.done.Add(1)
				b.bytes.Add(int64(b.size))
			})
		}
		return s.finish()
	})
}

// stamp writes when a record was sent into its first bytes, for whoever reads it in this process.
func stamp(value []byte, at time.Duration) { binary.BigEndian.PutUint64(value, uint64(at)) }

func stamped(value []byte) time.Duration {
	if len(value) < minBenchSize {
		return 0
	}
	return time.Duration(binary.BigEndian.Uint64(value))
}
