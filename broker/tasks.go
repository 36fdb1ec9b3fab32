package broker

import "sync"

// tasks are goroutines that come and go, and whose owner waits for them.
type tasks struct {
	mu     sync.Mutex
	closed bool
	all    sync.WaitGroup
}

// run has f run, unless the owner has closed.
func (t *tasks) run(f func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closed {
		t.all.Go(f)
	}
}

// close waits for those that run; no further ones will.
func (t *tasks) close() {
	t.mu.Lock()
	t.closed = true
	t.mu.Unlock()
	t.all.Wait()
}
