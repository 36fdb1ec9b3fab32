// Package record handles RecordBatch v2 (KIP-98), the one byte format that the wire, the disk
// and replication share. A batch is worked on where it lies; nothing here keeps it.
package record

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

// HeaderSize is the length of a batch's header, bytes; the records follow it.
const HeaderSize = 61

// Positions in the header. Base offset and leader epoch lie outside the CRC, so that a leader
// can fill them in without touching the rest.
const (
	posBaseOffset      = 0
	posLength          = 8 // of everything after this field
	posLeaderEpoch     = 12
	posMagic           = 16
	posCRC             = 17
	posAttributes      = 21 // the CRC covers everything from here
	posLastOffsetDelta = 23
	posBaseTimestamp   = 27
	posMaxTimestamp    = 35
	posProducerID      = 43
	posProducerEpoch   = 51
	posBaseSequence    = 53
	posNumRecords      = 57

	lengthOverhead = 12 // bytes of a batch that its length field does not count
	magicV2        = 2
)

// Bits of the attributes; the three lowest hold the codec.
const (
	attrCodec         = 0x07
	attrLogAppendTime = 0x08
	attrTransactional = 0x10
	attrControl       = 0x20
	attrDeleteHorizon = 0x40
)

// Batch is one whole batch, header included, at least HeaderSize bytes long: see Split.
type Batch []byte

// Split cuts the first batch off b. It checks the length, the magic and the minimum size, not
// the CRC. The errors are ErrShort, ErrMagic and ErrCorrupt.
func Split(b []byte) (batch Batch, rest []byte, err error) {
	if len(b) <= posMagic {
		return nil, b, fmt.Errorf("%d bytes: %w", len(b), ErrShort)
	}
	if b[posMagic] != magicV2 {
		return nil, b, fmt.Errorf("magic %d: %w", int8(b[posMagic]), ErrMagic)
	}
	n := int64(int32(binary.BigEndian.Uint32(b[posLength:])))
	if n < HeaderSize-lengthOverhead {
		return nil, b, fmt.Errorf("batch length %d: %w", n, ErrCorrupt)
	}
	n += lengthOverhead
	if n > int64(len(b)) {
		return nil, b, fmt.Errorf("%d bytes of a batch of %d: %w", len(b), n, ErrShort)
	}
	return Batch(b[:n:n]), b[n:], nil
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is the CRC32C that a batch carries over its bytes from the attributes on.
func Checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

func (b Batch) int16At(i int) int16 { return int16(binary.BigEndian.Uint16(b[i:])) }
func (b Batch) int32At(i int) int32 { return int32(binary.BigEndian.Uint32(b[i:])) }
func (b Batch) int64At(i int) int64 { return int64(binary.BigEndian.Uint64(b[i:])) }

// BaseOffset is the offset of the first record; a producer's batch has none that counts.
func (b Batch) BaseOffset() int64 { return b.int64At(posBaseOffset) }

// SetBaseOffset sets the offset of the first record. The CRC does not cover it.
func (b Batch) SetBaseOffset(o int64) { binary.BigEndian.PutUint64(b[posBaseOffset:], uint64(o)) }

// LeaderEpoch is the epoch of the leader that appended the batch, -1 before one did.
func (b Batch) LeaderEpoch() int32 { return b.int32At(posLeaderEpoch) }

// SetLeaderEpoch sets the leader epoch. The CRC does not cover it.
func (b Batch) SetLeaderEpoch(e int32) { binary.BigEndian.PutUint32(b[posLeaderEpoch:], uint32(e)) }

// CRC is the checksum that the batch carries.
func (b Batch) CRC() uint32 { return binary.BigEndian.Uint32(b[posCRC:]) }

// ValidCRC reports whether the bytes match the checksum.
func (b Batch) ValidCRC() bool { return b.CRC() == Checksum(b[posAttributes:]) }

func (b Batch) setCRC() { binary.BigEndian.PutUint32(b[posCRC:], Checksum(b[posAttributes:])) }

// Attributes are the batch's flags; the methods below name them.
func (b Batch) Attributes() int16 { return b.int16At(posAttributes) }

// Codec is how the records are compressed.
func (b Batch) Codec() Codec { return Codec(b.Attributes() & attrCodec) }

// IsLogAppendTime reports whether the broker's clock stamped the records, all with MaxTimestamp.
func (b Batch) IsLogAppendTime() bool { return b.Attributes()&attrLogAppendTime != 0 }

// IsTransactional reports whether the batch belongs to a transaction (KIP-98).
func (b Batch) IsTransactional() bool { return b.Attributes()&attrTransactional != 0 }

// IsControl reports whether the batch holds a control record, which consumers never see.
func (b Batch) IsControl() bool { return b.Attributes()&attrControl != 0 }

// HasDeleteHorizon reports whether BaseTimestamp is the time at which compaction may drop the
// batch's tombstones (KIP-534), rather than the first record's.
func (b Batch) HasDeleteHorizon() bool { return b.Attributes()&attrDeleteHorizon != 0 }

// LastOffsetDelta is the last record's offset less BaseOffset.
func (b Batch) LastOffsetDelta() int32 { return b.int32At(posLastOffsetDelta) }

// LastOffset is the offset of the last record.
func (b Batch) LastOffset() int64 { return b.BaseOffset() + int64(b.LastOffsetDelta()) }

// NextOffset is the offset after the last record.
func (b Batch) NextOffset() int64 { return b.LastOffset() + 1 }

// BaseTimestamp is what the records' timestamps are relative to, ms.
func (b Batch) BaseTimestamp() int64 { return b.int64At(posBaseTimestamp) }

// MaxTimestamp is the largest timestamp of the records, ms.
func (b Batch) MaxTimestamp() int64 { return b.int64At(posMaxTimestamp) }

// ProducerID is the idempotent producer's id, -1 for none.
func (b Batch) ProducerID() int64 { return b.int64At(posProducerID) }

// ProducerEpoch is the epoch of the producer, -1 for none.
func (b Batch) ProducerEpoch() int16 { return b.int16At(posProducerEpoch) }

// BaseSequence is the first record's number within its producer, -1 for none.
func (b Batch) BaseSequence() int32 { return b.int32At(posBaseSequence) }

// LastSequence is the last record's sequence number: after the largest int32 comes zero.
func (b Batch) LastSequence() int32 {
	first := b.BaseSequence()
	if first < 0 {
		return first
	}
	return int32((int64(first) + int64(b.LastOffsetDelta())) & 0x7fffffff)
}

// NumRecords is how many records the batch claims to hold.
func (b Batch) NumRecords() int32 { return b.int32At(posNumRecords) }

// Payload is the records, compressed as Codec says.
func (b Batch) Payload() []byte { return b[HeaderSize:] }

// SetLogAppendTime stamps the batch with the broker's clock, ms, and renews the CRC. Records
// then have this timestamp whatever their own deltas say.
func (b Batch) SetLogAppendTime(ms int64) {
	binary.BigEndian.PutUint16(b[posAttributes:], uint16(b.Attributes()|attrLogAppendTime))
	b.setMaxTimestamp(ms)
	b.setCRC()
}

func (b Batch) setMaxTimestamp(ms int64) { binary.BigEndian.PutUint64(b[posMaxTimestamp:], uint64(ms)) }

// Size is the length of the batch that begins with b, as its header says, unchecked: negative or
// too small for garbage. It needs the first 12 bytes.
func Size(b []byte) int {
	return int(int32(binary.BigEndian.Uint32(b[posLength:]))) + lengthOverhead
}
