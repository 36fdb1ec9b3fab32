//go:build linux

package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// place is a partition.
type place struct {
	topic     string
	partition int32
}

// model is what the cluster has said so far, and finds contradictions.
type model struct {
	t testing.TB

	mu    sync.Mutex
	acked map[place]map[int64]string // what was acknowledged, by offset
	seen  map[place]map[int64]string // what readers saw
	sent  map[string]int             // by producer and partition: how many records were produced
	marks map[string]int64           // the high watermark last seen, by reader and partition
	last  time.Time                  // when something was last acknowledged in partition 0 of the first topic
	pause time.Duration              // the longest without
}

func newModel(t testing.TB) *model {
	return &model{
		t: t, acked: map[place]map[int64]string{}, seen: map[place]map[int64]string{},
		sent: map[string]int{}, marks: map[string]int64{}, last: time.Now(),
	}
}

// contradiction fails the test.
func (m *model) contradiction(format string, args ...any) {
	m.t.Errorf(format, args...)
}

// stream names what a producer writes to a partition, in order.
func stream(producer int, p place) string {
	return fmt.Sprintf("%d/%s/%d", producer, p.topic, p.partition)
}

// next is the value of a producer's next record in a partition: its stream, its number there, and
// padding.
func (m *model) next(producer int, p place, size int) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := stream(producer, p)
	value := fmt.Appendf(nil, "%s#%d#", s, m.sent[s])
	m.sent[s]++
	return append(value, bytes.Repeat([]byte{'x'}, size)...)
}

// name is the part of a value that tells it from all others.
func name(value []byte) string { return string(value[:bytes.LastIndexByte(value, '#')]) }

func (m *model) acknowledged(r *kgo.Record) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.note(m.acked, place{r.Topic, r.Partition}, r.Offset, name(r.Value), "acknowledged")
	if r.Topic == "one" && r.Partition == 0 {
		m.pause = max(m.pause, time.Since(m.last))
		m.last = time.Now()
	}
}

// acknowledgedLast is when that partition last acknowledged something.
func (m *model) acknowledgedLast() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.last
}

// pauses returns the longest time for which nothing was acknowledged in a partition since the last call.
func (m *model) pauses() time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pause
	m.pause = 0
	return p
}

func (m *model) note(in map[place]map[int64]string, p place, offset int64, value, how string) {
	if in[p] == nil {
		in[p] = map[int64]string{}
	}
	if before, ok := in[p][offset]; ok && before != value {
		m.contradiction("%v: offset %d was %s as %s and as %s", p, offset, how, before, value)
	}
	in[p][offset] = value
}

// read takes in what a reader has got.
func (m *model) read(reader string, f kgo.Fetches) {
	m.mu.Lock()
	defer m.mu.Unlock()
	f.EachPartition(func(x kgo.FetchTopicPartition) {
		p := place{x.Topic, x.Partition}
		var lost *kgo.ErrDataLoss
		if errors.As(x.Err, &lost) || x.Err != nil && strings.Contains(x.Err.Error(), "crc") {
			m.contradiction("%v: %s: %v", p, reader, x.Err)
		}
		if x.Err == nil {
			key := fmt.Sprint(reader, p)
			if x.HighWatermark < m.marks[key] {
				m.contradiction("%v: %s saw the high watermark go back from %d to %d", p, reader, m.marks[key], x.HighWatermark)
			}
			m.marks[key] = x.HighWatermark
		}
		for i, r := range x.Records {
			if i > 0 && r.Offset != x.Records[i-1].Offset+1 {
				m.contradiction("%v: %s got offset %d after %d", p, reader, r.Offset, x.Records[i-1].Offset)
			}
			m.note(m.seen, p, r.Offset, name(r.Value), "read")
		}
	})
}

// records is how many were acknowledged.
func (m *model) records() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, offsets := range m.acked {
		n += len(offsets)
	}
	return n
}

// check compares all that was said with what a partition holds in the end.
func (m *model) check(p place, values []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := map[string]int{}
	for offset, v := range values {
		s, n, _ := strings.Cut(v, "#")
		if number, err := strconv.Atoi(n); err != nil || number != next[s] {
			m.contradiction("%v: offset %d holds %s where %d of that producer is due: lost, repeated or out of order", p, offset, v, next[s])
			return
		}
		next[s]++
	}
	for s, n := range m.sent {
		if strings.HasSuffix(s, fmt.Sprintf("/%s/%d", p.topic, p.partition)) && next[s] != n {
			m.contradiction("%v: %d records of %s are there, %d were acknowledged", p, next[s], s, n)
		}
	}
	for how, said := range map[string]map[int64]string{"acknowledged": m.acked[p], "read": m.seen[p]} {
		for offset, v := range said {
			if offset < 0 || offset >= int64(len(values)) || values[offset] != v {
				m.contradiction("%v: %s was %s at offset %d and is not there", p, v, how, offset)
				return
			}
		}
	}
}

// offsets is what the coordinator said of one group's committed offset.
type offsets struct {
	m           *model
	group       string
	tried, sure int64 // the highest commit that was sent, and that was confirmed
}

func (o *offsets) fetched(at int64) {
	if at < o.sure || at > o.tried {
		o.m.mu.Lock()
		o.m.contradiction("group %s: its offset is %d; %d was the last one to be sent, %d is known to be there", o.group, at, o.tried, o.sure)
		o.m.mu.Unlock()
	}
	o.sure = max(o.sure, at)
}

// pause waits, or returns false when there is nothing to wait for any more.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}
