package broker

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// fill begins as much as there is room for, and returns how much that is.
func fill(t *testing.T, p *pace) (n int) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() {
		for p.begin(ctx) {
			n++
		}
	}()
	synctest.Wait()
	cancel()
	synctest.Wait()
	return n
}

func TestThePaceFollowsTheHeartbeats(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := time.Duration(0)
		p := newPace(func() time.Duration { return late })
		if n := fill(t, p); n != paceLeast {
			t.Fatalf("%d begin, not %d", n, paceLeast)
		}
		for range 10 * paceMost {
			p.end()
			fill(t, p)
		}
		if p.busy != paceMost {
			t.Fatalf("%d are under way while heartbeats are on time, not %d", p.busy, paceMost)
		}
		late = paceLate + 1
		time.Sleep(time.Second)
		p.end()
		p.end() // at once: what was halved has to have its effect first
		if p.room != paceMost/2 {
			t.Fatalf("room for %d after a late heartbeat, not for %d", p.room, paceMost/2)
		}
		for range paceMost / 2 {
			time.Sleep(time.Second)
			p.end()
		}
		if p.room != paceLeast {
			t.Fatalf("room for %d after many late heartbeats, not for %d", p.room, paceLeast)
		}
	})
}

func TestThePaceEndsWithItsContext(t *testing.T) {
	p := newPace(func() time.Duration { return 0 })
	ctx, cancel := context.WithCancel(t.Context())
	for range paceLeast {
		p.begin(ctx)
	}
	cancel()
	if p.begin(ctx) {
		t.Error("there was room")
	}
}
