package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/HdrHistogram/hdrhistogram-go"
	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newBench(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:   "bench",
		Short: "Measure what a cluster can do",
		Long: `Measure how fast records are written and read, and how long they take. On a terminal the figures so
far are shown meanwhile; at the end there are rates and percentiles. Ctrl-C ends the measurement early
and shows what was measured until then.

Topics that a measurement makes for itself are called logctl-bench-… and deleted at its end; should
one be left behind, because logctl was killed: logctl topic delete 'logctl-bench-*'.`,
		Example: "  logctl bench produce\n  logctl bench latency --rate 500",
	}
	return group(c, newBenchProduce(a), newBenchConsume(a), newBenchLatency(a))
}

// benchResult is the JSON of "bench …".
type benchResult struct {
	Bench            string                   `json:"bench"` // produce, consume, latency
	Topic            string                   `json:"topic"`
	Records          int64                    `json:"records"`
	Bytes            int64                    `json:"bytes"` // of keys and values
	Seconds          float64                  `json:"seconds"`
	RecordsPerSecond float64                  `json:"records_per_second"`
	BytesPerSecond   float64                  `json:"bytes_per_second"`
	Latencies        map[string]latencyResult `json:"latencies_ms"` // by what was timed
	Interrupted      bool                     `json:"interrupted"`
}

// latencyResult is percentiles, in milliseconds.
type latencyResult struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean"`
	P50   float64 `json:"p50"`
	P90   float64 `json:"p90"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p99.9"`
	Max   float64 `json:"max"`
}

// latencies gathers durations from several goroutines, from a microsecond to an hour, to three
// digits.
type latencies struct {
	mu sync.Mutex
	h  *hdrhistogram.Histogram
}

func newLatencies() *latencies {
	return &latencies{h: hdrhistogram.New(1, time.Hour.Microseconds(), 3)}
}

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.h.RecordValue(min(max(1, d.Microseconds()), time.Hour.Microseconds())) // within the bounds
}

func (l *latencies) result() latencyResult {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := func(q float64) float64 { return float64(l.h.ValueAtQuantile(q)) / 1000 }
	return latencyResult{
		Count: l.h.TotalCount(), Mean: l.h.Mean() / 1000,
		P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: float64(l.h.Max()) / 1000,
	}
}

func (l *latencies) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	return time.Duration(l.h.ValueAtQuantile(99)) * time.Microsecond
}

// bench is what the measurements share.
type bench struct {
	*app
	name        string // of the measurement
	records     int64
	size        int
	partitions  int32
	replication int16

	topic   string
	begun   time.Time
	done    atomic.Int64 // records
	bytes   atomic.Int64
	timed   map[string]*latencies
	order   []string // of timed, for people
	display string   // whose percentile is shown meanwhile
}

func newBenchOf(a *app, name string, timed ...string) *bench {
	b := &bench{app: a, name: name, timed: map[string]*latencies{}, order: timed, display: timed[len(timed)-1]}
	for _, t := range timed {
		b.timed[t] = newLatencies()
	}
	return b
}

// topicFlags are for measurements that make a topic where none is named.
func (b *bench) topicFlags(c *cobra.Command) {
	c.Flags().Int32Var(&b.partitions, "partitions", 6, "how many partitions the topic gets, where one is made")
	c.Flags().Int16Var(&b.replication, "replication-factor", -1, "how many replicas each partition gets, where a topic is made (default the broker's)")
}

// validate checks what all measurements have.
func (b *bench) validate() error {
	switch {
	case b.records < 1:
		return usage("--records must be 1 or more")
	case b.size < minBenchSize || b.size > largestMaxBatch/2:
		return usage("--size must be from %d to %d bytes", minBenchSize, largestMaxBatch/2)
	case b.partitions < 1:
		return usage("--partitions must be 1 or more")
	case b.replication == 0 || b.replication < -1:
		return usage("--replication-factor must be 1 or more")
	}
	return nil
}

