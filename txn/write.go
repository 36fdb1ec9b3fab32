package txn

import (
	"quorumlog/internal/shards"
	"quorumlog/record"
)

// Bounds on what a shard holds for its log. Beyond that of the queue requests are refused.
const (
	maxBatch = 512 << 10 // bytes of one batch, unless one record alone has more
	maxQueue = 16 << 10  // decisions that wait
)

// op is a decision about a transactional id. Both its functions run under the shard's lock.
type op struct {
	id string
	// decide returns what becomes of the id, nil for nothing and gone for nothing left, or why not.
	// It runs when everything before it about the id has been applied. t is nil for an unknown id.
	decide func(t *transaction) (next *transaction, code int16)
	// done is told, once, when that has been applied, or why it was not; t is what there is then.
	done func(t *transaction, code int16)

	next *transaction // decided
}

// gone is what becomes of an id that is deleted.
var gone = &transaction{}

func (o *op) record() keyValue {
	if o.next == gone {
		return keyValue{key: key(o.id)}
	}
	return o.next.record()
}

// submit queues a client's decision; the shard must be active.
func (s *shard) submit(o *op) {
	if len(s.queue) >= maxQueue {
		o.done(nil, coordinatorNotAvailable)
		return
	}
	s.queueUp(o)
}

// queueUp queues a decision. One batch is on its way at a time: whatever is queued meanwhile goes
// into the next one together.
func (s *shard) queueUp(o *op) {
	s.queue = append(s.queue, o)
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
	ops, records := s.take()
	if len(ops) == 0 {
		s.writing = false
		s.mu.Unlock()
		return false
	}
	s.inFlight = ops
	s.mu.Unlock()

	err := s.append(records)
	if s.enter() != none {
		return false // resign has answered them
	}
	defer s.mu.Unlock()
	s.inFlight = nil
	if err == nil {
		for _, r := range records {
			s.image.apply(r.key, r.value)
		}
	}
	for _, o := range ops {
		t := s.image.all[o.id]
		o.done(t, appendCode(err))
		if err == nil && t != nil {
			s.follow(t)
		}
	}
	return true
}

// take decides what is queued and returns the decisions of the next batch, at most one of an id,
// with their records. It answers those that change nothing.
func (s *shard) take() (ops []*op, records []keyValue) {
	touched := map[string]bool{}
	size := 0
	var later []*op
	for i, o := range s.queue {
		if size >= maxBatch {
			later = append(later, s.queue[i:]...)
			break
		}
		if touched[o.id] {
			later = append(later, o)
			continue
		}
		t := s.image.all[o.id]
		next, code := o.decide(t)
		if code != none || next == nil {
			o.done(t, code)
			continue
		}
		o.next = next
		touched[o.id] = true
		r := o.record()
		size += r.size()
		ops, records = append(ops, o), append(records, r)
	}
	s.queue = later
	return ops, records
}

// append writes records as one batch and waits until it is committed, has failed, or the shard
// has resigned. Call it without the lock, from the writer's goroutine.
func (s *shard) append(records []keyValue) error {
	p := s.log.Append(s.c.buildBatch(records))
	select {
	case <-p.Done():
	case <-s.life.Done():
		return shards.ErrNotLeader
	}
	if err := p.Err(); err != nil {
		s.logger.Warn("cannot write transactions", "records", len(records), "err", err)
		return err
	}
	if s.enter() != none {
		return shards.ErrNotLeader
	}
	defer s.mu.Unlock()
	if p.Offset() != s.next {
		// A batch that we were told had failed is in the log after all.
		s.logger.Warn("reading transactions again", "offset", p.Offset(), "expected", s.next)
		go s.c.reload(s)
		return errUnexpected
	}
	s.next = p.Offset() + int64(len(records))
	return nil
}

func (c *Coordinator) nowMs() int64 { return c.opts.Now().UnixMilli() }

func (c *Coordinator) buildBatch(records []keyValue) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{})
	now := c.nowMs()
	for _, r := range records {
		b.Add(record.Record{Timestamp: now, Key: r.key, Value: r.value})
	}
	return b.Build()
}
