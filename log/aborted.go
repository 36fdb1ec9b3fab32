package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
)

// AbortedTransaction is a transaction whose records readers of committed ones must skip.
type AbortedTransaction struct {
	ProducerID int64
	First      int64 // the transaction's first offset
	Last       int64 // of the marker that ended it
	// Stable was the last stable offset when the marker was applied: no transaction that is
	// aborted later concerns an offset below it.
	Stable int64
}

// A segment's aborted transactions are those whose markers it holds, in the order of the markers.
// The file is only ever appended to; each record has a checksum of its own, so that what a crash left
// of an append is told from what the checkpoint vouches for.
//
//	header  16 bytes: "QLTX", format uint16, zero uint16, base offset of the segment int64
//	record  36 bytes: producer id, first offset, last offset, last stable offset int64, CRC32C uint32
const (
	abortedHeaderSize = 16
	abortedSize       = 36
	abortedFormat     = 1
)

var abortedMagic = [4]byte{'Q', 'L', 'T', 'X'}

var errAborted = errors.New("malformed index of aborted transactions")

func appendAbortedHeader(dst []byte, base int64) []byte {
	dst = append(dst, abortedMagic[:]...)
	dst = binary.BigEndian.AppendUint16(dst, abortedFormat)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint64(dst, uint64(base))
}

func checkAbortedHeader(b []byte, base int64) error {
	if len(b) < abortedHeaderSize || [4]byte(b[:4]) != abortedMagic || int64(binary.BigEndian.Uint64(b[8:])) != base {
		return errAborted
	}
	if v := binary.BigEndian.Uint16(b[4:]); v != abortedFormat {
		return fmt.Errorf("format %d, this version reads %d: %w", v, abortedFormat, ErrFormat)
	}
	if b[6]|b[7] != 0 {
		return errAborted
	}
	return nil
}

func (a AbortedTransaction) append(dst []byte) []byte {
	n := len(dst)
	for _, v := range [...]int64{a.ProducerID, a.First, a.Last, a.Stable} {
		dst = binary.BigEndian.AppendUint64(dst, uint64(v))
	}
	return binary.BigEndian.AppendUint32(dst, crc32.Checksum(dst[n:], castagnoli))
}

// decodeAborted reads a record of abortedSize bytes.
func decodeAborted(b []byte) (a AbortedTransaction, err error) {
	be := binary.BigEndian
	if be.Uint32(b[32:]) != crc32.Checksum(b[:32], castagnoli) {
		return a, errAborted
	}
	a = AbortedTransaction{int64(be.Uint64(b)), int64(be.Uint64(b[8:])), int64(be.Uint64(b[16:])), int64(be.Uint64(b[24:]))}
	if a.ProducerID < 0 || a.First < 0 || a.Last <= a.First || a.Stable < 0 || a.Stable > a.Last+1 {
		return a, errAborted
	}
	return a, nil
}
