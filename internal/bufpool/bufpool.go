// Package bufpool keeps the memory of buffers that are done with for those to come, up to a bound:
// what a burst has needed must not stay when it is over.
package bufpool

import (
	"math/bits"
	"sync"
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

// Pool keeps at most so many bytes.
type Pool struct {
	max int

	mu   sync.Mutex
	free [classes][][]byte
	kept int // bytes in free
}

// NewPool returns a pool that keeps at most so many bytes.
func NewPool(max int) *Pool { return &Pool{max: max} }

// Get returns n bytes, whose content is anything.
func (p *Pool) Get(n int) []byte {
	c := classFor(n)
	if c < 0 {
		return make([]byte, n)
	}
	p.mu.Lock()
	if last := len(p.free[c]) - 1; last >= 0 {
		b := p.take(c, last)
		p.mu.Unlock()
		return b[:n]
	}
	p.mu.Unlock()
	return make([]byte, n, classSize(c))
}

// Put gives back what Get returned, or any part of it that begins where it begins. Nobody may use
// it afterwards.
func (p *Pool) Put(b []byte) {
	c := classFor(cap(b))
	if c < 0 || classSize(c) != cap(b) || cap(b) > p.max {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.kept+cap(b) > p.max {
		largest := p.largest()
		p.take(largest, len(p.free[largest])-1)
	}
	p.free[c] = append(p.free[c], b)
	p.kept += cap(b)
}

// take removes a buffer from its class; the caller holds mu.
func (p *Pool) take(class, i int) []byte {
	b := p.free[class][i]
	p.free[class][i] = nil
	p.free[class] = p.free[class][:i]
	p.kept -= cap(b)
	return b
}

// largest is the class that keeps the most bytes; the caller holds mu.
func (p *Pool) largest() (class int) {
	most := 0
	for c := range p.free {
		if n := len(p.free[c]) * classSize(c); n > most {
			class, most = c, n
		}
	}
	return class
}
