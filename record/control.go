package record

import (
	"encoding/binary"
	"fmt"
)

// ControlType says what a control record means; its key ends with it.
type ControlType int16

// The control types of Kafka that a partition's log can hold.
const (
	ControlAbort  ControlType = 0
	ControlCommit ControlType = 1
)

// maxControlBytes bounds what a control batch may unpack to; nobody compresses them.
const maxControlBytes = 64 << 10

// ControlRecord returns the type and the value of a control batch's one record.
func (b Batch) ControlRecord() (ControlType, []byte, error) {
	if !b.IsControl() {
		return 0, nil, fmt.Errorf("not a control batch: %w", ErrInvalid)
	}
	p, err := b.unpacked(maxControlBytes)
	if err != nil {
		return 0, nil, err
	}
	var f fields
	if _, err := f.parse(p); err != nil {
		return 0, nil, err
	}
	if len(f.key) < 4 { // version int16, type int16; newer versions may add to it
		return 0, nil, fmt.Errorf("control key of %d bytes: %w", len(f.key), ErrInvalid)
	}
	return ControlType(binary.BigEndian.Uint16(f.key[2:])), f.value, nil
}

// EndTxnMarker is the control record that ends a producer's transaction in a partition (KIP-98).
type EndTxnMarker struct {
	Commit           bool  // false aborts
	CoordinatorEpoch int32 // leader epoch of the coordinator that decided
}

// endTxnValueSize is version int16 and coordinator epoch int32.
const endTxnValueSize = 6

// Batch returns the marker as a batch of the producer, stamped with the time ms.
func (m EndTxnMarker) Batch(producerID int64, epoch int16, ms int64) Batch {
	w := NewBuilder(BuilderOptions{
		Producer:      &Producer{ID: producerID, Epoch: epoch, Sequence: -1},
		Transactional: true,
		Control:       true,
	})
	typ := ControlAbort
	if m.Commit {
		typ = ControlCommit
	}
	key := binary.BigEndian.AppendUint16(make([]byte, 2, 4), uint16(typ))
	value := binary.BigEndian.AppendUint32(make([]byte, 2, endTxnValueSize), uint32(m.CoordinatorEpoch))
	w.Add(Record{Timestamp: ms, Key: key, Value: value})
	return w.Build()
}

// ParseEndTxnMarker reads a transaction's marker; the error is ErrInvalid for any other batch.
func ParseEndTxnMarker(b Batch) (EndTxnMarker, error) {
	typ, value, err := b.ControlRecord()
	if err != nil {
		return EndTxnMarker{}, err
	}
	if typ != ControlAbort && typ != ControlCommit || len(value) < endTxnValueSize {
		return EndTxnMarker{}, fmt.Errorf("control type %d with %d bytes: %w", typ, len(value), ErrInvalid)
	}
	return EndTxnMarker{Commit: typ == ControlCommit, CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:]))}, nil
}
