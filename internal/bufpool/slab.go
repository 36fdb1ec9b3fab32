package bufpool

import (
	"sync"
	"sync/atomic"
)

// Slabs have SlabSize bytes. Smaller buffers than smallestInSlab and larger than LargestInSlab have memory
// of their own.
const (
	SlabSize       = 1 << 20
	LargestInSlab  = SlabSize / 2
	smallestInSlab = 4 << 10
	slabAlign      = 64
)

// Slabs hands out buffers of all sizes that lie one after the other in slabs, which are of one size: what
// was a slab of some becomes one of others as soon as all are done with theirs, where buffers with memory
// of their own, whose sizes differ from one moment to the next, would be garbage. They suit buffers that are
// done with at much the same time. Get is for one goroutine at a time. The zero value is without a limit.
type Slabs struct {
	now  *slab
	room *atomic.Int32 // for more slabs
}

// NewSlabs hands out buffers of at most n slabs at a time, and those beyond with memory of their own:
// so much may be in use for the sake of one small buffer in each.
func NewSlabs(n int) Slabs {
	s := Slabs{room: new(atomic.Int32)}
	s.room.Store(int32(n))
	return s
}

// slab is memory in use. Where a buffer is neither given back nor left, all of it is the garbage
// collector's.
type slab struct {
	room *atomic.Int32

	mu     sync.Mutex
	memory *[SlabSize]byte // nil when all is free again
	used   int             // bytes handed out, none of them twice
	live   int             // buffers
}

var slabs = sync.Pool{New: func() any { return new([SlabSize]byte) }}

// Buffer is memory that was taken from Slabs, or with memory of its own.
type Buffer struct {
	Bytes []byte
	slab  *slab // nil for one with memory of its own
}

// Get returns n bytes, whose content is anything.
func (s *Slabs) Get(n int) Buffer {
	if n < smallestInSlab || n > LargestInSlab {
		return Buffer{Bytes: Get(n)}
	}
	if s.now != nil {
		if b := s.now.take(n); b != nil {
			return Buffer{b, s.now}
		}
		s.now = nil
	}
	if s.room != nil && s.room.Add(-1) < 0 {
		s.room.Add(1)
		return Buffer{Bytes: Get(n)}
	}
	s.now = &slab{room: s.room, memory: slabs.Get().(*[SlabSize]byte)}
	return Buffer{s.now.take(n), s.now}
}

// take returns n bytes, nil where there are not so many or the slab is over.
func (s *slab) take(n int) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.memory == nil || n > SlabSize-s.used {
		return nil
	}
	from := s.used
	s.used += (n + slabAlign - 1) &^ (slabAlign - 1)
	s.live++
	return s.memory[from : from+n : from+n]
}

// Free gives the buffer back: nobody may use it afterwards. It returns how many bytes that makes free,
// those of other buffers among them that have waited for this one.
func (b *Buffer) Free() int {
	s, n := b.slab, len(b.Bytes)
	if s == nil {
		Put(b.Bytes)
	} else {
		n = s.free()
	}
	*b = Buffer{}
	return n
}

func (s *slab) free() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.live--; s.live > 0 {
		return 0
	}
	if s.memory != nil {
		slabs.Put(s.memory)
		s.over()
	}
	return s.used
}

// over ends the slab; the caller holds mu.
func (s *slab) over() {
	s.memory = nil
	if s.room != nil {
		s.room.Add(1)
	}
}

// Leave leaves the buffer to whoever may use it still, and its memory, in the end, to the garbage collector.
func (b *Buffer) Leave() {
	if s := b.slab; s != nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.memory != nil {
			s.over()
		}
	}
	*b = Buffer{}
}
