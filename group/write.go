package group

import (
	"slices"
	"time"

	"quorumlog/internal/shards"
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
	reads   bool // it has no records: markers are to be read
	// of, if not nil, is the transaction that the records belong to: a batch of its own.
	of *transaction
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
	for s.writeNext() {
	}
}

// writeNext writes the next batch, and reports whether the writer should go on.
func (s *shard) writeNext() bool {
	if s.enter() != none {
		return false
	}
	ws := s.take()
	if len(ws) == 0 {
		s.writing = false
		s.mu.Unlock()
		return false
	}
	s.inFlight = ws
	s.mu.Unlock()

	if slices.ContainsFunc(ws, func(w *write) bool { return w.reads }) {
		_ = s.read(-1) // what cannot be read now is read with the next batch
	}
	var all []keyValue
	if len(ws) == 1 {
		all = ws[0].records
	} else {
		for _, w := range ws {
			all = append(all, w.records...)
		}
	}
	base, err := s.append(all, ws)
	if s.enter() != none {
		return false // resign has answered them
	}
	defer s.mu.Unlock()
	s.inFlight = nil
	s.finish(ws, base, err)
	return true
}

// take removes from the queue the writes of the next batch. A write that decides late comes
// first in its batch.
func (s *shard) take() []*write {
	size, n := 0, 0
	for _, w := range s.queue {
		if n > 0 && (w.decide != nil || w.of != nil || s.queue[0].of != nil || size+w.size() > maxBatch) {
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
// has resigned; everything before it in the log has been applied then. ws are whose records they
// are, nil for none's. It returns the offset of the first record. Call it without the lock, from the
// writer's goroutine.
func (s *shard) append(records []keyValue, ws []*write) (base int64, err error) {
	if len(records) == 0 {
		return 0, nil
	}
	var of *transaction
	if len(ws) > 0 {
		of = ws[0].of
	}
	b := buildBatch(records, of)
	var p shards.Pending
	if of != nil {
		p = of.append(b)
	} else {
		p = s.log.Append(b)
	}
	select {
	case <-p.Done():
	case <-s.stop:
		return 0, shards.ErrNotLeader
	}
	if err := p.Err(); err != nil {
		s.logger.Warn("cannot write consumer groups", "records", len(records), "err", err)
		return 0, err
	}
	if err := s.read(p.Offset()); err != nil {
		return 0, err
	}
	if s.enter() != none {
		return 0, shards.ErrNotLeader
	}
	defer s.mu.Unlock()
	s.end = p.Offset() + int64(len(records))
	return p.Offset(), nil
}

// finish applies the writes of a batch, in order, and answers their requests.
func (s *shard) finish(ws []*write, at int64, err error) {
	for _, w := range ws {
		if err == nil {
			for _, r := range w.records {
				if w.of != nil {
					s.image.applyOpen(w.of.producerID, at, r.key, r.value)
				} else {
					s.image.apply(at, r.key, r.value)
				}
				at++
			}
		}
		w.done(err)
	}
}

func buildBatch(records []keyValue, of *transaction) record.Batch {
	var o record.BuilderOptions
	if of != nil {
		o.Transactional = true
		o.Producer = &record.Producer{ID: of.producerID, Epoch: of.epoch, Sequence: -1}
	}
	b := record.NewBuilder(o)
	now := time.Now().UnixMilli()
	for _, r := range records {
		b.Add(record.Record{Timestamp: now, Key: r.key, Value: r.value})
	}
	return b.Build()
}
