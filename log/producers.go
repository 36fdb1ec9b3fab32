package log

import (
	"cmp"
	"errors"
	"maps"
	"slices"

	"quorumlog/record"
)

// rememberedBatches is how many of a producer's last batches are kept, so that a repeated one
// is answered with its first offset (KIP-98: as many as a client may have in flight).
const rememberedBatches = 5

// BatchRange is one remembered batch of a producer.
type BatchRange struct {
	FirstSeq  int32 `json:"first_seq"`
	LastSeq   int32 `json:"last_seq"`
	Offset    int64 `json:"offset"`    // of the first record
	Timestamp int64 `json:"timestamp"` // ms, the batch's largest
}

// ProducerState is what a partition knows of one idempotent producer.
type ProducerState struct {
	ID      int64        `json:"id"`
	Epoch   int16        `json:"epoch"`
	Batches []BatchRange `json:"batches"` // oldest first, at most five
	// LastTimestamp is when the producer last wrote, ms; idle producers expire.
	LastTimestamp int64 `json:"last_timestamp"`
	// CoordinatorEpoch is that of the last transaction marker, -1 before the first.
	CoordinatorEpoch int32 `json:"coordinator_epoch"`
	// TxnStart is the first offset of the open transaction, -1 when there is none.
	TxnStart int64 `json:"txn_start"`
}

// LastSeq is the sequence of the producer's last record, -1 before the first.
func (p *ProducerState) LastSeq() int32 {
	if len(p.Batches) == 0 {
		return -1
	}
	return p.Batches[len(p.Batches)-1].LastSeq
}

// Errors of a check; they are Kafka's.
var (
	// ErrOutOfOrderSequence means that records before this batch are missing.
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrStaleEpoch means that a newer instance of the producer has written, or that its
	// transaction has been ended.
	ErrStaleEpoch = errors.New("producer epoch is stale")
	// ErrUnknownProducer means that the producer's state is gone and the batch is not its first.
	ErrUnknownProducer = errors.New("unknown producer")
	// ErrTransactionState means a batch outside of the transaction that its producer has open, or
	// one of a transaction that has ended.
	ErrTransactionState = errors.New("not part of the producer's transaction")
	// ErrCoordinatorFenced means a marker of a coordinator that another one has replaced.
	ErrCoordinatorFenced = errors.New("transaction coordinator is fenced")
)

// Producers is the table of a partition's idempotent producers: pure state, no locks.
type Producers struct {
	m    map[int64]*ProducerState
	open []*ProducerState // those with a transaction, by its first offset
}

// NewProducers returns a table with the given states.
func NewProducers(states []ProducerState) *Producers {
	t := &Producers{m: make(map[int64]*ProducerState, len(states))}
	for _, p := range states {
		t.m[p.ID] = &p
		if p.TxnStart >= 0 {
			t.open = append(t.open, &p)
		}
	}
	slices.SortFunc(t.open, func(a, b *ProducerState) int { return cmp.Compare(a.TxnStart, b.TxnStart) })
	return t
}

// Repeated returns what is remembered of a batch that was appended before, nil for any other.
func (t *Producers) Repeated(b record.Batch) *BatchRange {
	p := t.m[b.ProducerID()]
	if p == nil || b.BaseSequence() < 0 || b.ProducerEpoch() != p.Epoch {
		return nil
	}
	for i := range p.Batches {
		if r := &p.Batches[i]; r.FirstSeq == b.BaseSequence() && r.LastSeq == b.LastSequence() {
			return r
		}
	}
	return nil
}

// Check decides whether a batch may be appended. A batch that was appended before is returned
// as duplicate, with its first offset.
func (t *Producers) Check(b record.Batch) (dup *BatchRange, err error) {
	if dup := t.Repeated(b); dup != nil {
		return dup, nil
	}
	return nil, t.Standing(b.ProducerID()).Check(b)
}

// Apply records a batch that stands in the log at its base offset, and reports the transaction
// that it has aborted, if any.
func (t *Producers) Apply(b record.Batch) (aborted AbortedTransaction, ok bool) {
	switch {
	case b.ProducerID() < 0:
	case b.IsControl():
		return t.applyMarker(b)
	default:
		t.applyData(b)
	}
	return AbortedTransaction{}, false
}

func (t *Producers) applyData(b record.Batch) {
	p := t.enter(b)
	if b.BaseSequence() >= 0 {
		if len(p.Batches) == rememberedBatches {
			p.Batches = append(p.Batches[:0], p.Batches[1:]...)
		}
		p.Batches = append(p.Batches, BatchRange{b.BaseSequence(), b.LastSequence(), b.BaseOffset(), b.MaxTimestamp()})
	}
	if b.IsTransactional() && p.TxnStart < 0 {
		p.TxnStart = b.BaseOffset()
		t.open = append(t.open, p)
	}
}

// enter returns the state of the batch's producer, with its epoch and time.
func (t *Producers) enter(b record.Batch) *ProducerState {
	p := t.m[b.ProducerID()]
	if p == nil {
		p = &ProducerState{ID: b.ProducerID(), CoordinatorEpoch: -1, TxnStart: -1}
		t.m[p.ID] = p
	}
	if b.ProducerEpoch() != p.Epoch {
		p.Epoch, p.Batches = b.ProducerEpoch(), p.Batches[:0]
	}
	p.LastTimestamp = b.MaxTimestamp()
	return p
}

// applyMarker ends a transaction. What compaction has left of a marker, a batch without a record,
// says nothing any more.
func (t *Producers) applyMarker(b record.Batch) (aborted AbortedTransaction, ok bool) {
	m, err := record.ParseMarker(b)
	if err != nil {
		return aborted, false
	}
	p := t.enter(b)
	p.CoordinatorEpoch = m.CoordinatorEpoch
	if p.TxnStart < 0 {
		return aborted, false
	}
	aborted = AbortedTransaction{ProducerID: p.ID, First: p.TxnStart, Last: b.LastOffset(), Stable: b.NextOffset()}
	p.TxnStart = -1
	t.open = slices.DeleteFunc(t.open, func(q *ProducerState) bool { return q == p })
	if first, ok := t.FirstUnstable(); ok {
		aborted.Stable = first
	}
	return aborted, !m.Commit
}

// FirstUnstable is the first offset of the oldest transaction that is open.
func (t *Producers) FirstUnstable() (offset int64, ok bool) {
	if len(t.open) == 0 {
		return -1, false
	}
	return t.open[0].TxnStart, true
}

// Expire forgets producers that last wrote before the timestamp (ms) and have no transaction.
// Kafka's producer.id.expiration.ms is Expire(now - expiration + 1): exactly so old is expired.
func (t *Producers) Expire(before int64) {
	maps.DeleteFunc(t.m, func(_ int64, p *ProducerState) bool { return p.TxnStart < 0 && p.LastTimestamp < before })
}

// Len is the number of producers known.
func (t *Producers) Len() int { return len(t.m) }

// Open is the number of transactions that are open, and when the producer of the oldest one last
// wrote, ms.
func (t *Producers) Open() (n int, lastTimestamp int64) {
	if len(t.open) == 0 {
		return 0, -1
	}
	return len(t.open), t.open[0].LastTimestamp
}

// Snapshot copies all states, ordered by id.
func (t *Producers) Snapshot() []ProducerState {
	out := make([]ProducerState, 0, len(t.m))
	for _, p := range t.m {
		c := *p
		c.Batches = slices.Clone(p.Batches)
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b ProducerState) int { return cmp.Compare(a.ID, b.ID) })
	return out
}
