package record

import (
	"errors"
	"fmt"
	"math"
	"sync"
)

// Limits are a topic's rules for what is produced to it. The zero value limits nothing but what
// no batch may break.
type Limits struct {
	// MaxBatchBytes is Kafka's max.message.bytes: the largest batch as sent; 0 means no limit.
	MaxBatchBytes int
	// MaxDecompressed bounds what a batch may unpack to, bytes; 0 means 256 MiB.
	MaxDecompressed int
	// RequireKey refuses records without a key, as compacted topics do.
	RequireKey bool
	// NoZstd refuses zstd, which came with Produce version 7 (KIP-110).
	NoZstd bool
	// MinTimestamp and MaxTimestamp bound the records' timestamps, ms, both inclusive: Kafka's
	// message.timestamp.before.max.ms and after.max.ms around the current time. A MaxTimestamp
	// of 0 means no bounds. Records without a timestamp (-1) pass.
	MinTimestamp, MaxTimestamp int64
}

// DefaultMaxDecompressed is the bound on unpacking where none is given, bytes.
const DefaultMaxDecompressed = 256 << 20

func (l *Limits) maxDecompressed() int {
	if l.MaxDecompressed > 0 {
		return l.MaxDecompressed
	}
	return DefaultMaxDecompressed
}

// RecordError says why a record of a batch was refused (KIP-467).
type RecordError struct {
	Index int // within the batch
	Err   error
}

// RecordErrors are the records for which a batch was refused, in order, the first maxRecordErrors.
type RecordErrors []RecordError

// maxRecordErrors bounds what an answer says of a batch.
const maxRecordErrors = 1000

func (e RecordErrors) Error() string {
	w := e.worst()
	if len(e) == 1 {
		return fmt.Sprintf("record %d: %v", w.Index, w.Err)
	}
	return fmt.Sprintf("%d records, such as record %d: %v", len(e), w.Index, w.Err)
}

// Unwrap gives the reason for the batch's refusal.
func (e RecordErrors) Unwrap() error { return e.worst().Err }

// worst is the first with a bad timestamp, as Kafka has it, or the first of all.
func (e RecordErrors) worst() RecordError {
	for _, r := range e {
		if errors.Is(r.Err, ErrTimestamp) {
			return r
		}
	}
	return e[0]
}

func (e *RecordErrors) add(i int32, err error) {
	if len(*e) < maxRecordErrors {
		*e = append(*e, RecordError{int(i), err})
	}
}

// Validate checks a batch that a client produced, as a leader does before it appends: size, CRC,
// counts, and every record. It refuses what Apache Kafka 4.3 refuses and a little more: offsets
// within the batch that are not consecutive (Kafka renumbers those of a compressed batch), a
// delete horizon, the log append time, and a producer id without an epoch. The errors wrap ErrCorrupt, ErrInvalid, ErrTimestamp, ErrTooLarge, ErrUnpacked or
// ErrUnsupportedCodec, within RecordErrors where records are to blame. A max timestamp that
// is not the largest of the records is corrected, CRC included, as Kafka does. Nothing is
// allocated for an accepted batch without compression.
func Validate(b Batch, l Limits) error {
	if l.MaxBatchBytes > 0 && len(b) > l.MaxBatchBytes {
		return fmt.Errorf("%d bytes where %d are allowed: %w", len(b), l.MaxBatchBytes, ErrTooLarge)
	}
	if len(b) < HeaderSize || int(b.int32At(posLength)) != len(b)-lengthOverhead {
		return fmt.Errorf("%d bytes do not hold one batch: %w", len(b), ErrCorrupt)
	}
	if b[posMagic] != magicV2 {
		return fmt.Errorf("magic %d: %w: %w", int8(b[posMagic]), ErrMagic, ErrInvalid)
	}
	if !b.ValidCRC() {
		return fmt.Errorf("CRC is %08x, the header says %08x: %w", Checksum(b[posAttributes:]), b.CRC(), ErrCorrupt)
	}
	if err := validateHeader(b, &l); err != nil {
		return err
	}
	payload, done, err := borrow(b, l.maxDecompressed())
	if err != nil {
		return err
	}
	newest, err := validateRecords(b, payload, &l)
	done()
	if err != nil {
		return err
	}
	if newest != b.MaxTimestamp() {
		b.setMaxTimestamp(newest)
		b.setCRC()
	}
	return nil
}

