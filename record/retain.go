package record

import "encoding/binary"

// Retainer leaves out records of batches, as compaction does. What it returns stays valid until the
// next call; it keeps its buffers, and is not for concurrent use.
type Retainer struct {
	unpacked []byte // a batch's records
	records  []byte // those that stay
	out      []byte
	keep     []bool // of each record
}

// Retained is what is left of a batch.
type Retained struct {
	Batch      Batch // the batch that was given, where nothing has changed
	Records    int   // in it
	Tombstones bool  // some of them have no value
}

// Retain leaves the records that keep wants. Base offset, last offset and sequence numbers stay, so
// that a batch without any records still tells how far its producer was (KIP-98). A batch that has
// tombstones and no delete horizon gets this one, ms, unless it is 0 (KIP-534). max bounds what the
// batch may unpack to, bytes.
func (r *Retainer) Retain(b Batch, max int, horizon int64, keep func(offset int64, key []byte, tombstone bool) bool) (Retained, error) {
	payload, err := r.unpack(b, max)
	if err != nil {
		return Retained{}, err
	}
	left, size, err := r.choose(b, payload, keep)
	if err != nil {
		return Retained{}, err
	}
	stamp := left.Tombstones && horizon > 0 && !b.HasDeleteHorizon()
	switch {
	case left.Records == len(r.keep) && !stamp:
		left.Batch = b
	case left.Records == 0:
		left.Batch = r.Head(b)
	default:
		if !stamp {
			horizon = 0
		}
		left.Batch, err = r.rebuild(b, payload, left.Records, size, horizon)
	}
	return left, err
}

// Walk calls yield for every record until it returns false. max bounds what the batch may unpack
// to, bytes.
func (r *Retainer) Walk(b Batch, max int, yield func(offset int64, key []byte) bool) error {
	p, err := r.unpack(b, max)
	if err != nil {
		return err
	}
	var f fields
	for range b.NumRecords() {
		if p, err = f.parse(p); err != nil {
			return err
		}
		if !yield(b.BaseOffset()+int64(f.offsetDelta), f.key) {
			return nil
		}
	}
	return nil
}

func (r *Retainer) unpack(b Batch, max int) (p []byte, err error) {
	if b.Codec() == None {
		return b.Payload(), nil
	}
	r.unpacked, err = Decompress(b.Codec(), r.unpacked[:0], b.Payload(), max)
	return r.unpacked, err
}

// choose asks for each record whether it stays, and returns the size of those that do.
func (r *Retainer) choose(b Batch, p []byte, keep func(offset int64, key []byte, tombstone bool) bool) (left Retained, size int, err error) {
	r.keep = r.keep[:0]
	base := b.BaseOffset()
	var f fields
	for range b.NumRecords() {
		rest, err := f.parse(p)
		if err != nil {
			return left, 0, err
		}
		stays := keep(base+int64(f.offsetDelta), f.key, f.value == nil)
		if stays {
			left.Records++
			left.Tombstones = left.Tombstones || f.value == nil
			size += len(p) - len(rest)
		}
		r.keep = append(r.keep, stays)
		p = rest
	}
	if len(p) > 0 {
		return left, 0, errTrailing
	}
	return left, size, nil
}

// rebuild makes a batch of the records that stay.
func (r *Retainer) rebuild(b Batch, p []byte, n, size int, horizon int64) (Batch, error) {
	base := b.BaseTimestamp()
	if horizon > 0 {
		base = horizon
	}
	r.records = grow(r.records[:0], size+n*binary.MaxVarintLen64)
	newest := int64(noTimestamp)
	var f fields
	for _, stays := range r.keep {
		rest, err := f.parse(p)
		if err != nil {
			return nil, err
		}
		if stays {
			newest = max(newest, f.timestamp(b))
			r.records = appendRetimed(r.records, p[:len(p)-len(rest)], f.timestampDelta+b.BaseTimestamp()-base, base != b.BaseTimestamp())
		}
		p = rest
	}
	out, err := Compress(b.Codec(), 0, append(r.out[:0], b[:HeaderSize]...), r.records)
	if err != nil {
		return nil, err
	}
	r.out = out
	c := Batch(out)
	binary.BigEndian.PutUint64(c[posBaseTimestamp:], uint64(base))
	if horizon > 0 {
		c.setAttributes(c.Attributes() | attrDeleteHorizon)
	}
	c.setMaxTimestamp(newest)
	c.finish(n)
	return c, nil
}

// appendRetimed appends a record whose timestamp counts from elsewhere, or as it is.
func appendRetimed(dst, rec []byte, delta int64, changed bool) []byte {
	if !changed {
		return append(dst, rec...)
	}
	c := cursor{b: rec}
	c.varint()
	attributes := c.b[0]
	c.skip(1)
	c.varlong()
	dst = binary.AppendVarint(dst, int64(1+varintLen(delta)+len(c.b)))
	dst = append(dst, attributes)
	dst = binary.AppendVarint(dst, delta)
	return append(dst, c.b...)
}

// Head returns the batch without its records.
func (r *Retainer) Head(b Batch) Batch {
	r.out = append(r.out[:0], b[:HeaderSize]...)
	c := Batch(r.out)
	c.setAttributes(c.Attributes() &^ (attrCodec | attrDeleteHorizon))
	binary.BigEndian.PutUint64(c[posBaseTimestamp:], uint64(b.MaxTimestamp()))
	c.finish(0)
	return c
}

// WithDeleteHorizon returns a copy of a batch of one record, a transaction's marker, that may go
// after this time, ms.
func (r *Retainer) WithDeleteHorizon(b Batch, horizon int64) (Batch, error) {
	r.keep = append(r.keep[:0], true)
	return r.rebuild(b, b.Payload(), 1, len(b), horizon)
}

func (b Batch) setAttributes(a int16) { binary.BigEndian.PutUint16(b[posAttributes:], uint16(a)) }

// finish fills in length, number of records and CRC.
func (b Batch) finish(records int) {
	binary.BigEndian.PutUint32(b[posLength:], uint32(len(b)-lengthOverhead))
	binary.BigEndian.PutUint32(b[posNumRecords:], uint32(records))
	b.setCRC()
}
