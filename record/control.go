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

// Marker is the control record that ends a producer's transaction in a partition (KIP-98).
type Marker struct {
	ProducerID       int64
	ProducerEpoch    int16
	CoordinatorEpoch int32 // leader epoch of the coordinator that decided
	Commit           bool  // false aborts
}

// markerValueSize is version int16 and coordinator epoch int32.
const markerValueSize = 6

// AppendMarker appends the marker as a batch of one record, stamped with the time, ms.
func AppendMarker(dst []byte, m Marker, timestamp int64) []byte {
	w := NewBuilder(BuilderOptions{
		Producer:      &Producer{ID: m.ProducerID, Epoch: m.ProducerEpoch, Sequence: -1},
		Transactional: true,
		Control:       true,
	})
	typ := ControlAbort
	if m.Commit {
		typ = ControlCommit
	}
	key := binary.BigEndian.AppendUint16(make([]byte, 2, 4), uint16(typ))
	value := binary.BigEndian.AppendUint32(make([]byte, 2, markerValueSize), uint32(m.CoordinatorEpoch))
	w.Add(Record{Timestamp: timestamp, Key: key, Value: value})
	return append(dst, w.Build()...)
}

// ParseMarker reads a transaction's marker; the error is ErrInvalid for any other batch.
func ParseMarker(b Batch) (Marker, error) {
	typ, value, err := b.ControlRecord()
	if err != nil {
		return Marker{}, err
	}
	if typ != ControlAbort && typ != ControlCommit || len(value) < markerValueSize {
		return Marker{}, fmt.Errorf("control type %d with %d bytes: %w", typ, len(value), ErrInvalid)
	}
	return Marker{
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(),
		CoordinatorEpoch: int32(binary.BigEndian.Uint32(value[2:])), Commit: typ == ControlCommit,
	}, nil
}
