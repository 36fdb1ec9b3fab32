package record

import "encoding/binary"

// Producer is what an idempotent producer writes into its batches (KIP-98).
type Producer struct {
	ID       int64
	Epoch    int16
	Sequence int32 // of the batch's first record; -1 in transaction markers
}

// BuilderOptions say what a batch is besides its records.
type BuilderOptions struct {
	Codec Codec // one that Kafka does not define counts as None
	Level int   // of the codec, see Compress
	// Producer is nil for a batch of no idempotent producer.
	Producer      *Producer
	Transactional bool
	Control       bool
}

// Builder builds one batch.
type Builder struct {
	opts      BuilderOptions
	buf       []byte // room for the header, then the records
	n         int32
	base, max int64 // timestamps, ms
}

// NewBuilder returns a builder without records.
func NewBuilder(opts BuilderOptions) *Builder {
	return &Builder{opts: opts, buf: make([]byte, HeaderSize, 512), max: noTimestamp}
}

// Add appends a record, which is copied. Its offset is ignored: records stand in the order in
// which they are added.
func (w *Builder) Add(r Record) {
	if w.n == 0 {
		w.base = r.Timestamp
	}
	w.max = max(w.max, r.Timestamp)
	w.buf = appendRecord(w.buf, &r, w.n, r.Timestamp-w.base)
	w.n++
}

// Len is the number of records added.
func (w *Builder) Len() int { return int(w.n) }

// Size is what the batch would be without compression, bytes.
func (w *Builder) Size() int { return len(w.buf) }

// Build returns the batch, with base offset and leader epoch -1. The builder is used up.
func (w *Builder) Build() Batch {
	attrs := int16(0)
	if w.opts.Codec != None && w.opts.Codec.Valid() {
		packed, err := Compress(w.opts.Codec, w.opts.Level, make([]byte, HeaderSize, HeaderSize+len(w.buf)/2), w.buf[HeaderSize:])
		if err == nil {
			w.buf, attrs = packed, int16(w.opts.Codec)
		}
	}
	if w.opts.Transactional {
		attrs |= attrTransactional
	}
	if w.opts.Control {
		attrs |= attrControl
	}
	p := Producer{-1, -1, -1}
	if w.opts.Producer != nil {
		p = *w.opts.Producer
	}
	b := Batch(w.buf)
	be := binary.BigEndian
	b.SetBaseOffset(-1)
	be.PutUint32(b[posLength:], uint32(len(b)-lengthOverhead))
	b.SetLeaderEpoch(-1)
	b[posMagic] = magicV2
	be.PutUint16(b[posAttributes:], uint16(attrs))
	be.PutUint32(b[posLastOffsetDelta:], uint32(w.n-1))
	be.PutUint64(b[posBaseTimestamp:], uint64(w.base))
	b.setMaxTimestamp(w.max)
	be.PutUint64(b[posProducerID:], uint64(p.ID))
	be.PutUint16(b[posProducerEpoch:], uint16(p.Epoch))
	be.PutUint32(b[posBaseSequence:], uint32(p.Sequence))
	be.PutUint32(b[posNumRecords:], uint32(w.n))
	b.setCRC()
	return b
}

// appendRecord appends the i-th record of a batch.
func appendRecord(dst []byte, r *Record, i int32, timestampDelta int64) []byte {
	size := 1 + varintLen(timestampDelta) + varintLen(int64(i)) + bytesLen(r.Key) + bytesLen(r.Value) + varintLen(int64(len(r.Headers)))
	for _, h := range r.Headers {
		size += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	dst = binary.AppendVarint(dst, int64(size))
	dst = append(dst, 0) // attributes: unused
	dst = binary.AppendVarint(dst, timestampDelta)
	dst = binary.AppendVarint(dst, int64(i))
	dst = appendBytes(dst, r.Key)
	dst = appendBytes(dst, r.Value)
	dst = binary.AppendVarint(dst, int64(len(r.Headers)))
	for _, h := range r.Headers {
		dst = binary.AppendVarint(dst, int64(len(h.Key)))
		dst = append(dst, h.Key...)
		dst = appendBytes(dst, h.Value)
	}
	return dst
}

// appendBytes appends a length and the bytes; nil is null, length -1.
func appendBytes(dst, b []byte) []byte {
	if b == nil {
		return binary.AppendVarint(dst, -1)
	}
	return append(binary.AppendVarint(dst, int64(len(b))), b...)
}

func bytesLen(b []byte) int {
	if b == nil {
		return 1
	}
	return varintLen(int64(len(b))) + len(b)
}

// varintLen is how many bytes a zigzag varint takes.
func varintLen(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}
