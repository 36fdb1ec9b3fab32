package log

import (
	"quorumlog/record"
)

// transactions follows, batch by batch in the order of offsets, which transactions were aborted.
type transactions struct {
	aborted []AbortedTransaction // that have not begun yet, by their first offset
	open    map[int64]*openTransaction
}

type openTransaction struct {
	abort *AbortedTransaction // nil for one that was committed
	seen  bool                // some of its records
}

func newTransactions(aborted []AbortedTransaction) transactions {
	return transactions{aborted, map[int64]*openTransaction{}}
}

// aborts notes a batch of records, and reports whether its transaction was aborted.
func (t *transactions) aborts(b record.Batch) bool {
	if !b.IsTransactional() {
		return false
	}
	t.begin(b.LastOffset())
	o := t.open[b.ProducerID()]
	if o == nil || o.abort != nil && b.BaseOffset() > o.abort.Last {
		o = &openTransaction{}
		t.open[b.ProducerID()] = o
	}
	o.seen = true
	return o.abort != nil
}

// begin opens the aborted transactions that begin at an offset or before.
func (t *transactions) begin(offset int64) {
	for len(t.aborted) > 0 && t.aborted[0].First <= offset {
		t.open[t.aborted[0].ProducerID] = &openTransaction{abort: &t.aborted[0]}
		t.aborted = t.aborted[1:]
	}
}

// end notes a marker. It reports whether records of its transaction are there, and the transaction
// where it was aborted.
func (t *transactions) end(b record.Batch) (abort *AbortedTransaction, needed bool) {
	t.begin(b.LastOffset())
	o := t.open[b.ProducerID()]
	delete(t.open, b.ProducerID())
	if o == nil || !o.seen {
		return nil, false
	}
	return o.abort, true
}
