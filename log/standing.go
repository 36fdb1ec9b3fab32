package log

import (
	"math"

	"quorumlog/record"
)

// Standing is what decides on a producer's next batch: the outcome of those before it, whether
// they are committed or only in flight.
type Standing struct {
	Epoch            int16 // -1 for a producer that is not known
	LastSeq          int32 // of the epoch's last record, -1 before the first
	CoordinatorEpoch int32 // of the last marker, -1 before the first
	Open             bool  // there is a transaction
}

// Standing is the producer's standing by what has been applied.
func (t *Producers) Standing(id int64) Standing {
	p := t.m[id]
	if p == nil {
		return Standing{Epoch: -1, LastSeq: -1, CoordinatorEpoch: -1}
	}
	return Standing{p.Epoch, p.LastSeq(), p.CoordinatorEpoch, p.TxnStart >= 0}
}

// Check decides whether a batch that is not a repetition may come next. One without a sequence is
// a coordinator's, on behalf of the producer.
func (s Standing) Check(b record.Batch) error {
	switch {
	case b.ProducerEpoch() < s.Epoch:
		return ErrStaleEpoch
	case b.BaseSequence() >= 0 && !s.continues(b):
		return ErrOutOfOrderSequence
	case s.Open && !b.IsTransactional():
		return ErrTransactionState
	}
	return nil
}

// continues reports whether the batch's sequence is next.
func (s Standing) continues(b record.Batch) bool {
	switch {
	case s.Epoch < 0:
		return true // whoever is unknown may begin anywhere: retention or expiry may have removed its state
	case b.ProducerEpoch() > s.Epoch:
		return b.BaseSequence() == 0
	}
	return b.BaseSequence() == nextSequence(s.LastSeq)
}

// nextSequence follows seq; after the largest comes zero.
func nextSequence(seq int32) int32 {
	if seq == math.MaxInt32 {
		return 0
	}
	return seq + 1
}

// CheckMarker decides whether a transaction may be ended so. From transaction version 2 on every
// transaction ends with an epoch of its own, which nothing was written with before (KIP-890).
func (s Standing) CheckMarker(m record.Marker, txnVersion int16) error {
	switch {
	case m.ProducerEpoch < s.Epoch, txnVersion >= 2 && m.ProducerEpoch == s.Epoch:
		return ErrStaleEpoch
	case m.CoordinatorEpoch < s.CoordinatorEpoch:
		return ErrCoordinatorFenced
	}
	return nil
}

// After is the standing once the batch, which Check or CheckMarker has let pass, stands in the log.
func (s Standing) After(b record.Batch) Standing {
	if b.ProducerEpoch() != s.Epoch {
		s.Epoch, s.LastSeq = b.ProducerEpoch(), -1
	}
	if !b.IsControl() {
		s.Open = s.Open || b.IsTransactional()
		if b.BaseSequence() >= 0 {
			s.LastSeq = b.LastSequence()
		}
		return s
	}
	if m, err := record.ParseMarker(b); err == nil {
		s.CoordinatorEpoch, s.Open = m.CoordinatorEpoch, false
	}
	return s
}
