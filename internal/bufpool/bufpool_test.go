package bufpool

import (
	"runtime"
	"runtime/debug"
	"testing"
	"weak"
)

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

// Under the race detector a sync.Pool forgets some of what it is given: some of many come back.
func TestBuffersAreUsedAgainEachByOne(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1))
	const many = 64
	given := map[*byte]bool{}
	var held [][]byte
	for range many {
		b := Get(5000)
		given[&b[0]] = true
		held = append(held, b[:10])
	}
	for _, b := range held {
		Put(b)
	}
	Put(make([]byte, 5000)) // not the pool's
	again, got := 0, map[*byte]bool{}
	for range many {
		b := Get(4990)
		if len(b) != 4990 || cap(b) != classSize(classFor(4990)) || got[&b[0]] {
			t.Fatalf("%d bytes of %d, already given out: %v", len(b), cap(b), got[&b[0]])
		}
		got[&b[0]] = true
		if given[&b[0]] {
			again++
		}
	}
	if again == 0 {
		t.Errorf("none of %d buffers came back", many)
	}
}

func TestWhatIsNotNeededIsLetGo(t *testing.T) {
	b := Get(1 << 20)
	kept := weak.Make(&b[0])
	Put(b)
	for range 10 {
		runtime.GC()
	}
	if kept.Value() != nil {
		t.Error("a megabyte that nobody has used stays")
	}
}
