package main

import (
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

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
	topic    string
	progress *render.Progress
	total    int64 // bytes of input; 0 unknown
	read     atomic.Int64

	mu      sync.Mutex
	done    map[int32]*writtenPartition
	records int64
	failed  *failure // the first
	stopped atomic.Bool
}

func newSender(cl *kgo.Client, topic string, progress *render.Progress, total int64) *sender {
	return &sender{cl: cl, topic: topic, progress: progress, total: total, done: map[int32]*writtenPartition{}}
}

// send hands over a record, waiting while too much is under way. It is false once there is no
// point in going on. where names the record to people.
func (s *sender) send(ctx context.Context, r *kgo.Record, where string) bool {
	if s.stopped.Load() || ctx.Err() != nil {
		return false
	}
	r.Topic = s.topic
	s.cl.Produce(ctx, r, func(r *kgo.Record, err error) { s.account(r, where, err) })
	return true
}

func (s *sender) account(r *kgo.Record, where string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		if s.failed == nil && !errors.Is(err, context.Canceled) {
			s.failed = explainRecord(err, where)
		}
		s.stopped.Store(true)
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
	case errors.Is(err, kgo.ErrRecordTimeout), errors.Is(err, kgo.ErrRecordRetries), errors.Is(err, context.DeadlineExceeded):
		return unreachable("%s was not acknowledged in time (it may have been written); see whether a majority of replicas is up", where)
	}
	return unreachable("%s was not written: %v", where, err)
}

// finish waits until everything handed over is written, or ctx is done.
func (s *sender) finish(ctx context.Context) error {
	err := s.cl.Flush(ctx)
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
