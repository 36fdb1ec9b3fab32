package group

import (
	"context"
	"sync"
	"time"
)

// waiter is a request that is answered later. Its fields belong to its shard's mutex.
type waiter[R any] struct {
	mu   *sync.Mutex
	resp R
	done chan struct{}
	gone bool // answered, or the client no longer waits: resp must not be touched
}

func newWaiter[R any](mu *sync.Mutex, resp R) *waiter[R] {
	return &waiter[R]{mu: mu, resp: resp, done: make(chan struct{})}
}

// answer fills the response and ends the wait. Later answers are ignored.
func (w *waiter[R]) answer(fill func(resp R)) {
	if w == nil || w.gone {
		return
	}
	fill(w.resp)
	w.gone = true
	close(w.done)
}

// wait returns when the response is ready or ctx has ended. It takes the shard's mutex.
func (w *waiter[R]) wait(ctx context.Context) {
	select {
	case <-w.done:
	case <-ctx.Done():
		w.mu.Lock()
		w.gone = true
		w.mu.Unlock()
	}
}

// waitAtMost is wait, but after d the request is answered by late.
func (w *waiter[R]) waitAtMost(d time.Duration, late func(resp R)) func(context.Context) {
	return func(ctx context.Context) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-w.done:
		case <-timer.C:
			w.mu.Lock()
			w.answer(late)
			w.mu.Unlock()
		case <-ctx.Done():
			w.mu.Lock()
			w.gone = true
			w.mu.Unlock()
		}
	}
}
