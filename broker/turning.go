package broker

import "sync"

// turning wakes all who wait for a turn.
type turning struct {
	mu   sync.Mutex
	wake chan struct{} // nil while nobody waits
}

// next returns a channel that is closed by the next turn.
func (t *turning) next() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wake == nil {
		t.wake = make(chan struct{})
	}
	return t.wake
}

func (t *turning) turn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.wake != nil {
		close(t.wake)
		t.wake = nil
	}
}
