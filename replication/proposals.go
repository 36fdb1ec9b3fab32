package replication

import (
	"math"

	"quorumlog/log"
	"quorumlog/record"
)

// proposals are what a leader has handed to Raft and not seen applied, in order, and with them
// the tentative producer table: the applied one plus the batches in flight. Pure state; the
// partition's mu guards it.
type proposals struct {
	maxBytes int

	queue     []*Append // oldest first
	bytes     int
	producers map[int64]*Append // the newest in flight of each idempotent producer
}

// room reports whether n more bytes may be in flight.
func (q *proposals) room(n int) bool {
	return len(q.queue) == 0 || len(q.queue) < maxInflight && q.bytes+n <= q.maxBytes
}

// check decides on a batch by the tentative table. It returns the proposal that already holds
// it, or the range of an applied batch that does, or why it may not be appended.
func (q *proposals) check(b record.Batch, applied *log.Producers) (twin *Append, dup *log.BatchRange, err error) {
	newest := q.producers[b.ProducerID()]
	if newest == nil {
		dup, err = applied.Check(b)
		return nil, dup, err
	}
	last := record.Batch(newest.data)
	switch {
	case b.ProducerEpoch() < last.ProducerEpoch():
		return nil, nil, log.ErrStaleEpoch
	case b.ProducerEpoch() > last.ProducerEpoch():
		if b.BaseSequence() != 0 {
			return nil, nil, log.ErrOutOfOrderSequence
		}
		return nil, nil, nil
	}
	for a := newest; a != nil && !a.settled; a = a.older {
		if sameSequence(record.Batch(a.data), b) {
			return a, nil, nil
		}
	}
	if dup, err := applied.Check(b); err == nil && dup != nil {
		return nil, dup, nil
	}
	if b.BaseSequence() != nextSequence(last.LastSequence()) {
		return nil, nil, log.ErrOutOfOrderSequence
	}
	return nil, nil, nil
}

func sameSequence(a, b record.Batch) bool {
	return a.ProducerEpoch() == b.ProducerEpoch() && a.BaseSequence() == b.BaseSequence() && a.LastSequence() == b.LastSequence()
}

// nextSequence follows seq; after the largest comes zero.
func nextSequence(seq int32) int32 {
	if seq == math.MaxInt32 {
		return 0
	}
	return seq + 1
}

// idempotent reports whether the producer table speaks of the batch.
func idempotent(data []byte) bool {
	if len(data) <= maxCommandSize {
		return false
	}
	b := record.Batch(data)
	return b.ProducerID() >= 0 && !b.IsControl()
}

func (q *proposals) push(a *Append) {
	q.queue = append(q.queue, a)
	q.bytes += len(a.data)
	if idempotent(a.data) {
		if q.producers == nil {
			q.producers = map[int64]*Append{}
		}
		id := record.Batch(a.data).ProducerID()
		a.older = q.producers[id]
		q.producers[id] = a
	}
}

// pop takes the oldest proposal off if it is the one with this data. Raft hands the leader's
// own proposals to the state machine as they were given to it, so identity is enough; an entry
// of another origin matches none.
func (q *proposals) pop(data []byte) *Append {
	if len(q.queue) == 0 || len(data) == 0 {
		return nil
	}
	a := q.queue[0]
	if &a.data[0] != &data[0] {
		return nil
	}
	q.queue[0] = nil
	if q.queue = q.queue[1:]; len(q.queue) == 0 {
		q.queue = nil
	}
	q.bytes -= len(a.data)
	a.settled, a.older = true, nil
	if idempotent(a.data) {
		if id := record.Batch(a.data).ProducerID(); q.producers[id] == a {
			delete(q.producers, id)
		}
	}
	return a
}

// abandon empties the queue and the tentative table, and returns what was in flight.
func (q *proposals) abandon() []*Append {
	lost := q.queue
	q.queue, q.bytes, q.producers = nil, 0, nil
	return lost
}
