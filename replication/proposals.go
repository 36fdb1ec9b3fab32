package replication

import (
	"slices"

	"quorumlog/log"
	"quorumlog/record"
)

// proposals are what a leader has handed to Raft and not seen applied, in order, and with them
// the tentative producer table: the applied one plus the batches in flight. Pure state; the
// partition's mu guards it.
type proposals struct {
	maxBytes int

	queue     []*Append  // oldest first
	space     []*Append  // all of the queue's memory
	first     [4]*Append // that while it is short, as it mostly is
	bytes     int
	producers map[int64]*Append // the newest in flight of each idempotent producer
}

// maxSpace is how long a queue's memory may be that is kept while it is empty.
const maxSpace = 64

// room reports whether n more bytes may be in flight.
func (q *proposals) room(n int) bool {
	return len(q.queue) == 0 || len(q.queue) < maxInflight && q.bytes+n <= q.maxBytes
}

// check decides on a batch by the tentative table. It returns the proposal that already holds
// it, or the range of an applied batch that does, or why it may not be appended.
func (q *proposals) check(b record.Batch, applied *log.Producers) (twin *Append, dup *log.BatchRange, err error) {
	for a := q.newest(b.ProducerID()); a != nil; a = a.older {
		if sameSequence(record.Batch(a.data), b) {
			return a, nil, nil
		}
	}
	now := q.standing(b.ProducerID(), applied)
	if dup = applied.Repeated(b); dup != nil && b.ProducerEpoch() == now.Epoch {
		return nil, dup, nil
	}
	return nil, nil, now.Check(b)
}

// standing is what decides on a producer's next batch.
func (q *proposals) standing(id int64, applied *log.Producers) log.Standing {
	if a := q.newest(id); a != nil {
		return a.standing
	}
	return applied.Standing(id)
}

// newest is the last proposal in flight of a producer, nil for none.
func (q *proposals) newest(id int64) *Append { return q.producers[id] }

func sameSequence(a, b record.Batch) bool {
	return a.BaseSequence() >= 0 && a.ProducerEpoch() == b.ProducerEpoch() && a.BaseSequence() == b.BaseSequence() && a.LastSequence() == b.LastSequence()
}

// ofProducer reports whether the producer table speaks of the batch.
func ofProducer(data []byte) bool {
	return len(data) > maxCommandSize && record.Batch(data).ProducerID() >= 0
}

// push adds a proposal; one of a producer has the standing that follows.
func (q *proposals) push(a *Append) {
	if len(q.queue) == cap(q.queue) {
		q.makeRoom()
	}
	q.queue = append(q.queue, a)
	q.bytes += len(a.data)
	if ofProducer(a.data) {
		if q.producers == nil {
			q.producers = map[int64]*Append{}
		}
		id := record.Batch(a.data).ProducerID()
		if a.older = q.producers[id]; a.older != nil {
			a.older.newer = a
		}
		q.producers[id] = a
	}
}

// makeRoom moves the queue back to where its memory begins: under load it is never empty. Where that is
// more than half full it gets twice as much.
func (q *proposals) makeRoom() {
	if q.space == nil {
		q.space = q.first[:]
	}
	n := len(q.queue)
	if 2*n > len(q.space) {
		q.space = make([]*Append, 2*len(q.space))
	}
	copy(q.space, q.queue)
	clear(q.space[n:])
	q.queue = q.space[:n]
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
		if len(q.space) > maxSpace {
			q.space = nil
		}
		q.queue = q.space[:0]
	}
	q.bytes -= len(a.data)
	if a.newer != nil { // a may serve for another batch soon
		a.newer.older, a.newer = nil, nil
	}
	if ofProducer(a.data) {
		if id := record.Batch(a.data).ProducerID(); q.producers[id] == a {
			delete(q.producers, id)
		}
	}
	return a
}

// abandon empties the queue and the tentative table, and returns what was in flight.
func (q *proposals) abandon() []*Append {
	lost := slices.Clone(q.queue)
	clear(q.queue) // its memory may be first, which stays
	q.queue, q.space, q.bytes, q.producers = nil, nil, 0, nil
	return lost
}
