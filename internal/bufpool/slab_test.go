package bufpool

import (
	"bytes"
	"math/rand"
	"testing"
)

func TestBuffersInSlabsAreEachOnesOwn(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	s := NewSlabs(3)
	type lent struct {
		Buffer
		mark byte
	}
	var held, left []lent
	for i := range 800 {
		if n := len(held); n > 0 && random.Intn(40) < n {
			k := random.Intn(n)
			if b := held[k]; !bytes.Equal(b.Bytes, bytes.Repeat([]byte{b.mark}, len(b.Bytes))) {
				t.Fatal("somebody else has written to a buffer")
			}
			if random.Intn(8) == 0 {
				left = append(left, lent{Buffer{Bytes: held[k].Bytes}, held[k].mark})
				held[k].Leave()
			} else {
				held[k].Free()
			}
			held[k] = held[n-1]
			held = held[:n-1]
			continue
		}
		n := []int{1, smallestInSlab, 5000, 70 << 10, LargestInSlab, LargestInSlab + 1}[random.Intn(6)]
		b := lent{s.Get(n), byte(i)}
		if len(b.Bytes) != n {
			t.Fatalf("%d bytes of %d", len(b.Bytes), n)
		}
		for j := range b.Bytes {
			b.Bytes[j] = b.mark
		}
		held = append(held, b)
	}
	for _, b := range left {
		if !bytes.Equal(b.Bytes, bytes.Repeat([]byte{b.mark}, len(b.Bytes))) {
			t.Fatal("somebody else has written to a buffer that was left to its user")
		}
	}
	for i := range held {
		held[i].Free()
	}
	if n := s.room.Load(); n != 3 {
		t.Errorf("room for %d slabs of 3", n)
	}
}

func TestASlabIsFreeWhenAllOfItIs(t *testing.T) {
	var s Slabs
	a, b := s.Get(100<<10), s.Get(200<<10)
	if a.slab != b.slab {
		t.Fatal("two buffers that follow each other are not in one slab")
	}
	if n := a.Free(); n != 0 {
		t.Errorf("%d bytes free while a buffer of the slab is in use", n)
	}
	if n := b.Free(); n != 300<<10 {
		t.Errorf("%d bytes free with the last buffer", n)
	}
	c := s.Get(100 << 10)
	c.Leave()
	if d := s.Get(100 << 10); d.slab == c.slab || d.slab.memory == nil {
		t.Error("a slab that was left to others is used on")
	}
}

func TestBeyondTheirNumberOfSlabsBuffersHaveMemoryOfTheirOwn(t *testing.T) {
	s := NewSlabs(1)
	a, b := s.Get(LargestInSlab), s.Get(LargestInSlab)
	c := s.Get(LargestInSlab)
	if a.slab != b.slab || c.slab != nil {
		t.Error("a slab too many, or too few")
	}
	a.Leave()
	if d := s.Get(LargestInSlab); d.slab == nil || d.slab == b.slab {
		t.Error("no slab in the place of one that was left")
	}
	if b.Free(); s.room.Load() != 0 {
		t.Errorf("room for %d slabs though one is in use", s.room.Load())
	}
}