// withTopic runs do with the topic that is named, or with one that is deleted afterwards.
func (b *bench) withTopic(ctx context.Context, named []string, do func(context.Context) error) error {
	return b.withClient(ctx, func(ctx context.Context, cl *kgo.Client) error {
		adm := b.admin(cl)
		if len(named) > 0 {
			b.topic = named[0]
			if isPattern(b.topic) {
				return usage("bench takes one topic's name, not the pattern %q", b.topic)
			}
			if _, err := b.topics(ctx, adm, named, true); err != nil {
				return err
			}
			return do(ctx)
		}
		b.topic = fmt.Sprintf("logctl-bench-%08x", rand.Uint32())
		answer, err := adm.CreateTopic(ctx, b.partitions, b.replication, nil, b.topic)
		if err != nil {
			return refused("a topic to measure with cannot be created: %s", reason(err, answer.ErrMessage))
		}
		defer func() {
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), b.timeout)
			defer cancel()
			if _, failed := adm.DeleteTopic(limited, b.topic); failed != nil {
				b.note("Topic %s could not be deleted: %s", b.topic, b.explain(failed, "").message)
				return
			}
			everywhere(limited, cl, []string{b.topic}, gone)
		}()
		b.appear(ctx, cl, []string{b.topic})
		return do(ctx)
	})
}

// measure runs work, shows the figures meanwhile, and prints them at the end. Where ctx ends first,
// what was measured until then is shown, and the status is that of an interruption.
func (b *bench) measure(ctx context.Context, work func(context.Context) error) error {
	progress := b.progress()
	watching, stop := context.WithCancel(ctx)
	var shown sync.WaitGroup
	b.begun = b.now()
	shown.Go(func() {
		tick := time.NewTicker(benchStep)
		defer tick.Stop()
		for last := int64(0); ; {
			select {
			case <-watching.Done():
				return
			case <-tick.C:
				done := b.done.Load()
				progress.Set(done, b.records, b.soFar(done-last))
				last = done
			}
		}
	})
	err := work(ctx)
	took := b.now().Sub(b.begun)
	stop()
	shown.Wait()
	progress.Done()
	if err != nil && ctx.Err() == nil {
		return err
	}
	if b.done.Load() > 0 {
		if printed := b.report(took, ctx.Err() != nil); printed != nil {
			return printed
		}
	}
	return ctx.Err()
}

// benchStep is how often the figures so far are drawn.
const benchStep = 500 * time.Millisecond

// soFar is a line about the last step, short enough to leave room for the bar and a ^C.
func (b *bench) soFar(records int64) string {
	return fmt.Sprintf("%s/s, p99 %v ", render.Plural(int64(float64(records)/benchStep.Seconds()), "record"),
		b.timed[b.display].p99().Round(100*time.Microsecond))
}

func (b *bench) report(took time.Duration, interrupted bool) error {
	r := benchResult{
		Bench: b.name, Topic: b.topic, Records: b.done.Load(), Bytes: b.bytes.Load(), Seconds: took.Seconds(),
		Latencies: map[string]latencyResult{}, Interrupted: interrupted,
	}
	r.RecordsPerSecond, r.BytesPerSecond = float64(r.Records)/took.Seconds(), float64(r.Bytes)/took.Seconds()
	table := render.NewTable("LATENCY (ms)", "COUNT>", "MEAN>", "P50>", "P90>", "P99>", "P99.9>", "MAX>")
	for _, name := range b.order {
		l := b.timed[name].result()
		r.Latencies[strings.ReplaceAll(name, " ", "_")] = l
		table.Row(name, render.Count(l.Count), milli(l.Mean), milli(l.P50), milli(l.P90), milli(l.P99), milli(l.P999), milli(l.Max))
	}
	return b.print(r, render.Fields{
		{Name: "records", Value: render.Count(r.Records)},
		{Name: "seconds", Value: fmt.Sprintf("%.2f", r.Seconds)},
		{Name: "records/s", Value: render.Count(int64(r.RecordsPerSecond))},
		{Name: "bytes/s", Value: render.Bytes(int64(r.BytesPerSecond))},
	}, table)
}

func milli(v float64) string { return fmt.Sprintf("%.2f", v) }

// payload makes values that compress as badly as random letters do.
func payload(size int) []byte {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	out := make([]byte, size)
	for i := range out {
		out[i] = letters[rand.IntN(len(letters))]
	}
	return out
}

// pace lets n records pass in n/rate seconds; 0 lets all pass at once.
type pace struct {
	rate  float64
	begun time.Time
	sent  int64
}

func (p *pace) wait(ctx context.Context) error {
	p.sent++
	if p.rate <= 0 {
		return ctx.Err()
	}
	due := time.Until(p.begun.Add(time.Duration(float64(p.sent) / p.rate * float64(time.Second))))
	if due <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(due)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// client makes a client for a measurement.
func (b *bench) client(opts ...kgo.Opt) (*kgo.Client, error) {
	cl, err := kgo.NewClient(b.options(opts...)...)
	if err != nil {
		return nil, usage("%v", err)
	}
	return cl, nil
}
