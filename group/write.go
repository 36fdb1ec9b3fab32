package group

import (
	"time"

	"quorumlog/record"
)

// Bounds on what a shard holds for its log. Beyond those of the queue requests are refused.
const (
	maxBatch  = 512 << 10 // bytes of one batch, unless one write alone has more
	maxQueued = 16 << 20  // bytes that wait
	maxWrites = 16 << 10  // writes that wait
)

// write is one decision on its way into the log. All its writes are committed or none.
type write struct {
	records []keyValue
	// decide, if not nil, makes the records once everything before them has been applied.
	// It runs under the shard's lock.
	decide func() []keyValue
	// done runs under the shard's lock when the records have been applied, or are lost.
	done func(err error)
}

func (w *write) size() int {
	n := 0
	for _, r := range w.records {
		n += recordOverhead + len(r.key) + len(r.value)
	}
	return n
}

// submit queues a write; the shard must be active. One batch is on its way at a time: whatever
// is submitted meanwhile goes into the next one together.
func (s *shard) submit(w *write) {
	n := w.size()
	if s.queued > 0 && s.queued+n > maxQueued || len(s.queue) >= maxWrites {
		w.done(errBusy)
		return
	}
	s.queue = append(s.queue, w)
	s.queued += n
	s.kick()
}

func (s *shard) kick() {
	if !s.writing {
		s.writing = true
		go s.drain()
	}
}

// drain is the writer's goroutine. It ends when there is nothing to write.
func (s *shard) drain() {
	for s.writeNext() && s.rewriteNext() {
	}
}

// writeNext writes the next batch, and reports whether the writer should go on.
func (s *shard) writeNext() bool {
	if s.enter() != none {
		return false
	}
	s.startRewrite()
	ws := s.take()
	if len(ws) == 0 && s.rewrite == nil {
		s.writing = false
		s.mu.Unlock()
		return false
	}
	s.inFlight = ws
	s.mu.Unlock()

	var all []keyValue
	if len(ws) == 1 {
		all = ws[0].records
	} else {
		for _, w := range ws {
			all = append(all, w.records...)
		}
	}
	err := s.append(all)
	if s.enter() != none {
		return false // resign has answered them
	}
	defer s.mu.Unlock()
	s.inFlight = nil
	s.finish(ws, err)
	return true
}

// take removes from the queue the writes of the next batch. A write that decides late comes
// first in its batch.
func (s *shard) take() []*write {
	size, n := 0, 0
	for _, w := range s.queue {
		if n > 0 && (w.decide != nil || size+w.size() > maxBatch) {
			break
		}
		n++
		size += w.size()
		s.queued -= w.size()
		if w.decide != nil {
			w.records = w.decide()
			size += w.size()
		}
	}
	ws := append([]*write(nil), s.queue[:n]...)
	clear(s.queue[:n])
	if s.queue = s.queue[n:]; len(s.queue) == 0 {
		s.queue = nil
	}
	return ws
}

// append writes records as one batch and waits until it is committed, has failed, or the shard
// has resigned. Call it without the lock, from the writer's goroutine.
func (s *shard) append(records []keyValue) error {
	if len(records) == 0 {
		return nil
	}
	b := buildBatch(records)
	p := s.log.Append(b)
	select {
	case <-p.Done():
	case <-s.stop:
		return ErrNotLeader
	}
	if err := p.Err(); err != nil {
		s.logger.Warn("cannot write consumer groups", "records", len(records), "err", err)
		return err
	}
	if s.enter() != none {
		return ErrNotLeader
	}
	defer s.mu.Unlock()
	if s.end != 0 && p.Offset() != s.end {
		// A batch that we were told had failed is in the log after all.
		s.logger.Warn("reading consumer groups again", "offset", p.Offset(), "expected", s.end)
		go s.c.reload(s)
		return errUnexpected
	}
	s.end = p.Offset() + int64(len(records))
	s.image.written += int64(len(b))
	return nil
}

// finish applies the writes of a batch, in order, and answers their requests.
func (s *shard) finish(ws []*write, err error) {
	for _, w := range ws {
		if err == nil {
			for _, r := range w.records {
				s.image.apply(r.key, r.value)
			}
		}
		w.done(err)
	}
}

func buildBatch(records []keyValue) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{})
	now := time.Now().UnixMilli()
	for _, r := range records {
		b.Add(record.Record{Timestamp: now, Key: r.key, Value: r.value})
	}
	return b.Build()
}
