package txn

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// initFencedByName is the InitProducerID version from which an old epoch is PRODUCER_FENCED (KIP-588).
const initFencedByName = 4

// InitProducerID answers versions 0-5 for a transactional id: whoever asks becomes its only
// producer. A transaction that its predecessor has left is aborted first: CONCURRENT_TRANSACTIONS
// until that is done, if it takes long.
func (c *Coordinator) InitProducerID(ctx context.Context, req *kmsg.InitProducerIDRequest, resp *kmsg.InitProducerIDResponse) {
	resp.ProducerID, resp.ProducerEpoch = noID, noEpoch
	given := identity{req.ProducerID, req.ProducerEpoch}
	if req.Version < 3 {
		given = identity{noID, noEpoch}
	}
	switch {
	case req.TransactionalID == nil || *req.TransactionalID == "":
		resp.ErrorCode = invalidRequest
		return
	case (given.producerID == noID) != (given.epoch == noEpoch):
		resp.ErrorCode = invalidRequest
		return
	case req.TransactionTimeoutMillis <= 0 || int64(req.TransactionTimeoutMillis) > c.opts.MaxTimeout.Milliseconds():
		resp.ErrorCode = invalidTransactionTimeout
		return
	}
	id := *req.TransactionalID
	for {
		t, code := c.run(ctx, id, func(_ *shard, t *transaction, fresh int64) (*transaction, int16) {
			return initialise(t, id, given, fresh, req.TransactionTimeoutMillis, c.nowMs())
		})
		switch {
		case code != none:
			resp.ErrorCode = oldFenced(code, req.Version < initFencedByName)
		case t.state.ending():
			continue // its predecessor's transaction: wait for the markers, then ask again
		default:
			resp.ProducerID, resp.ProducerEpoch = t.producerID, t.epoch
		}
		return
	}
}

// oldFenced is a code as clients know it that do not know PRODUCER_FENCED.
func oldFenced(code int16, old bool) int16 {
	if old && code == producerFenced {
		return invalidProducerEpoch
	}
	return code
}

// initialise decides an InitProducerID. given is what the client says it is, noID for nothing: it
// goes on with a new epoch only if it is the id's newest producer (KIP-360).
func initialise(t *transaction, id string, given identity, fresh int64, timeoutMs int32, nowMs int64) (*transaction, int16) {
	if t == nil {
		if fresh == noID {
			return nil, wantsProducerID
		}
		return &transaction{
			id: id, producerID: fresh, previousID: noID, nextID: noID,
			timeoutMs: timeoutMs, startMs: -1, updateMs: nowMs,
		}, none
	}
	anybody := given.producerID == noID
	repeated := !anybody && t.state.ended() && t.repeats(given)
	switch {
	case t.state.ending():
		if !anybody && t.check(given) != none && !t.repeats(given) {
			return nil, producerFenced
		}
		return nil, concurrentTransactions
	case !anybody && given != t.now() && !repeated:
		return nil, producerFenced
	case t.state == Ongoing:
		return t.fenced(!anybody, nowMs), none
	}
	next := t.at(Empty, nowMs)
	next.timeoutMs, next.startMs, next.version = timeoutMs, -1, V0
	switch {
	case repeated && t.epoch <= lastEpoch: // the answer was lost
		return next, none
	case !t.exhausted():
		next.epoch++
	case fresh == noID:
		return nil, wantsProducerID
	default:
		next.producerID, next.epoch = fresh, 0
	}
	next.previousID = noID
	if !anybody {
		next.previousID = t.producerID
	}
	return next, none
}

// fenced is an ongoing transaction that is aborted without its producer having asked for it: the
// epoch goes up, so that the producer can do nothing more. One that has asked for its next epoch
// (KIP-360) gets that one.
func (t *transaction) fenced(successor bool, nowMs int64) *transaction {
	next := t.at(PrepareAbort, nowMs)
	next.epoch++
	next.version, next.previousID = V0, noID
	if successor {
		next.previousID = t.producerID
	}
	return next
}
