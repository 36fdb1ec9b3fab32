//go:build linux

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/log"
	"quorumlog/record"
)

// keys writes to a compacted topic and remembers all that it has written. Each key is one writer's, which
// numbers its records; so what a key's last record is, is never in doubt.
type keys struct {
	t *testing.T
	c cluster
	*topic

	mu    sync.Mutex
	acked map[place]map[int64]version // by offset
	sent  map[string]int              // by key: how many

	writers []*kgo.Client
	writing sync.WaitGroup
	reading sync.WaitGroup
	still   context.CancelFunc // ends the writing
	stop    context.CancelFunc // ends the reading
}

// version is one record of a key.
type version struct {
	key    string
	number int
	gone   bool // a tombstone
}

const (
	keysPartitions = 2
	keysWriters    = 2
	keysEach       = 40 // keys of a writer in a partition
)

// startKeys makes a topic that is compacted all the time, and writes to it.
func startKeys(ctx context.Context, t *testing.T, c cluster, adm *kadm.Client, seed uint64) *keys {
	t.Helper()
	set := func(s string) *string { return &s }
	// Segments are short, and what is in them is compacted at once; tombstones go soon.
	_, err := adm.CreateTopic(ctx, keysPartitions, 3, map[string]*string{
		"cleanup.policy": set("compact"), "segment.ms": set("300"), "min.cleanable.dirty.ratio": set("0.01"), "delete.retention.ms": set("500"),
	}, "keys")
	if err != nil {
		t.Fatal(err)
	}
	k := &keys{t: t, c: c, topic: &topic{name: "keys"}, acked: map[place]map[int64]version{}, sent: map[string]int{}}
	k.partitions.Store(keysPartitions)
	reading, stop := context.WithCancel(ctx)
	writing, still := context.WithCancel(ctx)
	k.stop, k.still = stop, still
	for i := range keysWriters {
		cl := c.NewClient(kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerLinger(0), kgo.MaxBufferedRecords(500), kgo.RecordRetries(1<<30))
		k.writers = append(k.writers, cl)
		k.writing.Go(func() { k.write(writing, i, cl, rand.New(rand.NewPCG(seed, uint64(200+i)))) })
	}
	k.reading.Go(func() {
		for reading.Err() == nil {
			k.read(reading)
		}
	})
	return k
}

// write writes records of one writer, one in six of which deletes its key. Some keys are written once only.
func (k *keys) write(ctx context.Context, writer int, cl *kgo.Client, rnd *rand.Rand) {
	for n := 0; pause(ctx, time.Duration(rnd.IntN(6))*time.Millisecond); n++ {
		partition := rnd.Int32N(keysPartitions)
		key := fmt.Sprintf("%d-%d-%d", writer, partition, rnd.IntN(keysEach))
		if n%10 == 0 {
			key = fmt.Sprintf("%d-%d-once-%d", writer, partition, n)
		}
		k.mu.Lock()
		v := version{key, k.sent[key], rnd.IntN(6) == 0}
		k.sent[key]++
		k.mu.Unlock()
		cl.Produce(context.Background(), v.record(partition, rnd.IntN(300)), func(r *kgo.Record, err error) {
			if err != nil {
				k.t.Errorf("record %d of key %s: %v", v.number, v.key, err)
				return
			}
			k.acknowledged(place{r.Topic, r.Partition}, r.Offset, v)
		})
	}
}

// record is the version as it is written; the number of a tombstone is in a header.
func (v version) record(partition int32, padding int) *kgo.Record {
	r := &kgo.Record{Topic: "keys", Partition: partition, Key: []byte(v.key), Headers: []kgo.RecordHeader{{Key: "number", Value: []byte(strconv.Itoa(v.number))}}}
	if !v.gone {
		r.Value = []byte(strings.Repeat("v", padding))
	}
	return r
}

func (k *keys) acknowledged(p place, offset int64, v version) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.acked[p] == nil {
		k.acked[p] = map[int64]version{}
	}
	if before, ok := k.acked[p][offset]; ok {
		k.t.Errorf("%v: offset %d was acknowledged for %v and for %v", p, offset, before, v)
	}
	k.acked[p][offset] = v
}

// latest is each key's last record in a partition, of those that are acknowledged.
func (k *keys) latest(p place) map[string]version {
	k.mu.Lock()
	defer k.mu.Unlock()
	last := map[string]version{}
	for _, v := range k.acked[p] {
		if had, ok := last[v.key]; !ok || v.number > had.number {
			last[v.key] = v
		}
	}
	return last
}

// unchanged reports whether nothing newer of the key was ever sent.
func (k *keys) unchanged(v version) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sent[v.key] == v.number+1
}

