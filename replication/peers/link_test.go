package peers

import (
	"testing"
	"time"
)

// A call's memory has two owners, who let go of it in either order: it is used again after the last of them,
// and never before.
func TestCallIsUsedAgainWhenWriterAndCallerHaveLetGo(t *testing.T) {
	for name, writerFirst := range map[string]bool{"the writer first": true, "the caller first": false} {
		t.Run(name, func(t *testing.T) {
			l := &link{wake: make(chan struct{}, 1)}
			c := l.newCall(time.Now().Add(time.Hour))
			c.head = append(c.head, "head"...)
			c.frame.pieces = append(c.frame.pieces, c.head)
			l.push(&c.frame)
			_, batch := l.take(nil, nil)
			steps := []func(){func() { l.wrote(batch) }, func() { l.release(c) }}
			if !writerFirst {
				steps[0], steps[1] = steps[1], steps[0]
			}
			steps[0]()
			if other := l.newCall(time.Now().Add(time.Hour)); other == c {
				t.Fatal("used again while it has an owner")
			}
			if !writerFirst && string(c.frame.pieces[0]) != "head" {
				t.Fatalf("the writer is left with %q", c.frame.pieces)
			}
			steps[1]()
			if again := l.newCall(time.Now().Add(time.Hour)); again != c {
				t.Fatal("not used again")
			}
			if other := l.newCall(time.Now().Add(time.Hour)); other == c {
				t.Fatal("used twice")
			}
			if len(c.frame.pieces) != 0 || c.frame.size != 0 || c.frame.stage != queued || c.over {
				t.Errorf("begins with %+v", c.frame)
			}
		})
	}
}

// What waits to be used again is bounded, in number and in bytes of each.
func TestSpareCallsAreBounded(t *testing.T) {
	l := &link{wake: make(chan struct{}, 1)}
	letGo := func(c *call) {
		c.frame.stage = written
		l.release(c)
	}
	calls := make([]*call, maxSpare+1)
	for i := range calls {
		calls[i] = l.newCall(time.Now().Add(time.Hour))
	}
	calls[0].head = make([]byte, maxKept+1)
	for _, c := range calls {
		letGo(c)
	}
	letGo(&call{late: time.NewTimer(time.Hour)})
	if len(l.spare) != maxSpare || l.spare[0] != calls[1] {
		t.Errorf("%d wait", len(l.spare))
	}
	l.spare = nil
	for _, c := range calls[:4] {
		c.head = make([]byte, maxKept/2)
		letGo(c)
	}
	if len(l.spare) != 2 || l.kept != maxKept {
		t.Errorf("%d wait with %d bytes", len(l.spare), l.kept)
	}
	l.takeSpare()
	if l.kept != maxKept/2 {
		t.Errorf("%d bytes are counted of one", l.kept)
	}
}
