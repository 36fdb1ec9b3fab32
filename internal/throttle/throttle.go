// Package throttle spreads bytes over time.
package throttle

import (
	"context"
	"sync"
	"time"
)

// Bytes lets bytes pass at a rate, those of all callers together. What was not used is not saved up. The zero
// value has no slack.
type Bytes struct {
	// Slack is how far ahead of the rate bytes may be before somebody sleeps for it, and how much of
	// what was slept too long is made up for. Timers are not finer than a millisecond or so.
	Slack time.Duration

	mu   sync.Mutex
	next time.Time // when all that was let through is within the rate
}

// longest bounds a wait, whatever the rate.
const longest = time.Hour

// Wait returns when n bytes more are within rate, bytes a second, or with ctx's error when that ends.
func (t *Bytes) Wait(ctx context.Context, n int64, rate float64) error {
	now := time.Now()
	t.mu.Lock()
	if late := now.Add(-t.Slack); t.next.Before(late) {
		t.next = late
	}
	t.next = t.next.Add(min(time.Duration(float64(n)/rate*float64(time.Second)), longest))
	ahead := t.next.Sub(now)
	t.mu.Unlock()
	if ahead <= t.Slack {
		return ctx.Err()
	}
	timer := time.NewTimer(ahead)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
