package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// writtenPartition is an element of the JSON of "produce".
type writtenPartition struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	Records     int64  `json:"records"`
	Bytes       int64  `json:"bytes"`        // keys and values
	FirstOffset int64  `json:"first_offset"` // -1: unknown, with --acks 0
	LastOffset  int64  `json:"last_offset"`
}

// sender writes records and keeps the account of where they went.
type sender struct {
	cl       *kgo.Client
	topic    string // "": what each record says
	progress *render.Progress
	total    int64 // bytes of input; 0 unknown
	read     atomic.Int64

	mu      sync.Mutex
	done    map[int32]*writtenPartition
	records int64
	pending int64
	failed  *failure // the first

	// ctx ends when the command does, when a record is refused, and when the watch runs out:
	// the client's own time limit counts from a record's timestamp, which may be years ago.
	ctx     context.Context
	stop    context.CancelFunc
	watch   *time.Timer
	timeout time.Duration // the longest wait for any acknowledgement
}

func newSender(ctx context.Context, cl *kgo.Client, topic string, timeout time.Duration) *sender {
	s := &sender{cl: cl, topic: topic, timeout: timeout, done: map[int32]*writtenPartition{}}
	s.ctx, s.stop = context.WithCancel(ctx)
	s.watch = time.AfterFunc(timeout, s.expire)
	return s
}

// expire ends the work where something waits to be acknowledged.
func (s *sender) expire() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.pending == 0 {
		return // send starts the watch again
	}
	if s.failed == nil {
		s.failed = unreachable("no record was acknowledged for %v, and %s may or may not be written; see whether a majority of replicas is up", s.timeout, render.Plural(s.pending, "record"))
	}
	s.stop()
}

// send hands over a record, waiting while too much is under way. It is false once there is no
// point in going on. where names the record to people.
func (s *sender) send(r *kgo.Record, where string) bool {
	return s.hand(r, func(r *kgo.Record, err error) { s.account(r, where, err) })
}

func (s *sender) hand(r *kgo.Record, done func(*kgo.Record, error)) bool {
	if s.ctx.Err() != nil {
		return false
	}
	s.mu.Lock()
	if s.pending++; s.pending == 1 {
		s.watch.Reset(s.timeout)
	}
	s.mu.Unlock()
	if s.topic != "" {
		r.Topic = s.topic
	}
	s.cl.Produce(s.ctx, r, done)
	return true
}

// sendTimed is send for records without a place in an input; took is told how long those took that
// were written.
func (s *sender) sendTimed(r *kgo.Record, took func(time.Duration)) bool {
	begun := time.Now()
	return s.hand(r, func(r *kgo.Record, err error) {
		if err == nil {
			took(time.Since(begun))
		}
		s.account(r, "a record", err)
	})
}

func (s *sender) account(r *kgo.Record, where string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending--
	s.watch.Reset(s.timeout)
	if err != nil {
		if s.failed == nil && !errors.Is(err, context.Canceled) {
			s.failed = explainRecord(err, where)
		}
		s.stop()
		return
	}
	w := s.done[r.Partition]
	if w == nil {
		w = &writtenPartition{Topic: r.Topic, Partition: r.Partition, FirstOffset: r.Offset, LastOffset: r.Offset}
		s.done[r.Partition] = w
	}
	w.Records++
	w.Bytes += int64(len(r.Key) + len(r.Value))
	w.FirstOffset, w.LastOffset = min(w.FirstOffset, r.Offset), max(w.LastOffset, r.Offset)
	s.records++
	s.progress.Set(s.read.Load(), s.total, render.Plural(s.records, "record"))
}

func explainRecord(err error, where string) *failure {
	var k *kerr.Error
	switch {
	case errors.Is(err, kerr.MessageTooLarge), errors.Is(err, kerr.RecordListTooLarge):
		f := refused("%s was refused: it is larger than the topic's max.message.bytes; raise that with logctl topic alter", where)
		f.cause = err
		return f
	case errors.As(err, &k):
		return refused("%s was refused: %s", where, reason(k, ""))
	}
	return unreachable("%s was not written: %v", where, err)
}

// finish waits until everything handed over is written, or the work has ended otherwise.
func (s *sender) finish() error {
	err := s.cl.Flush(s.ctx)
	s.watch.Stop()
	s.stop()
	s.progress.Done()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed != nil {
		return s.failed
	}
	return err
}

// written returns the account, by partition.
func (s *sender) written() []writtenPartition {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := []writtenPartition{}
	for _, p := range slices.Sorted(maps.Keys(s.done)) {
		out = append(out, *s.done[p])
	}
	return out
}

// counted counts what is read, for the progress.
type counted struct {
	r io.Reader
	s *sender
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.s.read.Add(int64(n))
	return n, err
}
