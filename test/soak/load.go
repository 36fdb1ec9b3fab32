//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/test/internal/nodes"
)

// The topics that are there all the time.
const (
	events  = "events"  // idempotent producers, a consumer group; old segments are deleted
	ledger  = "ledger"  // transactions, readers of what was committed; old segments are deleted
	current = "current" // the last value of each key; compacted
)

var topics = []struct {
	name       string
	partitions int32
	config     map[string]string
}{
	{events, 6, map[string]string{"segment.bytes": "2097152", "retention.ms": "60000", "retention.bytes": "16777216", "segment.ms": "30000"}},
	{ledger, 3, map[string]string{"segment.bytes": "1048576", "retention.ms": "60000", "retention.bytes": "16777216", "segment.ms": "30000"}},
	{current, 3, map[string]string{"cleanup.policy": "compact", "segment.bytes": "1048576", "segment.ms": "20000", "min.cleanable.dirty.ratio": "0.3", "delete.retention.ms": "20000"}},
}

// load is all clients, and what they know of what must be there.
type load struct {
	cluster *nodes.Cluster
	rate    float64
	adm     *kadm.Client

	writers sync.WaitGroup
	readers sync.WaitGroup
	stop    context.CancelFunc // of readers

	events  *book
	ledger  *book
	current *latest
	probes  probes

	acknowledged, committed, aborted, rebalances, topics, connections, passes atomic.Int64

	mu       sync.Mutex
	findings []error
}

// patience is how long anything that a client does may take; no fault is injected.
const patience = time.Minute

func newLoad(ctx context.Context, c *nodes.Cluster, rate float64) (*load, error) {
	l := &load{cluster: c, rate: rate}
	l.events, l.ledger, l.current = newBook(l, events), newBook(l, ledger), newLatest(l)
	record, err := os.Create(filepath.Join(c.Dir, "log-admin"))
	if err != nil {
		return nil, err
	}
	// What this one client does is rare enough to be written down.
	cl, err := kgo.NewClient(kgo.SeedBrokers(c.Addrs...), kgo.WithLogger(kgo.BasicLogger(record, kgo.LogLevelDebug, func() string { return time.Now().Format("15:04:05.000 ") })))
	if err != nil {
		return nil, err
	}
	l.adm = kadm.NewClient(cl)
	for _, t := range topics {
		config := map[string]*string{}
		for k, v := range t.config {
			config[k] = kadm.StringPtr(v)
		}
		if _, err := l.adm.CreateTopic(ctx, t.partitions, 3, config, t.name); err != nil {
			return nil, fmt.Errorf("%s: %w", t.name, err)
		}
	}
	return l, nil
}

func (l *load) start(ctx context.Context) {
	reading, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	codecs := []kgo.CompressionCodec{kgo.NoCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(), kgo.SnappyCompression(), kgo.GzipCompression()}
	for i := range 3 {
		l.writers.Go(func() { l.produceEvents(ctx, i, codecs) })
	}
	for i := range 2 {
		l.writers.Go(func() { l.transact(ctx, i, codecs) })
	}
	l.writers.Go(func() { l.update(ctx) })
	l.writers.Go(func() { l.probe(ctx) })
	l.writers.Go(func() { l.topicsComeAndGo(ctx) })
	l.writers.Go(func() { l.connectionsComeAndGo(ctx) })
	for i := range 3 {
		l.readers.Go(func() { l.member(reading, i) })
	}
	l.readers.Go(func() { l.readLedger(reading) })
	l.readers.Go(func() { l.readLedgerAnew(reading) })
	l.readers.Go(func() { l.readCurrent(reading) })
}

// finish waits until all that was acknowledged has been read, and returns all that was wrong.
func (l *load) finish(ctx context.Context) []error {
	l.writers.Wait()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for !l.events.whole() || !l.ledger.whole() {
		if !pause(ctx, 100*time.Millisecond) {
			l.find(errors.New("not read in the end: " + l.events.missing() + l.ledger.missing()))
			break
		}
	}
	l.stop()
	l.readers.Wait()
	l.current.last(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.findings
}

func (l *load) close() {
	if l.stop != nil {
		l.stop()
	}
	l.adm.Close()
}

// find notes what must not be; the first few are enough.
func (l *load) find(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.findings) < 20 {
		slog.Error("found", "err", err)
		l.findings = append(l.findings, err)
	}
}

func (l *load) found() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.findings)
}

func (l *load) report(w io.Writer) {
	fmt.Fprintf(w, "%d records acknowledged, %d transactions committed and %d aborted, %d members of the group replaced, %d topics created and deleted,\n"+
		"%d connections opened and closed, %d times the compacted topic read whole; %d findings\n\n",
		l.acknowledged.Load(), l.committed.Load(), l.aborted.Load(), l.rebalances.Load(), l.topics.Load(), l.connections.Load(), l.passes.Load(), l.found())
}

// client makes a client, which does not wait for ever.
func (l *load) client(opts ...kgo.Opt) *kgo.Client {
	cl, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(l.cluster.Addrs...), kgo.RecordDeliveryTimeout(patience), kgo.MetadataMinAge(100 * time.Millisecond),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.FetchMaxWait(time.Second)}, opts...)...)
	if err != nil {
		panic(err) // options that do not go together
	}
	l.connections.Add(1)
	return cl
}

// pauseFor waits for about so long at rate 1, and reports whether to go on.
func (l *load) pauseFor(ctx context.Context, d time.Duration) bool {
	return pause(ctx, time.Duration(float64(d)*(0.5+rand.Float64())/l.rate))
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// life ends with ctx, or after about so long.
func life(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, time.Duration(float64(d)*(0.5+rand.Float64())))
}