func validateHeader(b Batch, l *Limits) error {
	n := b.NumRecords()
	switch {
	case !b.Codec().Valid() || l.NoZstd && b.Codec() == Zstd:
		return unsupported(b.Codec())
	case n <= 0:
		return fmt.Errorf("%d records: %w", n, ErrInvalid)
	case b.LastOffsetDelta() != n-1:
		return fmt.Errorf("last offset delta %d for %d records: %w", b.LastOffsetDelta(), n, ErrInvalid)
	case b.BaseOffset() > 0:
		return fmt.Errorf("base offset %d from a client: %w", b.BaseOffset(), ErrInvalid)
	case b.IsControl():
		return fmt.Errorf("a control batch from a client: %w", ErrInvalid)
	case b.HasDeleteHorizon():
		return fmt.Errorf("a delete horizon from a client: %w", ErrInvalid)
	case b.ProducerID() >= 0 && b.BaseSequence() < 0:
		return fmt.Errorf("sequence %d of producer %d: %w", b.BaseSequence(), b.ProducerID(), ErrInvalid)
	case b.ProducerID() >= 0 && b.ProducerEpoch() < 0:
		return fmt.Errorf("epoch %d of producer %d: %w", b.ProducerEpoch(), b.ProducerID(), ErrInvalid)
	case b.IsTransactional() && b.ProducerID() < 0:
		return fmt.Errorf("a transaction without a producer id: %w", ErrInvalid)
	case b.IsLogAppendTime():
		return fmt.Errorf("a client must not set the log append time: %w", ErrTimestamp)
	}
	return nil
}

// validateRecords checks the unpacked records and returns their largest timestamp, -1 for none.
func validateRecords(b Batch, p []byte, l *Limits) (newest int64, err error) {
	newest = noTimestamp
	base, n := b.BaseTimestamp(), b.NumRecords()
	var f fields
	var bad RecordErrors
	for i := range n {
		if p, err = f.parse(p); err != nil {
			return 0, RecordErrors{{int(i), err}}
		}
		t := base + f.timestampDelta
		switch {
		case f.offsetDelta != i:
			return 0, RecordErrors{{int(i), errOffsetDelta}}
		case l.RequireKey && f.key == nil:
			bad.add(i, errNoKey)
		case l.MaxTimestamp > 0 && t != noTimestamp && (t < l.MinTimestamp || t > l.MaxTimestamp):
			bad.add(i, fmt.Errorf("timestamp %d is not in [%d, %d]: %w", t, l.MinTimestamp, l.MaxTimestamp, ErrTimestamp))
		}
		newest = max(newest, t)
	}
	switch {
	case len(p) > 0:
		return 0, errTrailing
	case bad != nil:
		return 0, bad
	}
	return newest, nil
}

const noTimestamp = -1

var (
	errOffsetDelta = fmt.Errorf("offsets are not consecutive: %w", ErrInvalid)
	errNoKey       = fmt.Errorf("a compacted topic needs a key: %w", ErrInvalid)
	errTrailing    = fmt.Errorf("bytes after the last record: %w", ErrInvalid)
)

// scratch lends buffers for unpacking what is looked at and not kept.
var scratch = sync.Pool{New: func() any { return new([]byte) }}

// maxScratch is the largest buffer kept for the next time, bytes.
const maxScratch = 4 << 20

func nothing() {}

// borrow returns the unpacked records of b until done is called.
func borrow(b Batch, max int) (payload []byte, done func(), err error) {
	if b.Codec() == None {
		return b.Payload(), nothing, nil
	}
	buf := scratch.Get().(*[]byte)
	out, err := Decompress(b.Codec(), (*buf)[:0], b.Payload(), min(max, math.MaxInt32))
	if cap(out) <= maxScratch {
		*buf = out
	}
	done = func() { scratch.Put(buf) }
	if err != nil {
		done()
		return nil, nil, err
	}
	return out, done, nil
}
