// Package bufpool keeps the memory of buffers that are done with for those to come. What has not been
// needed between two garbage collections is let go: a burst's memory does not stay when it is over.
package bufpool

import (
	"math/bits"
	"sync"
	"unsafe"
)

// Sizes that are kept: four classes to each power of two, so that little is wasted, each with room
// for what surrounds a payload of just that size.
const (
	minShift = 9  // 512 B
	maxShift = 27 // 128 MiB
	steps    = 4
	classes  = (maxShift - minShift) * steps
)

// classSize is the capacity of a class's buffers.
func classSize(class int) int {
	base := 1 << (minShift + class/steps)
	size := base + class%steps*(base/steps)
	return size + size/16
}

// classFor returns the smallest class that holds n bytes, -1 where there is none.
func classFor(n int) int {
	shift := max(bits.Len(uint(max(n, 1)))-2, minShift) // classSize(its first class) is below n, or the smallest
	for c := (shift - minShift) * steps; c < classes; c++ {
		if classSize(c) >= n {
			return c
		}
	}
	return -1
}

// free has the buffers of each class, as pointers to their first bytes. All of the process share it:
// batches of records come in from clients and from other nodes, and take turns with the same memory.
var free [classes]sync.Pool

// Get returns n bytes, whose content is anything.
func Get(n int) []byte {
	c := classFor(n)
	if c < 0 {
		return make([]byte, n)
	}
	if first, ok := free[c].Get().(*byte); ok {
		return unsafe.Slice(first, classSize(c))[:n]
	}
	return make([]byte, n, classSize(c))
}

// Put gives back what Get returned, or any part of it that begins where it begins. Nobody may use
// it afterwards.
func Put(b []byte) {
	if c := classFor(cap(b)); c >= 0 && classSize(c) == cap(b) {
		free[c].Put(unsafe.SliceData(b))
	}
}
