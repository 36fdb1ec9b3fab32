// Package freelist keeps values that are done with for those to come: at most a set number, which no garbage
// collection empties. It is for what every request needs and is small; internal/bufpool is for what is large.
package freelist

import "sync"

// List is safe for use by several goroutines. The one that was put last is taken first.
type List[T any] struct {
	mu   sync.Mutex
	free []*T
	max  int
}

// New returns a List of at most max values.
func New[T any](max int) *List[T] { return &List[T]{max: max} }

// Get takes a value off, nil where there is none.
func (l *List[T]) Get() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.free) - 1
	if last < 0 {
		return nil
	}
	v := l.free[last]
	l.free[last] = nil
	l.free = l.free[:last]
	return v
}

// Put gives back a value that nobody uses any more. Where there are enough it is let go.
func (l *List[T]) Put(v *T) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.free) < l.max {
		l.free = append(l.free, v)
	}
}
