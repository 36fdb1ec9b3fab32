package protocol

import "encoding/binary"

// Bounds of one request, whatever its size.
const (
	maxElements = 1_000_000 // of an array
	maxTags     = 10_000    // tagged fields
)

// walker steps over the fields of a request without decoding them. After a step that did not
// fit, every further one is a no-op and failed reports true.
type walker struct {
	b    []byte
	tagN int // tagged fields seen
	bad  bool
}

func (w *walker) failed() bool { return w.bad || w.tagN > maxTags }

func (w *walker) span(n int) []byte {
	if w.bad || n < 0 || n > len(w.b) {
		w.bad = true
		return nil
	}
	s := w.b[:n:n]
	w.b = w.b[n:]
	return s
}

func (w *walker) int16() int16 {
	if s := w.span(2); s != nil {
		return int16(binary.BigEndian.Uint16(s))
	}
	return 0
}

func (w *walker) int32() int32 {
	if s := w.span(4); s != nil {
		return int32(binary.BigEndian.Uint32(s))
	}
	return 0
}

// uvarint reads an unsigned varint of at most 32 bits.
func (w *walker) uvarint() int {
	v, n := binary.Uvarint(w.b)
	if w.bad || n <= 0 || v > 1<<32-1 {
		w.bad = true
		return 0
	}
	w.b = w.b[n:]
	return int(v)
}

// length reads the length of a string: compact, or 16 bits. Null is 0.
func (w *walker) stringLen(compact bool) int {
	if compact {
		return max(w.uvarint()-1, 0)
	}
	return int(max(w.int16(), 0))
}

// bytesLen reads the length of bytes or an array: compact, or 32 bits. Null is 0.
func (w *walker) bytesLen(compact bool) int {
	if compact {
		return max(w.uvarint()-1, 0)
	}
	return int(max(w.int32(), 0))
}

// arrayLen reads the number of an array's elements, which take at least size bytes each.
func (w *walker) arrayLen(compact bool, size int) int {
	n := w.bytesLen(compact)
	if n > maxElements || n*size > len(w.b) {
		w.bad = true
		return 0
	}
	return n
}

// tags steps over tagged fields.
func (w *walker) tags() {
	n := w.uvarint()
	w.tagN += n
	for ; n > 0 && !w.failed(); n-- {
		w.uvarint()
		w.span(w.uvarint())
	}
}
