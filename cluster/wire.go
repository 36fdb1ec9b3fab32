package cluster

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"
)

// writer appends the primitive types of the metadata format.
type writer struct{ b []byte }

func (w *writer) uint(v uint64) { w.b = binary.AppendUvarint(w.b, v) }
func (w *writer) int(v int64)   { w.b = binary.AppendVarint(w.b, v) }
func (w *writer) id(id TopicID) { w.b = append(w.b, id[:]...) }

func (w *writer) bool(v bool) {
	if v {
		w.b = append(w.b, 1)
	} else {
		w.b = append(w.b, 0)
	}
}

func (w *writer) string(s string) {
	w.uint(uint64(len(s)))
	w.b = append(w.b, s...)
}

func (w *writer) ints(v []int32) {
	w.uint(uint64(len(v)))
	for _, n := range v {
		w.int(int64(n))
	}
}

func (w *writer) partitions(ps []Partition) {
	w.uint(uint64(len(ps)))
	for _, p := range ps {
		w.ints(p.Replicas)
		w.ints(p.Adding)
		w.ints(p.Removing)
		w.int(int64(p.Epoch))
		w.uint(uint64(len(p.Founders)))
		for _, v := range p.Founders {
			w.int(int64(v.ID))
			w.string(v.Identity)
		}
	}
}

// strings writes a map by key, so that equal images have equal bytes.
func (w *writer) strings(m map[string]string) {
	w.uint(uint64(len(m)))
	for _, k := range slices.Sorted(maps.Keys(m)) {
		w.string(k)
		w.string(m[k])
	}
}

// reader takes the primitive types from b. The first error stays and everything after it is
// zero. What it returns does not refer to b.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(what string) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s", ErrCorrupt, what)
	}
	r.b = nil
}

func (r *reader) uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail("number is cut off or too long")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail("number is cut off or too long")
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) bounded(lo, hi int64) int64 {
	v := r.int()
	if v < lo || v > hi {
		r.fail("number out of range")
		return 0
	}
	return v
}

func (r *reader) int32() int32 { return int32(r.bounded(math.MinInt32, math.MaxInt32)) }
func (r *reader) int16() int16 { return int16(r.bounded(math.MinInt16, math.MaxInt16)) }
func (r *reader) int8() int8   { return int8(r.bounded(math.MinInt8, math.MaxInt8)) }

// bytes takes the next n bytes, nil where there are fewer.
func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)) {
		r.fail("length beyond the end")
		return nil
	}
	b := r.b[:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) bool() bool {
	b := r.bytes(1)
	if len(b) == 1 && b[0] > 1 {
		r.fail("boolean is neither 0 nor 1")
	}
	return len(b) == 1 && b[0] == 1
}

func (r *reader) id() TopicID {
	var id TopicID
	copy(id[:], r.bytes(uint64(len(id))))
	return id
}

func (r *reader) string() string { return string(r.bytes(r.uint())) }

// count reads the number of elements, each at least one byte long.
func (r *reader) count() int {
	n := r.uint()
	if n > uint64(len(r.b)) {
		r.fail("count beyond the end")
		return 0
	}
	return int(n)
}

// ints is nil for an empty list.
func (r *reader) ints() []int32 {
	n := r.count()
	if n == 0 {
		return nil
	}
	v := make([]int32, n)
	for i := range v {
		v[i] = r.int32()
	}
	return v
}

// partitions reads a list; version 1 of the records that hold one has no founders.
func (r *reader) partitions(version uint64) []Partition {
	ps := make([]Partition, r.count())
	for i := range ps {
		ps[i] = Partition{Replicas: r.ints(), Adding: r.ints(), Removing: r.ints(), Epoch: r.int32()}
		if version > 1 {
			ps[i].Founders = r.voters()
		}
	}
	return ps
}

// voters is nil for an empty list.
func (r *reader) voters() []Voter {
	n := r.count()
	if n == 0 {
		return nil
	}
	v := make([]Voter, n)
	for i := range v {
		v[i] = Voter{ID: r.int32(), Identity: r.string()}
	}
	return v
}

func (r *reader) strings() map[string]string {
	n := r.count()
	if n == 0 {
		return nil
	}
	m := make(map[string]string)
	for range n {
		if k, v := r.string(), r.string(); r.err == nil {
			m[k] = v
		}
	}
	return m
}
