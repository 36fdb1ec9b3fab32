package shards

import (
	"maps"
	"slices"
	"sync"
)

// Shard serves one partition during one leadership.
type Shard interface {
	comparable
	// Load replays the log until that succeeds or the shard has resigned.
	Load()
	// Resign ends the shard, and answers everything that waits in it NOT_COORDINATOR.
	Resign()
}

// Set is the shards of the partitions that a node leads. The zero Set leads nothing; all its methods
// may be called concurrently.
type Set[S Shard] struct {
	mu  sync.RWMutex
	all map[int32]S
}

// Lead serves a partition by a shard, which is loaded in a goroutine of its own, in the place of an
// earlier one.
func (x *Set[S]) Lead(partition int32, s S) {
	var none S
	x.mu.Lock()
	old := x.all[partition]
	if x.all == nil {
		x.all = map[int32]S{}
	}
	x.all[partition] = s
	x.mu.Unlock()
	if old != none {
		old.Resign()
	}
	go s.Load()
}

// Replace serves a partition by another shard, and returns when that is loaded, if old is still the
// one that serves it.
func (x *Set[S]) Replace(partition int32, old, fresh S) {
	x.mu.Lock()
	current := x.all[partition] == old
	if current {
		x.all[partition] = fresh
	}
	x.mu.Unlock()
	if current {
		old.Resign()
		fresh.Load()
	}
}

// Resign stops serving a partition.
func (x *Set[S]) Resign(partition int32) {
	var none S
	x.mu.Lock()
	s := x.all[partition]
	delete(x.all, partition)
	x.mu.Unlock()
	if s != none {
		s.Resign()
	}
}

// Close resigns every partition.
func (x *Set[S]) Close() {
	x.mu.RLock()
	led := slices.Collect(maps.Keys(x.all))
	x.mu.RUnlock()
	for _, partition := range led {
		x.Resign(partition)
	}
}

// Get returns the shard of a partition, the zero value where this node does not lead it.
func (x *Set[S]) Get(partition int32) S {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.all[partition]
}

// All is a snapshot of the shards.
func (x *Set[S]) All() []S {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return slices.Collect(maps.Values(x.all))
}
