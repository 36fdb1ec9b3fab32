package log

import (
	"cmp"
	"errors"
	"maps"
	"math"
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

// Errors of a sequence check.
var (
	// ErrOutOfOrderSequence means that records before this batch are missing.
	ErrOutOfOrderSequence = errors.New("out of order sequence number")
	// ErrStaleEpoch means that a newer instance of the producer has written.
	ErrStaleEpoch = errors.New("producer epoch is stale")
	// ErrUnknownProducer means that the producer's state is gone and the batch is not its first.
	ErrUnknownProducer = errors.New("unknown producer")
)

// Producers is the table of a partition's idempotent producers: pure state, no locks.
type Producers struct {
	m map[int64]*ProducerState
}

// NewProducers returns a table with the given states.
func NewProducers(states []ProducerState) *Producers {
	t := &Producers{m: make(map[int64]*ProducerState, len(states))}
	for _, p := range states {
		t.m[p.ID] = &p
	}
	return t
}

// Check decides whether a batch may be appended. A batch that was appended before is returned
// as duplicate, with its first offset.
func (t *Producers) Check(b record.Batch) (dup *BatchRange, err error) {
	p := t.m[b.ProducerID()]
	first := b.BaseSequence()
	switch {
	case p == nil:
		// Whoever is unknown may begin anywhere: retention or expiry may have removed its state.
		return nil, nil
	case b.ProducerEpoch() < p.Epoch:
		return nil, ErrStaleEpoch
	case b.ProducerEpoch() > p.Epoch:
		if first != 0 {
			return nil, ErrOutOfOrderSequence
		}
		return nil, nil
	}
	last := b.LastSequence()
	for i := range p.Batches {
		if r := &p.Batches[i]; r.FirstSeq == first && r.LastSeq == last {
			return r, nil
		}
	}
	if first != nextSequence(p.LastSeq()) {
		return nil, ErrOutOfOrderSequence
	}
	return nil, nil
}

// nextSequence follows seq; after the largest comes zero.
func nextSequence(seq int32) int32 {
	if seq == math.MaxInt32 {
		return 0
	}
	return seq + 1
}

// Apply records a batch that stands in the log at its base offset.
func (t *Producers) Apply(b record.Batch) {
	id := b.ProducerID()
	if id < 0 || b.IsControl() {
		return
	}
	p := t.m[id]
	if p == nil {
		p = &ProducerState{ID: id, CoordinatorEpoch: -1, TxnStart: -1}
		t.m[id] = p
	}
	if b.ProducerEpoch() != p.Epoch {
		p.Epoch, p.Batches = b.ProducerEpoch(), p.Batches[:0]
	}
	if len(p.Batches) == rememberedBatches {
		p.Batches = append(p.Batches[:0], p.Batches[1:]...)
	}
	p.Batches = append(p.Batches, BatchRange{b.BaseSequence(), b.LastSequence(), b.BaseOffset(), b.MaxTimestamp()})
	p.LastTimestamp = b.MaxTimestamp()
}

// Expire forgets producers that last wrote before the timestamp (ms) and have no transaction.
// Kafka's producer.id.expiration.ms is Expire(now - expiration + 1): exactly so old is expired.
func (t *Producers) Expire(before int64) {
	maps.DeleteFunc(t.m, func(_ int64, p *ProducerState) bool { return p.TxnStart < 0 && p.LastTimestamp < before })
}

// Len is the number of producers known.
func (t *Producers) Len() int { return len(t.m) }

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
