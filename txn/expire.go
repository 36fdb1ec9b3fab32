package txn

import "time"

// AbortTimedOut aborts the transactions that have run for longer than their producers asked for. It
// does not wait for that.
func (c *Coordinator) AbortTimedOut() {
	now := c.nowMs()
	for _, s := range c.shards.All() {
		if s.enter() != none {
			continue
		}
		for id, t := range s.image.all {
			if t.timedOut(now) {
				s.sweep(s.abort(id, t.now()))
			}
		}
		s.mu.Unlock()
	}
}

// sweep queues a decision of the coordinator's own, unless one about the id waits already. Where it
// cannot be written, the next round tries again.
func (s *shard) sweep(o *op) {
	if s.swept[o.id] {
		return
	}
	s.swept[o.id] = true
	o.done = func(*transaction, int16) { delete(s.swept, o.id) }
	s.queueUp(o)
}

// abort is the decision to end a transaction that has run out of time, if it is still that one.
func (s *shard) abort(id string, who identity) *op {
	return &op{
		id: id,
		decide: func(t *transaction) (*transaction, int16) {
			if now := s.c.nowMs(); t != nil && t.now() == who && t.timedOut(now) {
				s.logger.Info("aborting a transaction that has run out of time", "id", id,
					"producer_id", who.producerID, "ran_for", time.Duration(now-t.startMs)*time.Millisecond)
				return t.fenced(false, now), none
			}
			return nil, none
		},
	}
}

// Expire forgets the ids that nobody has used for transactional.id.expiration.ms. It does not wait
// for that.
func (c *Coordinator) Expire() {
	before := c.opts.Now().Add(-c.opts.Expiration).UnixMilli()
	for _, s := range c.shards.All() {
		if s.enter() != none {
			continue
		}
		for id, t := range s.image.all {
			if t.idleSince(before) {
				s.sweep(s.forget(id, before))
			}
		}
		s.mu.Unlock()
	}
}

// forget is the decision to delete an id, if it is still idle.
func (s *shard) forget(id string, before int64) *op {
	return &op{
		id: id,
		decide: func(t *transaction) (*transaction, int16) {
			if t == nil || !t.idleSince(before) {
				return nil, none
			}
			return gone, none
		},
	}
}

// idleSince says that the id has no transaction and nobody has used it after before, ms.
func (t *transaction) idleSince(before int64) bool { return t.state.ended() && t.updateMs <= before }
