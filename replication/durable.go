package replication

import (
	"errors"
	"sync"
	"sync/atomic"
)

// durability is how far a log is on disk. A leader begins to sync a batch and sends it to its
// followers meanwhile, so that a commit takes the slower of the two and not their sum. To Raft the
// leader's copy counts as soon as it is written, so nobody may be told of a commit before the
// leader's own disk has it too: the state machine waits for it, and the transport lets no higher
// commit index out. What was committed then survives as it does in strict Raft, where the leader
// would not count before its sync.
type durability struct {
	last   func() uint64 // the last entry written
	sync   func() error  // makes everything written before durable
	failed func(error)   // is told when a background sync fails
	told   func(uint64)  // is told how far the log is on disk; it must not block

	work func() // the goroutine in the background, made once: there is one for each batch

	index atomic.Uint64 // the last entry known to be on disk

	mu         sync.Mutex
	turned     sync.Cond // a sync has ended
	running    bool      // a sync
	background bool      // a goroutine that syncs until nothing is left to
	rounds     sync.WaitGroup
	err        error // of a sync: nothing is known of what is on disk since
}

func newDurability(last func() uint64, sync func() error, failed func(error), told func(uint64)) *durability {
	d := &durability{last: last, sync: sync, failed: failed, told: told}
	d.turned.L = &d.mu
	d.work = func() {
		defer d.rounds.Done()
		d.catchUp()
	}
	d.index.Store(last())
	return d
}

// errCutOff is for an entry that was cut off before it was on disk.
var errCutOff = errors.New("the entry was cut off before it was on disk")

// reach returns once an entry that was written is on disk. One that another leader has had cut off
// meanwhile never will be.
func (d *durability) reach(index uint64) error {
	if d.index.Load() >= index {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.err == nil && d.index.Load() < index {
		if d.last() < index {
			return errCutOff
		}
		d.round()
	}
	return d.err
}

// begin has what was written synced, and does not wait.
func (d *durability) begin() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.background {
		d.background = true
		d.rounds.Add(1)
		go d.work()
	}
}

func (d *durability) catchUp() {
	d.mu.Lock()
	for d.err == nil && d.index.Load() < d.last() {
		d.round()
	}
	d.background = false
	err := d.err
	d.mu.Unlock()
	if err != nil {
		d.failed(err)
	}
}

// round performs a sync, or waits for the end of the one that runs; the caller holds mu.
func (d *durability) round() {
	if d.running {
		d.turned.Wait()
		return
	}
	d.running = true
	last := d.last()
	d.mu.Unlock()
	err := d.sync()
	d.mu.Lock()
	d.running = false
	if err != nil {
		d.err = err
	} else {
		d.index.Store(last)
		d.told(last)
	}
	d.turned.Broadcast()
}

// truncate cuts the log while no sync runs, so that none vouches for what takes the place of the
// entries that go.
func (d *durability) truncate(cut func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for d.running {
		d.turned.Wait()
	}
	err := cut()
	d.index.Store(min(d.index.Load(), d.last()))
	return err
}

// close waits until no sync runs that begin has asked for. Nothing may be written any more.
func (d *durability) close() { d.rounds.Wait() }
