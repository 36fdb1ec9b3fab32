package replication

import (
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// feeding are the members that have just got segment files. What was written meanwhile goes to them
// entry by entry, even where it is more than the tail: another transfer would only miss what is
// written during that one.
type feeding struct {
	n  atomic.Int32 // members, so that looking costs nothing while there are none
	mu sync.Mutex
	m  map[raft.ServerID]*fed
}

// fed is one of them.
type fed struct {
	match uint64    // what it has
	limit int64     // bytes that it may lack, before segment files are the faster way after all
	at    time.Time // when it last got on
}

// begin notes that a member has all files up to an entry, and lacks so many bytes.
func (f *feeding) begin(id raft.ServerID, match uint64, lacks, tail int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.m == nil {
		f.m = map[raft.ServerID]*fed{}
	}
	f.m[id] = &fed{match: match, limit: 2*lacks + tail, at: time.Now()}
	f.n.Store(int32(len(f.m)))
}

// got notes what a member has acknowledged. It is fed until it lacks no more than the tail, or so
// much that it does not catch up this way.
func (f *feeding) got(id raft.ServerID, match uint64, lacks func(uint64) int64, tail int64) {
	if f.n.Load() == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.m[id]
	if x == nil || match <= x.match {
		return
	}
	x.match, x.at = match, time.Now()
	if n := lacks(match); n <= tail || n > x.limit {
		f.forget(id)
	}
}

// from is the last entry that any of them has, the largest number where there is none. One that has
// not got on for so long that a transfer would have ended is left to the next transfer.
func (f *feeding) from() uint64 {
	first := uint64(math.MaxUint64)
	if f.n.Load() == 0 {
		return first
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, x := range f.m {
		if time.Since(x.at) > stallLimit {
			f.forget(id)
			continue
		}
		first = min(first, x.match)
	}
	return first
}

// forget is for who holds mu.
func (f *feeding) forget(id raft.ServerID) {
	delete(f.m, id)
	f.n.Store(int32(len(f.m)))
}
