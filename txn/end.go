package txn

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// EndTxn versions from which something is different.
const (
	endFencedByName = 2 // an old epoch is PRODUCER_FENCED (KIP-588)
	endNewEpoch     = 5 // the answer has the identity for the next transaction (KIP-890)
)

// Sender is the connection on which a client's request came.
type Sender struct {
	Conn   uint64 // unique in the process's life
	Opened time.Time
}

// link is over which connections an ongoing transaction has been built.
//
// A client of transaction version 0 has one epoch for many transactions, so that an EndTxn which
// was late in the network could end the next one. It is told by its connection: whoever is late
// came over one that its client has given up, one that was open before the transaction began and
// had no part in it. Such a connection is closed; a client that is alive sends its EndTxn again, over
// a new one.
type link struct {
	since time.Time
	conns []uint64 // a few at most
}

// maxLinks bounds a link's connections: a client has one, and another when that breaks.
const maxLinks = 8

// heard notes over which connection partitions came for t, as it was before they joined.
func (s *shard) heard(t *transaction, from Sender) {
	l := s.links[t.id]
	switch {
	case t.state != Ongoing:
		l = &link{since: time.Now()}
		s.links[t.id] = l
	case l == nil: // begun under another coordinator
		l = &link{since: s.since}
		s.links[t.id] = l
	}
	if slices.Contains(l.conns, from.Conn) {
		return
	}
	if len(l.conns) == maxLinks {
		l.conns = l.conns[1:]
	}
	l.conns = append(l.conns, from.Conn)
}

// timely says whether a request that came over this connection can be meant for the transaction
// that the id has now.
func (s *shard) timely(id string, from Sender) bool {
	l := s.links[id]
	if l == nil {
		return from.Opened.After(s.since)
	}
	return from.Opened.After(l.since) || slices.Contains(l.conns, from.Conn)
}

// EndTxn answers versions 0-5: it returns when it is decided and committed how the transaction
// ends; its markers are written afterwards. It returns false, and the connection must be closed
// without an answer, where the request may be a late one that was meant for an earlier transaction.
func (c *Coordinator) EndTxn(ctx context.Context, from Sender, req *kmsg.EndTxnRequest, resp *kmsg.EndTxnResponse) (ok bool) {
	resp.ProducerID, resp.ProducerEpoch = noID, noEpoch
	if req.TransactionalID == "" {
		resp.ErrorCode = invalidRequest
		return true
	}
	v := V0
	if req.Version >= endNewEpoch {
		v = V2
	}
	who := identity{req.ProducerID, req.ProducerEpoch}
	t, code := c.run(ctx, req.TransactionalID, func(s *shard, t *transaction, fresh int64) (*transaction, int16) {
		next, code := finish(t, v, who, req.Commit, fresh, c.nowMs())
		if code == none && next != nil && v == V0 && t.version == V0 && !s.timely(t.id, from) {
			s.logger.Info("an EndTxn over a connection from before the transaction is not trusted", "id", t.id)
			return nil, late
		}
		return next, code
	})
	if code == late {
		return false
	}
	if resp.ErrorCode = oldFenced(code, req.Version < endFencedByName); code == none {
		next := t.next()
		resp.ProducerID, resp.ProducerEpoch = next.producerID, next.epoch
	}
	return true
}

// finish decides an EndTxn.
func finish(t *transaction, v Version, who identity, commit bool, fresh int64, nowMs int64) (*transaction, int16) {
	if t == nil {
		return nil, invalidProducerIDMapping
	}
	// Whoever shows the identity before the one that an EndTxn has given out repeats that EndTxn.
	repeated := t.version == V2 && t.state != Ongoing && t.state != Empty && t.repeats(who)
	if !repeated {
		if code := t.check(who); code != none {
			return nil, code
		}
	}
	same := t.state.commits() == commit
	switch t.state {
	case Ongoing:
		return t.finished(v, commit, fresh, nowMs)
	case PrepareCommit, PrepareAbort:
		// With version 2 the next transaction's EndTxn has another identity, and waits as well.
		if same || !repeated && v == V2 {
			return nil, concurrentTransactions
		}
	case CompleteCommit, CompleteAbort:
		if same && (repeated || v == V0) {
			return nil, none
		}
		if !repeated && v == V2 && !commit {
			return t.abortedEmpty(fresh, nowMs)
		}
	case Empty:
		if v == V2 && !commit {
			return t.abortedEmpty(fresh, nowMs)
		}
	}
	return nil, invalidTxnState
}

// finished is an ongoing transaction that its producer ends.
func (t *transaction) finished(v Version, commit bool, fresh int64, nowMs int64) (*transaction, int16) {
	if v == V2 && t.exhausted() && fresh == noID {
		return nil, wantsProducerID
	}
	next := t.at(PrepareAbort, nowMs)
	if commit {
		next.state = PrepareCommit
	}
	next.version = v
	if v == V2 {
		next.previousID = t.producerID
		if t.exhausted() {
			next.nextID = fresh
		}
		next.epoch++
	}
	return next, none
}

// abortedEmpty is an id whose producer of version 2 aborts without having written anything that
// the coordinator has heard of: its records may be on their way, and the next epoch fences them.
func (t *transaction) abortedEmpty(fresh int64, nowMs int64) (*transaction, int16) {
	next, code := t.finished(V2, false, fresh, nowMs)
	if code != none {
		return nil, code
	}
	next.startMs = nowMs
	return next.completed(nowMs), none
}

// completed is an ending transaction that has all its markers.
func (t *transaction) completed(nowMs int64) *transaction {
	next := t.at(CompleteAbort, nowMs)
	if t.state == PrepareCommit {
		next.state = CompleteCommit
	}
	next.partitions = nil
	if t.nextID != noID {
		next.previousID, next.producerID, next.epoch, next.nextID = t.producerID, t.nextID, 0, noID
	}
	return next
}
