package group

import (
	"container/heap"
	"time"
)

// timer is a deadline that calls fire under its shard's lock. Times are since the shard's start.
//
// Pushing a deadline back, as every heartbeat does, only stores it: the timer keeps its place
// in the heap and is put back there when the old deadline comes.
type timer struct {
	fire   func()
	due    time.Duration // when to fire; 0: stopped
	queued time.Duration // where it stands in the heap
	index  int           // in the heap, plus one; 0: not in it
}

// timers is a shard's heap, soonest first.
type timers []*timer

func (h timers) Len() int           { return len(h) }
func (h timers) Less(i, j int) bool { return h[i].queued < h[j].queued }

func (h timers) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].index, h[j].index = i+1, j+1
}

// Push is heap.Interface's.
func (h *timers) Push(x any) {
	t := x.(*timer)
	*h = append(*h, t)
	t.index = len(*h)
}

// Pop is heap.Interface's.
func (h *timers) Pop() any {
	old := *h
	t := old[len(old)-1]
	old[len(old)-1] = nil
	*h = old[:len(old)-1]
	t.index = 0
	return t
}

// set moves a deadline.
func (h *timers) set(t *timer, due time.Duration) {
	t.due = due
	switch {
	case t.index == 0:
		t.queued = due
		heap.Push(h, t)
	case due < t.queued:
		t.queued = due
		heap.Fix(h, t.index-1)
	}
}

// stop makes sure that a timer does not fire.
func (h *timers) stop(t *timer) {
	t.due = 0
	if t.index > 0 {
		heap.Remove(h, t.index-1)
	}
}

// expired removes and returns one timer that is due, or nil.
func (h *timers) expired(now time.Duration) *timer {
	for len(*h) > 0 && (*h)[0].queued <= now {
		t := (*h)[0]
		if t.due > now {
			t.queued = t.due
			heap.Fix(h, 0)
			continue
		}
		heap.Pop(h)
		t.due = 0
		return t
	}
	return nil
}
