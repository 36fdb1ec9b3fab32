package protocol

import (
	"container/list"
	"sync"
	"sync/atomic"
)

// budget shares memory, counted in bytes, between all connections of a server. Who asks for
// more than is left waits, first come first served.
type budget struct {
	total int64
	waits atomic.Int64 // requests that had to wait, ever

	mu      sync.Mutex
	used    int64
	waiters list.List // of *waiter
}

type waiter struct {
	n     int64
	ready chan struct{}
}

// acquire takes n bytes, waiting until they are there or one of the channels is closed; then
// it returns 0, false. It returns what it took: never more than the total, so that what is
// larger has the budget for itself.
func (b *budget) acquire(n int64, done, stop <-chan struct{}) (int64, bool) {
	n = min(n, b.total)
	b.mu.Lock()
	if b.waiters.Len() == 0 && b.used+n <= b.total {
		b.used += n
		b.mu.Unlock()
		return n, true
	}
	w := &waiter{n, make(chan struct{})}
	at := b.waiters.PushBack(w)
	b.mu.Unlock()
	b.waits.Add(1)
	select {
	case <-w.ready:
		return n, true
	case <-done:
	case <-stop:
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	select {
	case <-w.ready: // granted meanwhile
		b.used -= n
	default:
		b.waiters.Remove(at)
	}
	b.grant()
	return 0, false
}

// release gives n bytes back.
func (b *budget) release(n int64) {
	if n == 0 {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.grant()
}

// grant serves waiters in order as far as the budget reaches. The caller holds mu.
func (b *budget) grant() {
	for b.waiters.Len() > 0 {
		w := b.waiters.Front().Value.(*waiter)
		if b.used+w.n > b.total {
			return
		}
		b.used += w.n
		b.waiters.Remove(b.waiters.Front())
		close(w.ready)
	}
}

// contended reports whether somebody waits.
func (b *budget) contended() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.waiters.Len() > 0
}

func (b *budget) inUse() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.used
}
