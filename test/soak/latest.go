//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// keys is how many a compacted topic has.
const keys = 3000

// latest is the compacted topic: each key's values go up, and now and then it is deleted.
type latest struct {
	load *load

	mu    sync.Mutex
	acked [keys]mark // what every reader must come to
}

// mark is a key's latest number, and whether it said that the key is deleted.
type mark struct {
	number uint64
	gone   bool
}

func newLatest(l *load) *latest { return &latest{load: l} }

func keyPartition(k int) int32 { return int32(k % 3) }

// update writes values of keys by chance.
func (l *load) update(ctx context.Context) {
	var number [keys]uint64
	for ctx.Err() == nil {
		cl := l.client(kgo.DefaultProduceTopic(current), kgo.ProducerLinger(20*time.Millisecond), kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()))
		life, cancel := life(ctx, 60*time.Second)
		for l.pauseFor(life, 100*time.Millisecond) {
			for range 1 + rand.IntN(20) {
				k := rand.IntN(keys)
				number[k]++
				m := mark{number[k], rand.IntN(20) == 0}
				r := &kgo.Record{Partition: keyPartition(k), Key: fmt.Append(nil, k)}
				if m.gone {
					r.Headers = []kgo.RecordHeader{{Key: "value", Value: value(uint32(k), m.number, 0)}}
				} else {
					r.Value = value(uint32(k), m.number, rand.IntN(1000))
				}
				cl.Produce(context.WithoutCancel(ctx), r, func(_ *kgo.Record, err error) {
					if err != nil {
						l.find(fmt.Errorf("updating: %w", err))
						return
					}
					l.acknowledged.Add(1)
					l.current.note(k, m)
				})
			}
		}
		cancel()
		if err := cl.Flush(context.WithoutCancel(ctx)); err != nil {
			l.find(fmt.Errorf("updating: %w", err))
		}
		cl.Close()
	}
}

func (t *latest) note(k int, m mark) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m.number > t.acked[k].number {
		t.acked[k] = m
	}
}

// readCurrent reads the compacted topic from its start again and again.
func (l *load) readCurrent(ctx context.Context) {
	for l.pauseFor(ctx, 20*time.Second) {
		if err := l.current.pass(ctx, false); err != nil && ctx.Err() == nil {
			l.find(err)
		}
	}
}

// last looks at what is left when nobody writes any more.
func (t *latest) last(ctx context.Context) {
	if err := t.pass(ctx, true); err != nil {
		t.load.find(err)
	}
}

// pass reads the topic up to where it ends now. Each key must come to what was acknowledged before, and
// not go back on the way.
func (t *latest) pass(ctx context.Context, final bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	t.mu.Lock()
	want := t.acked
	t.mu.Unlock()
	ends, err := t.load.adm.ListEndOffsets(ctx, current)
	if err != nil {
		return err
	}
	got, err := t.readUpTo(ctx, ends)
	if err != nil {
		return err
	}
	t.load.passes.Add(1)
	for k, w := range want {
		g := got[k]
		switch {
		case w.number == 0, g.number >= w.number:
		case g.number == 0 && (w.gone || t.changed(k, w)): // the deletion itself goes after a while
		default:
			return fmt.Errorf("%s: key %d is at %d where %d was acknowledged", current, k, g.number, w.number)
		}
		if final && g.number > w.number {
			return fmt.Errorf("%s: key %d is at %d where %d was the last", current, k, g.number, w.number)
		}
	}
	return nil
}

// changed reports whether a key has another value by now.
func (t *latest) changed(k int, since mark) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.acked[k] != since
}

// quiet is how long nothing comes before a reader takes the rest for compacted: then the records before the
// end are gone, and the end is never seen.
const quiet = 3 * time.Second

func (t *latest) readUpTo(ctx context.Context, ends kadm.ListedOffsets) (got [keys]mark, err error) {
	cl := t.load.client(kgo.ConsumeTopics(current), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(200*time.Millisecond))
	defer cl.Close()
	next := map[int32]int64{}
	reached := func() bool {
		done := true
		ends.Each(func(o kadm.ListedOffset) { done = done && next[o.Partition] >= o.Offset })
		return done
	}
	for !reached() {
		poll, cancel := context.WithTimeout(ctx, quiet)
		f := cl.PollFetches(poll)
		cancel()
		if err := f.Err0(); errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
			break
		} else if err != nil {
			return got, fmt.Errorf("reading %s: %w", current, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			next[r.Partition] = r.Offset + 1
			var k int
			if _, err := fmt.Sscan(string(r.Key), &k); err != nil || k < 0 || k >= keys {
				t.load.find(fmt.Errorf("%s: a key %q", current, r.Key))
				return
			}
			v := r.Value
			if v == nil && len(r.Headers) > 0 {
				v = r.Headers[0].Value
			}
			_, number := parse(v)
			if number <= got[k].number {
				t.load.find(fmt.Errorf("%s/%d at offset %d: key %d goes from %d to %d", current, r.Partition, r.Offset, k, got[k].number, number))
			}
			got[k] = mark{number, r.Value == nil}
		})
	}
	return got, nil
}
