package bufpool

import "testing"

func TestClassesHoldWhatTheyAreForAndWasteLittle(t *testing.T) {
	for _, n := range []int{0, 1, 500, 544, 545, 4096, 65536, 1 << 20, 1<<20 + 1<<16, 3<<20 + 7, 100 << 20, 118 << 20} {
		c := classFor(n)
		if c < 0 || classSize(c) < n || c > 0 && classSize(c-1) >= n {
			t.Errorf("%d bytes: class %d of %d", n, c, classSize(c))
		}
		if n > 1<<10 && classSize(c) > n+n/3 {
			t.Errorf("%d bytes take %d", n, classSize(c))
		}
	}
	if c := classFor(1 << 30); c != -1 {
		t.Errorf("a gigabyte is of class %d", c)
	}
	for c := 1; c < classes; c++ {
		if classSize(c) <= classSize(c-1) || classFor(classSize(c)) != c {
			t.Errorf("class %d: %d bytes after %d", c, classSize(c), classSize(c-1))
		}
	}
}

func TestAPoolKeepsNoMoreThanItsBound(t *testing.T) {
	p := NewPool(1 << 20)
	var held [][]byte
	for range 30 {
		held = append(held, p.Get(100<<10), p.Get(1000), p.Get(2<<20))
	}
	for _, b := range held {
		p.Put(b)
		if p.kept > 1<<20 {
			t.Fatalf("%d bytes are kept", p.kept)
		}
	}
	sum := 0
	for _, list := range p.free {
		for _, b := range list {
			sum += cap(b)
		}
	}
	if sum != p.kept || sum < 1<<19 {
		t.Errorf("%d bytes are there, %d are counted", sum, p.kept)
	}
	if len(p.free[classFor(1000)]) != 30 {
		t.Error("large buffers have driven out small ones")
	}
}

func TestABufferIsUsedAgain(t *testing.T) {
	p := NewPool(1 << 20)
	b := p.Get(5000)
	b[0] = 7
	p.Put(b[:10])
	if again := p.Get(4990); &again[0] != &b[0] || len(again) != 4990 {
		t.Error("another buffer")
	}
	if other := p.Get(4990); &other[0] == &b[0] {
		t.Error("the same buffer twice")
	}
	p.Put(make([]byte, 5000)) // not the pool's
	if p.kept != 0 {
		t.Error("a foreign buffer is kept")
	}
}
