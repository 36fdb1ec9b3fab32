package replication

import (
	"context"
	"sync"
	"time"
)

// shaper spreads bytes over time, for all transfers of a node together.
type shaper struct {
	mu   sync.Mutex
	free time.Time // when the next byte may go
}

// take waits until n bytes may go at a rate of bytes a second. Nothing is saved up while idle.
func (s *shaper) take(ctx context.Context, n, rate int64) error {
	s.mu.Lock()
	now := time.Now()
	if s.free.Before(now) {
		s.free = now
	}
	wait := s.free.Sub(now)
	s.free = s.free.Add(time.Duration(float64(n) / float64(rate) * float64(time.Second)))
	s.mu.Unlock()
	if wait <= 0 {
		return ctx.Err()
	}
	t := time.NewTimer(wait)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