// read reads the topic from its start to where it ended when that began: whatever was the last of its key
// then must be there, unless a newer one is.
func (k *keys) read(ctx context.Context) {
	before := map[place]map[string]version{}
	for p := range int32(keysPartitions) {
		before[place{k.name, p}] = k.latest(place{k.name, p})
	}
	life, cancel := context.WithCancel(ctx)
	cl := newReader(life, k.c, kgo.ConsumeTopics(k.name))
	defer cl.Close()
	defer cancel()
	ends, err := endsOf(ctx, kadm.NewClient(cl), k.name)
	if err != nil {
		return
	}
	seen := map[place]*view{}
	for p := range ends {
		seen[p] = newView(k, p)
	}
	for unfinished(ends, seen) {
		f := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		f.EachPartition(func(x kgo.FetchTopicPartition) {
			s := seen[place{x.Topic, x.Partition}]
			for _, r := range x.Records {
				s.add(r.Offset, r.Key, r.Headers[0].Value, r.Value == nil)
			}
		})
	}
	for p, last := range before {
		for key, v := range last {
			if got, ok := seen[p].last[key]; !v.gone && k.unchanged(v) && (!ok || got != v) {
				k.t.Errorf("%v: a reader from the start got %v, %v, of what is the last record of its key: %v", p, got, ok, v)
			}
		}
	}
}

// unfinished reports whether the last record before an end is yet to come; it is never compacted away
// without a newer one, which lies behind the end, or being a tombstone, after which newer ones come as long
// as there is writing.
func unfinished(ends map[place]int64, seen map[place]*view) bool {
	for p, end := range ends {
		if seen[p].next < end {
			return true
		}
	}
	return false
}

// view is what a reader, or a replica's files, hold of a partition.
type view struct {
	k     *keys
	place place
	next  int64
	count int
	last  map[string]version
}

func newView(k *keys, p place) *view { return &view{k: k, place: p, last: map[string]version{}} }

// add takes in a record, and compares it with what was acknowledged at its offset.
func (s *view) add(offset int64, key, number []byte, gone bool) {
	n, err := strconv.Atoi(string(number))
	if err != nil {
		s.k.t.Errorf("%v: offset %d has number %q", s.place, offset, number)
	}
	v := version{string(key), n, gone}
	s.k.mu.Lock()
	want, known := s.k.acked[s.place][offset]
	s.k.mu.Unlock()
	if known && want != v {
		s.k.t.Errorf("%v: offset %d holds %v, %v was acknowledged there", s.place, offset, v, want)
	}
	if had, ok := s.last[v.key]; offset < s.next || ok && had.number >= n {
		s.k.t.Errorf("%v: %v at offset %d comes after %v, and offset %d", s.place, v, offset, had, s.next-1)
	}
	s.next, s.count, s.last[v.key] = offset+1, s.count+1, v
}

// stopWriting returns when all is acknowledged.
func (k *keys) stopWriting(ctx context.Context) error {
	k.stop()
	k.reading.Wait()
	k.still()
	k.writing.Wait()
	for _, cl := range k.writers {
		if err := cl.Flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (k *keys) close() {
	k.stop()
	k.still()
	k.reading.Wait()
	k.writing.Wait()
	for _, cl := range k.writers {
		cl.Close()
	}
}

// check compares the files of all replicas with what was acknowledged: the last record of every key is
// there, but for tombstones, and where one of those has gone nothing older is there. Compaction must have
// removed something.
func (k *keys) check(dirs []string) {
	compacted := false
	for p := range int32(keysPartitions) {
		at := place{k.name, p}
		last := k.latest(at)
		for _, dir := range dirs {
			s := k.stored(dir, at)
			for key, v := range last {
				if got, ok := s.last[key]; got != v && (ok || !v.gone) {
					k.t.Errorf("%s: %v: %v, %v is the last record of its key, not %v", dir, at, got, ok, v)
				}
			}
			compacted = compacted || s.count < len(k.acked[at])
			k.t.Logf("%v: %d records of %d are left", at, s.count, len(k.acked[at]))
		}
	}
	if !compacted {
		k.t.Error("nothing was compacted")
	}
}

// stored is what a node's files hold.
func (k *keys) stored(dir string, p place) *view {
	s := newView(k, p)
	found, err := filepath.Glob(filepath.Join(dir, "topics", p.topic+"-*", fmt.Sprint(p.partition)))
	if err != nil || len(found) != 1 {
		k.t.Fatalf("%s: %v has %d directories: %v", dir, p, len(found), err)
	}
	batches, ended := log.Inspect(found[0])
	for b := range batches {
		if b.Kind != log.KindData {
			continue
		}
		records, failed := b.Batch.Records(record.DefaultMaxDecompressed)
		for r := range records {
			s.add(r.Offset, r.Key, r.Headers[0].Value, r.Value == nil)
		}
		if err := failed(); err != nil {
			k.t.Errorf("%s: %v: %v", dir, p, err)
		}
	}
	if err := ended(); err != nil {
		k.t.Errorf("%s: %v: %v", dir, p, err)
	}
	return s
}
