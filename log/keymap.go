package log

import (
	"hash/maphash"
	"math"
)

// keyMap holds the last offset of each key that was put, within a bound of memory. It keeps 96 bits
// of hash in the place of a key: for two of a hundred million keys to share them is a matter of
// 1 to 10¹³.
type keyMap struct {
	seeds [2]maphash.Seed
	slots []keySlot // a power of two
	used  int
	max   int   // slots
	base  int64 // what the slots' offsets count from
}

type keySlot struct {
	high uint64
	low  uint32
	rel  uint32 // offset - base + 1; 0 is free
}

const (
	keySlotSize  = 16 // bytes
	keyMapSmall  = 1 << 10
	keyMapFilled = 0.75 // of the slots, at most
)

// newKeyMap returns a map for offsets from base on that takes at most so many bytes, those counted
// that it needs to grow.
func newKeyMap(base int64, bytes int) *keyMap {
	m := &keyMap{seeds: [2]maphash.Seed{maphash.MakeSeed(), maphash.MakeSeed()}, max: keyMapSmall, base: base}
	for 3*m.max*keySlotSize <= bytes { // the next size, and this one while it is copied
		m.max *= 2
	}
	m.slots = make([]keySlot, keyMapSmall)
	return m
}

// put notes that the key was last seen at an offset, which must not be below that of any put
// before. It reports whether there was room.
func (m *keyMap) put(key []byte, offset int64) bool {
	high, low := m.hash(key)
	rel := offset - m.base + 1
	if rel > math.MaxUint32 {
		return false
	}
	s := m.slot(high, low)
	if s.rel == 0 {
		if float64(m.used) >= keyMapFilled*float64(len(m.slots)) {
			if len(m.slots) == m.max {
				return false
			}
			m.grow()
			s = m.slot(high, low)
		}
		m.used++
	}
	*s = keySlot{high, low, uint32(rel)}
	return true
}

// last returns the last offset of a key, -1 for none.
func (m *keyMap) last(key []byte) int64 {
	if s := m.slot(m.hash(key)); s.rel > 0 {
		return m.base + int64(s.rel) - 1
	}
	return -1
}

func (m *keyMap) hash(key []byte) (high uint64, low uint32) {
	return maphash.Bytes(m.seeds[0], key), uint32(maphash.Bytes(m.seeds[1], key))
}

// slot returns the key's place, or the free one where it would go.
func (m *keyMap) slot(high uint64, low uint32) *keySlot {
	mask := uint64(len(m.slots) - 1)
	for i := high & mask; ; i = (i + 1) & mask {
		if s := &m.slots[i]; s.rel == 0 || s.high == high && s.low == low {
			return s
		}
	}
}

func (m *keyMap) grow() {
	old := m.slots
	m.slots = make([]keySlot, 2*len(old))
	for _, s := range old {
		if s.rel > 0 {
			*m.slot(s.high, s.low) = s
		}
	}
}
