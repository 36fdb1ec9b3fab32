//go:build linux

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// cluster is what clients connect to: brokers in this process, or processes.
type cluster interface {
	NewClient(opts ...kgo.Opt) *kgo.Client
}

// newReader returns a client that reads until its context ends. That should be before it is closed: Close
// of franz-go 1.22 has it fetch once more, and sets fields beside that.
func newReader(ctx context.Context, c cluster, opts ...kgo.Opt) *kgo.Client {
	return c.NewClient(append(opts, kgo.WithContext(ctx), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))...)
}

// load is clients that go on whatever happens to the cluster.
type load struct {
	m       *model
	c       cluster
	topics  []*topic // that stay
	stop    context.CancelFunc
	still   context.CancelFunc // ends the writing
	writing sync.WaitGroup
	running sync.WaitGroup

	producers []*kgo.Client
	delivered sync.Map // place and offset → true, of the consumer group
}

// topic is one that stays; partitions are added to it.
type topic struct {
	name       string
	partitions atomic.Int32
}

// startLoad starts producers, readers, a consumer group, and groups that only commit.
func startLoad(ctx context.Context, m *model, c cluster, topics []*topic, seed uint64) *load {
	ctx, stop := context.WithCancel(ctx)
	writing, still := context.WithCancel(ctx)
	l := &load{m: m, c: c, topics: topics, stop: stop, still: still}
	random := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
	for i := range 3 {
		know := &known{}
		cl := c.NewClient(kgo.RecordPartitioner(kgo.BasicConsistentPartitioner(know.partitioner)), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(500),
			kgo.RecordRetries(1<<30), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MetadataMaxAge(time.Second))
		l.producers = append(l.producers, cl)
		l.writing.Go(func() { l.produce(writing, i, cl, know, random(uint64(i))) })
	}
	for i := range 2 {
		l.running.Go(func() { l.read(ctx, i, random(uint64(10+i))) })
		l.running.Go(func() { l.member(ctx) })
		l.running.Go(func() { l.commit(ctx, i) })
	}
	return l
}

// known is how many partitions a producer has heard of, by topic.
type known struct{ partitions sync.Map }

// partitioner leaves a record where it is to go.
func (k *known) partitioner(topic string) func(*kgo.Record, int) int {
	return func(r *kgo.Record, n int) int {
		k.partitions.Store(topic, int32(n))
		return int(r.Partition)
	}
}

func (k *known) of(topic string) int32 {
	n, ok := k.partitions.Load(topic)
	if !ok {
		return 1
	}
	return n.(int32)
}

// produce writes records of one producer, most of them small.
func (l *load) produce(ctx context.Context, producer int, cl *kgo.Client, know *known, rnd *rand.Rand) {
	for n := 0; pause(ctx, time.Duration(rnd.IntN(6))*time.Millisecond); n++ {
		t := l.topics[rnd.IntN(len(l.topics))]
		p := place{t.name, rnd.Int32N(know.of(t.name))}
		size := rnd.IntN(200)
		if n < 5000 && n%20 == 0 { // so that there are segments, but not too much to keep in memory
			size = rnd.IntN(60 << 10)
		}
		r := &kgo.Record{Topic: p.topic, Partition: p.partition, Value: l.m.next(producer, p, size)}
		cl.Produce(context.Background(), r, func(r *kgo.Record, err error) {
			if err != nil {
				l.m.t.Errorf("record %s: %v", name(r.Value), err)
				return
			}
			l.m.acknowledged(r)
		})
	}
}

// read reads all partitions from their start, one reader for ever, the other again and again.
func (l *load) read(ctx context.Context, reader int, rnd *rand.Rand) {
	for round := 0; ctx.Err() == nil; round++ {
		names := make([]string, len(l.topics))
		for i, t := range l.topics {
			names[i] = t.name
		}
		life, cancel := ctx, context.CancelFunc(func() {})
		if reader > 0 {
			life, cancel = context.WithTimeout(ctx, time.Duration(1+rnd.IntN(4000))*time.Millisecond)
		}
		cl := newReader(life, l.c, kgo.ConsumeTopics(names...), kgo.MetadataMaxAge(time.Second))
		for life.Err() == nil {
			l.m.read(fmt.Sprintf("reader %d.%d", reader, round), cl.PollFetches(life))
		}
		cancel()
		cl.Close()
	}
}

// member is one of a consumer group that reads the first topic.
func (l *load) member(ctx context.Context) {
	cl := l.c.NewClient(kgo.ConsumeTopics(l.topics[0].name), kgo.ConsumerGroup("members"), kgo.AutoCommitMarks(), kgo.AutoCommitInterval(200*time.Millisecond),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.MetadataMaxAge(time.Second), kgo.SessionTimeout(6*time.Second))
	defer cl.Close()
	for ctx.Err() == nil {
		cl.PollFetches(ctx).EachRecord(func(r *kgo.Record) {
			l.delivered.Store(fmt.Sprint(r.Topic, "/", r.Partition, "/", r.Offset), true)
			cl.MarkCommitRecords(r)
		})
	}
}

// undelivered is one acknowledged record of the first topic that the group did not get, or "".
func (l *load) undelivered() string {
	l.m.mu.Lock()
	defer l.m.mu.Unlock()
	for p, records := range l.m.acked {
		if p.topic != l.topics[0].name {
			continue
		}
		for offset := range records {
			key := fmt.Sprint(p.topic, "/", p.partition, "/", offset)
			if _, ok := l.delivered.Load(key); !ok {
				return key
			}
		}
	}
	return ""
}

// commit commits ever higher offsets for a group without members, and looks what is committed.
func (l *load) commit(ctx context.Context, i int) {
	cl := l.c.NewClient(kgo.RequestRetries(20))
	defer cl.Close()
	adm := kadm.NewClient(cl)
	o := &offsets{m: l.m, group: fmt.Sprint("commits-", i), sure: -1, tried: -1}
	t := l.topics[0].name
	for pause(ctx, 5*time.Millisecond) {
		o.tried++
		call, cancel := context.WithTimeout(ctx, 3*time.Second)
		var all kadm.Offsets
		all.AddOffset(t, 0, o.tried, -1)
		if r, err := adm.CommitOffsets(call, o.group, all); err == nil && r.Ok() {
			o.sure = o.tried
		}
		if got, err := adm.FetchOffsets(call, o.group); err == nil {
			if at, ok := got.Lookup(t, 0); ok && at.Err == nil {
				o.fetched(at.At)
			} else if !ok && o.sure >= 0 {
				o.fetched(-1)
			}
		}
		cancel()
	}
}

// stopProducing returns when no record comes any more.
func (l *load) stopProducing() {
	l.still()
	l.writing.Wait()
}

// flush returns when all that was produced is acknowledged.
func (l *load) flush(ctx context.Context) error {
	for _, cl := range l.producers {
		if err := cl.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// close ends all clients.
func (l *load) close() {
	l.stopProducing()
	l.stop()
	l.running.Wait()
	for _, cl := range l.producers {
		cl.Close()
	}
}
