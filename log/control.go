package log

import (
	"encoding/binary"
	"errors"
	"fmt"

	"quorumlog/record"
)

// Raft's own entries, and the header of every segment, are stored as RecordBatches with the
// control bit: one record whose key is (version int16, type int16) as in Kafka's control
// records, and whose value is the payload. They occupy no offset: lastOffsetDelta is -1, so the
// batch that follows has the same base offset. Kafka's types are 0 to 6; ours begin at 100.
const (
	controlSegment = 100
	controlMap     = 101 // see entryMap
	controlKind    = 100 // + Kind
)

const (
	attrControl     = 0x20
	noProducer      = -1
	controlKeySize  = 4
	controlOverhead = record.HeaderSize + 8 + controlKeySize + 2*binary.MaxVarintLen32
)

// appendControl appends to dst a control batch of type typ that stands at offset base.
func appendControl(dst []byte, base int64, term uint64, typ int16, payload []byte) []byte {
	var rec []byte
	rec = append(rec, 0, 0, 0) // attributes, timestamp delta, offset delta
	rec = binary.AppendVarint(rec, controlKeySize)
	rec = binary.BigEndian.AppendUint16(rec, 0)
	rec = binary.BigEndian.AppendUint16(rec, uint16(typ))
	rec = binary.AppendVarint(rec, int64(len(payload)))
	rec = append(rec, payload...)
	rec = append(rec, 0) // headers

	start := len(dst)
	dst = append(dst, make([]byte, record.HeaderSize)...)
	dst = binary.AppendVarint(dst, int64(len(rec)))
	dst = append(dst, rec...)

	h := dst[start:]
	be := binary.BigEndian
	be.PutUint64(h[0:], uint64(base))
	be.PutUint32(h[8:], uint32(len(h)-12))
	be.PutUint32(h[12:], uint32(term))
	h[16] = 2
	be.PutUint16(h[21:], attrControl)
	be.PutUint32(h[23:], 0xffffffff) // lastOffsetDelta -1
	be.PutUint64(h[27:], 0)
	be.PutUint64(h[35:], 0)
	putInt64(h[43:], noProducer)
	be.PutUint16(h[51:], 0xffff)
	be.PutUint32(h[53:], 0xffffffff)
	be.PutUint32(h[57:], 1)
	be.PutUint32(h[17:], record.Checksum(h[21:]))
	return dst
}

func putInt64(b []byte, v int64) { binary.BigEndian.PutUint64(b, uint64(v)) }

var errControl = errors.New("malformed control batch")

// parseControl returns the type and the payload of a control batch of ours.
func parseControl(b record.Batch) (typ int16, payload []byte, err error) {
	p := b.Payload()
	if b.LastOffsetDelta() != -1 {
		return 0, nil, errControl
	}
	length, n := binary.Varint(p)
	if n <= 0 || length < 3 || length != int64(len(p)-n) {
		return 0, nil, errControl
	}
	p = p[n+3:]
	key, n := binary.Varint(p)
	if n <= 0 || key != controlKeySize || len(p) < n+controlKeySize {
		return 0, nil, errControl
	}
	typ = int16(binary.BigEndian.Uint16(p[n+2:]))
	p = p[n+controlKeySize:]
	size, n := binary.Varint(p)
	if n <= 0 || size < 0 || size != int64(len(p)-n-1) {
		return 0, nil, errControl
	}
	return typ, p[n : n+int(size)], nil
}

// internal reports whether the batch is one of ours: invisible to consumers.
func internal(b record.Batch) bool { return b.IsControl() && b.LastOffsetDelta() == -1 }

// entryKind returns the Raft kind and payload of a stored batch.
func entryKind(b record.Batch) (Kind, []byte, error) {
	if !internal(b) {
		return KindData, b, nil
	}
	typ, payload, err := parseControl(b)
	if err != nil {
		return 0, nil, err
	}
	if typ == controlMap {
		return kindMap, payload, nil
	}
	k := Kind(typ - controlKind)
	if k < KindNoop || k > KindCommand {
		return 0, nil, fmt.Errorf("control type %d: %w", typ, errControl)
	}
	return k, payload, nil
}

// segmentHeader is the payload of the first batch of a segment: it makes a data file readable
// without any other file.
type segmentHeader struct {
	baseIndex uint64 // Raft index of the first entry
	prevTerm  uint64 // term of the entry before it
	compacted bool   // batches are missing, and the last one is an entryMap
}

const (
	segmentFormat     = 1
	compactedFormat   = 2
	segmentHeaderSize = record.HeaderSize + 29 // the whole batch, bytes
)

func (h segmentHeader) append(dst []byte, base int64) []byte {
	var p [18]byte
	format := uint16(segmentFormat)
	if h.compacted {
		format = compactedFormat
	}
	binary.BigEndian.PutUint16(p[:], format)
	binary.BigEndian.PutUint64(p[2:], h.baseIndex)
	binary.BigEndian.PutUint64(p[10:], h.prevTerm)
	return appendControl(dst, base, h.prevTerm, controlSegment, p[:])
}

func parseSegmentHeader(b record.Batch) (segmentHeader, error) {
	typ, p, err := parseControl(b)
	if err != nil {
		return segmentHeader{}, err
	}
	if typ != controlSegment || len(p) < 2 {
		return segmentHeader{}, errControl
	}
	format := binary.BigEndian.Uint16(p)
	if format < segmentFormat || format > compactedFormat {
		return segmentHeader{}, fmt.Errorf("segment format %d, this version reads up to %d: %w", format, compactedFormat, ErrFormat)
	}
	if len(p) != 18 {
		return segmentHeader{}, errControl
	}
	return segmentHeader{binary.BigEndian.Uint64(p[2:]), binary.BigEndian.Uint64(p[10:]), format == compactedFormat}, nil
}
