package broker

import (
	"cmp"
	"context"
	"maps"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"
)

// createPatience bounds how long a new replica's group may take to have a leader before the next one
// is created.
const createPatience = time.Second

// openAll opens whatever is not open yet: the new ones at once, in the same order on every node,
// and those that have files a few at a time, since they are read.
func (r *replicas) openAll(ctx context.Context) {
	var created, old []*replica
	for _, x := range r.notOpen() {
		if _, err := os.Stat(x.dir); err == nil {
			old = append(old, x)
		} else {
			created = append(created, x)
		}
	}
	slices.SortFunc(created, func(a, b *replica) int { return cmp.Compare(a.key.partition, b.key.partition) })
	r.createEach(ctx, created)
	r.openEach(ctx, old, 2*runtime.GOMAXPROCS(0))
}

// notOpen returns the replicas that have not been opened yet, or could not be.
func (r *replicas) notOpen() []*replica {
	r.mu.Lock()
	defer r.mu.Unlock()
	maps.DeleteFunc(r.unopened, func(_ replicaKey, x *replica) bool { return x.partition() != nil })
	return slices.Collect(maps.Values(r.unopened))
}

// createEach opens new replicas. One counts as under way until its group has a leader, so that elections
// keep pace.
func (r *replicas) createEach(ctx context.Context, list []*replica) {
	if len(list) == 0 {
		return
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	pace := newPace(r.late)
	for _, x := range list {
		if !pace.begin(ctx) {
			return
		}
		wg.Go(func() {
			defer pace.end()
			if _, err := r.open(x); err == nil {
				x.awaitLeader(ctx)
			}
		})
	}
}

// awaitLeader waits, for a while, until the group of a new replica has a leader.
func (x *replica) awaitLeader(ctx context.Context) {
	patience := time.NewTimer(createPatience)
	defer patience.Stop()
	select {
	case <-x.followed:
	case <-patience.C:
	case <-ctx.Done():
	}
}

// openEach opens replicas, so many at a time.
func (r *replicas) openEach(ctx context.Context, list []*replica, parallel int) {
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for _, x := range list {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			wg.Wait()
			return
		}
		wg.Go(func() {
			defer func() { <-slots }()
			_, _ = r.open(x)
		})
	}
	wg.Wait()
}
