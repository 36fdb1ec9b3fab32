package replication

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// slowDisk is a log whose syncs end when the test says so.
type slowDisk struct {
	written atomic.Uint64
	syncs   chan chan error // of the syncs that run
}

func newSlowDisk(written uint64) (*slowDisk, *durability, *[]error) {
	d := &slowDisk{syncs: make(chan chan error)}
	failures := &[]error{}
	dur := newDurability(d.written.Load, func() error {
		end := make(chan error)
		d.syncs <- end
		return <-end
	}, func(err error) { *failures = append(*failures, err) }, func(uint64) {})
	d.written.Store(written)
	return d, dur, failures
}

func TestWhatIsWrittenDuringASyncIsNotYetDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, d, _ := newSlowDisk(3)
		d.begin()
		d.begin()
		first := <-disk.syncs
		disk.written.Store(5)
		d.begin()
		var reached atomic.Uint64
		for _, index := range []uint64{3, 5} {
			go func() {
				if err := d.reach(index); err != nil {
					t.Error(err)
				}
				reached.Add(index)
			}()
		}
		synctest.Wait()
		if d.index.Load() != 0 || reached.Load() != 0 {
			t.Fatalf("durable up to %d before any sync has ended", d.index.Load())
		}
		first <- nil
		second := <-disk.syncs
		synctest.Wait()
		if d.index.Load() != 3 || reached.Load() != 3 {
			t.Fatalf("durable up to %d, and %d reached, after the sync that began with 3 entries", d.index.Load(), reached.Load())
		}
		second <- nil
		synctest.Wait()
		if d.index.Load() != 5 || reached.Load() != 8 {
			t.Fatalf("durable up to %d, and %d reached, after both", d.index.Load(), reached.Load())
		}
	})
}

func TestNobodyReachesAnEntryAfterASyncHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, d, failures := newSlowDisk(2)
		d.begin()
		lost := errors.New("the disk is gone")
		(<-disk.syncs) <- lost
		if err := d.reach(2); !errors.Is(err, lost) {
			t.Errorf("reached: %v", err)
		}
		synctest.Wait()
		if d.index.Load() != 0 || len(*failures) != 1 {
			t.Errorf("durable up to %d, told of %v", d.index.Load(), *failures)
		}
	})
}

func TestASyncDoesNotVouchForWhatTookAnEntrysPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, d, _ := newSlowDisk(4)
		d.begin()
		end := <-disk.syncs
		cut := make(chan error, 1)
		go func() { cut <- d.truncate(func() error { disk.written.Store(1); return nil }) }()
		synctest.Wait()
		if disk.written.Load() != 4 {
			t.Fatal("cut during a sync")
		}
		end <- nil
		if err := <-cut; err != nil {
			t.Fatal(err)
		}
		disk.written.Store(4) // other entries
		if d.index.Load() != 1 {
			t.Errorf("durable up to %d", d.index.Load())
		}
	})
}

func TestNobodyWaitsForAnEntryThatWasCutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, d, _ := newSlowDisk(2)
		if err := d.reach(4); !errors.Is(err, errCutOff) {
			t.Error(err)
		}
	})
}

// routeFunc is a Route by one function.
type routeFunc func(ctx context.Context, to int32, group string, request, response any) error

func (f routeFunc) Call(ctx context.Context, to int32, group string, request, response any) error {
	return f(ctx, to, group, request, response)
}

// A leader's own Raft has it committed; nobody else may learn so before its disk has it.
func TestALeaderTellsOfNoCommitBeforeItsOwnDiskHasIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, d, _ := newSlowDisk(7)
		node := NewTransport(1)
		var told uint64
		node.SetRoute(routeFunc(func(_ context.Context, _ int32, _ string, request, response any) error {
			told = request.(*raft.AppendEntriesRequest).LeaderCommitIndex
			response.(*raft.AppendEntriesResponse).Success = true
			return nil
		}))
		g := node.add(&GroupTransport{name: "g", durable: d})
		defer g.Close()
		send := func() uint64 {
			r := &raft.AppendEntriesRequest{Term: 2, PrevLogEntry: 7, PrevLogTerm: 2, LeaderCommitIndex: 7}
			if err := g.AppendEntries("2", NodeAddress(2), r, &raft.AppendEntriesResponse{}); err != nil {
				t.Error(err)
			}
			return told
		}
		m := newMachine(nil)
		m.durable = d.reach
		var applied atomic.Bool
		m.applied = func([]*raft.Log, effects) { applied.Store(true) }
		d.begin()
		end := <-disk.syncs
		go m.ApplyBatch([]*raft.Log{{Index: 7, Term: 2, Type: raft.LogNoop}})
		synctest.Wait()
		if c := send(); c != 0 || applied.Load() {
			t.Errorf("told a follower of commit %d, applied it: %v", c, applied.Load())
		}
		end <- nil
		synctest.Wait()
		if c := send(); c != 7 || !applied.Load() {
			t.Errorf("with the sync done a follower is told of commit %d, applied: %v", c, applied.Load())
		}
	})
}

// An entry that a follower wrote when it led is not new to its Raft, which stores it no second time.
func TestAFollowerAcknowledgesNothingThatItOnlyWrote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, d, _ := newSlowDisk(7)
		node := NewTransport(1)
		g := node.add(&GroupTransport{name: "g", durable: d})
		defer g.Close()
		var answered atomic.Bool
		go func() {
			r := &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: 6, PrevLogTerm: 2, Entries: []*raft.Log{{Index: 7, Term: 2}}}
			if _, err := node.Deliver(t.Context(), "g", r, time.Minute); err != nil {
				t.Error(err)
			}
			answered.Store(true)
		}()
		rpc := <-g.Consumer()
		rpc.Respond(&raft.AppendEntriesResponse{Term: 3, Success: true}, nil)
		end := <-disk.syncs
		synctest.Wait()
		if answered.Load() {
			t.Error("acknowledged before it is on disk")
		}
		end <- nil
		synctest.Wait()
		if !answered.Load() {
			t.Error("not acknowledged with the entry on disk")
		}
	})
}
