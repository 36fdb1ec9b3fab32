package protocol

import (
	"math/bits"
	"sync"
	"sync/atomic"
)

// Steps in which a frame's buffer grows while its bytes arrive. A peer has to send what is
// before a step to make the server take the next.
const (
	firstStep = 4 << 10  // in the connection's read buffer
	freeStep  = 64 << 10 // up to here without asking the budget
	bulkStep  = 2 << 20  // taken at once when freeStep has arrived; doubled from here on
)

// frame is a request's bytes, without the length prefix.
type frame struct {
	b     []byte
	class int   // size class, -1: not pooled
	held  int64 // bytes held from Server.frames
	small int64 // or from Conn.smallIn
	kept  atomic.Bool
}

// Size classes of pooled buffers: powers of two, each with room for the header around a batch
// of exactly that size.
const (
	minClass = 13 // 8 KiB
	maxClass = 24 // 16 MiB
)

func classSize(class int) int { return 1<<class + 1<<(class-4) }

// classFor returns the smallest class that holds n bytes, -1 if n is not worth pooling.
func classFor(n int) int {
	if n <= firstStep || n > classSize(maxClass) {
		return -1
	}
	class := max(bits.Len(uint(n-1))-1, minClass)
	if n > classSize(class) {
		class++
	}
	return class
}

// pools hold the buffers of each size class that no request uses.
type pools [maxClass - minClass + 1]sync.Pool

// grow makes the frame's buffer at least n bytes large, keeping the first have of them.
func (p *pools) grow(f *frame, n, have int) {
	old, oldClass := f.b, f.class
	if f.class = classFor(n); f.class < 0 {
		f.b = make([]byte, n)
	} else if b, ok := p[f.class-minClass].Get().(*[]byte); ok {
		f.b = *b
	} else {
		f.b = make([]byte, classSize(f.class))
	}
	copy(f.b, old[:have])
	p.put(old, oldClass)
}

func (p *pools) put(b []byte, class int) {
	if class >= 0 {
		b = b[:cap(b)]
		p[class-minClass].Put(&b)
	}
}
