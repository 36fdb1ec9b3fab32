package record

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
)

// Record is one record of a batch. A nil Key or Value is null.
type Record struct {
	Offset    int64
	Timestamp int64 // ms
	Key       []byte
	Value     []byte
	Headers   []Header
}

// Header is one key and value that a producer attached to a record. A nil Value is null.
type Header struct {
	Key   string
	Value []byte
}

// Records iterates over the batch's records. When it has ended, the function returned with it
// says whether all records were read, or what was wrong. Records alias the batch, or a buffer
// of their own of at most maxDecompressed bytes where it is compressed.
func (b Batch) Records(maxDecompressed int) (iter.Seq[Record], func() error) {
	var err error
	seq := func(yield func(Record) bool) {
		var p []byte
		if p, err = b.unpacked(maxDecompressed); err != nil {
			return
		}
		for range b.NumRecords() {
			var f fields
			if p, err = f.parse(p); err != nil {
				return
			}
			r, e := f.record(b)
			if err = e; err != nil || !yield(r) {
				return
			}
		}
		if len(p) > 0 {
			err = fmt.Errorf("%d bytes after the last record: %w", len(p), ErrInvalid)
		}
	}
	return seq, func() error { return err }
}

// unpacked is the records, decompressed into a buffer of their own where need be.
func (b Batch) unpacked(max int) ([]byte, error) {
	if b.Codec() == None {
		return b.Payload(), nil
	}
	return Decompress(b.Codec(), nil, b.Payload(), max)
}

// fields are a record's parts as they lie in the batch; nothing is copied.
type fields struct {
	timestampDelta int64
	offsetDelta    int32
	key, value     []byte
	headers        int
	headerBytes    []byte
}

// parse reads the record at the start of p and returns what follows it. Headers are checked too.
func (f *fields) parse(p []byte) (rest []byte, err error) {
	if rest, ok := f.parseUsual(p); ok {
		return rest, nil
	}
	return f.parseAny(p)
}

// parseUsual is parse for a record as nearly all are: without headers, and no number in it longer than
// two bytes. Validation is dominated by this where records are small.
func (f *fields) parseUsual(p []byte) (rest []byte, ok bool) {
	if len(p) < 2 {
		return nil, false
	}
	size, i := short(p, 0)
	end := i + int(size>>1)
	if size&1 != 0 || end > len(p) || end-i < 9 { // attributes, four numbers of two bytes
		return nil, false
	}
	p, rest = p[i:end:end], p[end:]
	last := len(p) - 1 // the number of headers; a number before it can be read, whatever it is
	t, i := short(p, 1)
	if i >= last {
		return nil, false
	}
	o, i := short(p, i)
	if i >= last {
		return nil, false
	}
	n, i := short(p, i)
	f.key, i = part(p, n, i)
	if i >= last {
		return nil, false
	}
	n, i = short(p, i)
	f.value, i = part(p, n, i)
	if i != last || p[last] != 0 {
		return nil, false
	}
	f.timestampDelta, f.offsetDelta, f.headers, f.headerBytes = int64(t>>1)^-int64(t&1), int32(o>>1)^-int32(o&1), 0, nil
	return rest, true
}

// far is beyond every batch.
const far = 1 << 30

// short reads a varint of one or two bytes, and returns where the next begins: far for a longer one.
// It is small enough to be inlined.
func short(p []byte, i int) (u uint32, next int) {
	u = uint32(p[i])
	if u < 0x80 {
		return u, i + 1
	}
	v := uint32(p[i+1])
	return u&0x7f | v&0x7f<<7, i + 2 + int(v>>7)*far
}

// part is the n bytes at i, n being as a varint stands for it, and where the next begins: far where they do
// not fit. Null is the only part without a length.
func part(p []byte, n uint32, i int) (part []byte, next int) {
	next = i + int(n>>1)
	switch {
	case n == 1:
		return nil, i
	case n&1 != 0 || next > len(p):
		return nil, far
	}
	return p[i:next:next], next
}

// parseAny is parse for all others.
func (f *fields) parseAny(p []byte) (rest []byte, err error) {
	c := cursor{b: p}
	size := c.varint()
	if c.bad || size < 0 || int(size) > len(c.b) {
		return nil, errRecordSize
	}
	c.b, rest = c.b[:size:size], c.b[size:]
	c.skip(1) // attributes: unused
	f.timestampDelta = c.varlong()
	f.offsetDelta = c.varint()
	f.key = c.bytes()
	f.value = c.bytes()
	f.headers = int(c.varint())
	f.headerBytes = c.b
	if c.bad || f.headers < 0 || f.headers > len(c.b)/minHeader {
		return nil, errRecord
	}
	for range f.headers {
		if k := c.bytes(); k == nil {
			return nil, errHeaderKey
		}
		c.bytes()
	}
	if c.bad {
		return nil, errRecord
	}
	if len(c.b) > 0 {
		return nil, errRecordSize
	}
	return rest, nil
}

// minHeader is the smallest header: an empty key and no value.
const minHeader = 2

// Kept as values so that refusing a batch costs no more than accepting it.
var (
	errRecordSize = fmt.Errorf("a record's size does not match its content: %w", ErrInvalid)
	errRecord     = fmt.Errorf("malformed record: %w", ErrInvalid)
	errHeaderKey  = fmt.Errorf("a header without a key: %w", ErrInvalid)
)

// record gives the fields the batch's offsets and timestamps.
func (f *fields) record(b Batch) (Record, error) {
	r := Record{
		Offset:    b.BaseOffset() + int64(f.offsetDelta),
		Timestamp: f.timestamp(b),
		Key:       f.key,
		Value:     f.value,
	}
	if f.headers == 0 {
		return r, nil
	}
	c := cursor{b: f.headerBytes}
	r.Headers = make([]Header, f.headers) // parse has found that many
	for i := range r.Headers {
		r.Headers[i] = Header{Key: string(c.bytes()), Value: c.bytes()}
	}
	return r, nil
}

func (f *fields) timestamp(b Batch) int64 {
	if b.IsLogAppendTime() {
		return b.MaxTimestamp()
	}
	return b.BaseTimestamp() + f.timestampDelta
}

// cursor reads varints and length-prefixed bytes; bad is set, and stays, once something did not
// fit.
type cursor struct {
	b   []byte
	bad bool
}

func (c *cursor) varlong() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return v
}

func (c *cursor) varint() int32 {
	if len(c.b) > 0 && c.b[0] < 0x80 { // most are a single byte
		u := c.b[0]
		c.b = c.b[1:]
		return int32(u>>1) ^ -int32(u&1)
	}
	v, n := binary.Varint(c.b)
	if n <= 0 || n > binary.MaxVarintLen32 || v < math.MinInt32 || v > math.MaxInt32 {
		c.fail()
		return 0
	}
	c.b = c.b[n:]
	return int32(v)
}

func (c *cursor) skip(n int) {
	if n > len(c.b) {
		c.fail()
		return
	}
	c.b = c.b[n:]
}

// bytes reads a length and as many bytes; a negative length is null.
func (c *cursor) bytes() []byte {
	n := c.varint()
	if n < 0 || c.bad {
		return nil
	}
	if int(n) > len(c.b) {
		c.fail()
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) fail() { c.b, c.bad = nil, true }
