package peers

import "time"

// call is a request that waits for its answer. Its memory has two owners: whoever asks, until it has
// looked at the answer, and the writer, while it has the frame. An answer may come before the writer
// has noted that the frame is written, so whichever lets go last gives the memory back: see release.
type call struct {
	id     uint64
	size   int
	frame  frame
	head   []byte      // memory of the frame's, beside what the caller gave
	answer chan answer // one fits
	short  []byte      // memory of a short answer
	late   *time.Timer // when it is given up
	over   bool        // whoever asked has let go; guarded by the link's mu
}

type answer struct {
	body []byte
	err  error
}

const (
	// maxSpare and maxKept bound the calls that wait to be used again, and their bytes.
	maxSpare = 256
	maxKept  = 1 << 20
	// sliceBytes is what a slice takes in a slice of them.
	sliceBytes = 24
)

// newCall returns a call that is given up at a deadline.
func (l *link) newCall(deadline time.Time) *call {
	left := time.Until(deadline)
	if c := l.takeSpare(); c != nil {
		c.late.Reset(left)
		return c
	}
	c := &call{answer: make(chan answer, 1), late: time.NewTimer(left)}
	c.frame.call = c
	return c
}

func (l *link) takeSpare() *call {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.spare) - 1
	if last < 0 {
		return nil
	}
	c := l.spare[last]
	l.spare[last] = nil
	l.spare, l.kept = l.spare[:last], l.kept-c.memory()
	return c
}

// release is called when a call has its answer, and that has been looked at.
func (l *link) release(c *call) {
	c.late.Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	c.over = true
	l.recycleLocked(c)
}

// recycleLocked is called by each owner of a call's memory when it has let go of it.
func (l *link) recycleLocked(c *call) {
	if !c.over || c.frame.stage != written {
		return
	}
	if m := c.memory(); len(l.spare) < maxSpare && l.kept+m <= maxKept {
		c.frame.stage, c.over = queued, false
		l.spare, l.kept = append(l.spare, c), l.kept+m
	}
}

// memory is how many bytes a call keeps for the next request.
func (c *call) memory() int {
	return cap(c.head) + cap(c.short) + sliceBytes*cap(c.frame.pieces)
}
