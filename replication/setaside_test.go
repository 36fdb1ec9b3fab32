package replication

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/log"
)

// rebuilt does what a broker does with a damaged replica, and waits until it is whole again.
func (c *cluster) rebuilt(lead *Partition, id int32) {
	c.t.Helper()
	n, config := c.nodes[id], PartitionConfig{Group: "g-0", Dir: c.dirs[id], Voters: disks(1, 2, 3)}
	if _, err := n.SetAside("g-0", c.dirs[id], []int32{1, 2, 3}); err != nil {
		c.t.Fatal(err)
	}
	if _, err := n.OpenPartition(config); !errors.Is(err, ErrEmptied) {
		c.t.Fatalf("opened before it was evicted: %v", err)
	}
	if err := lead.Evict(c.t.Context(), id); err != nil {
		c.t.Fatal(err)
	}
	if err := n.Evicted("g-0"); err != nil {
		c.t.Fatal(err)
	}
	c.start(id)
	c.reconciled(disks(1, 2, 3))
	c.settled()
}

func TestCorruptReplicaIsSetAsideAndRebuilt(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	fill(t, lead, 6)
	c.settled()
	for range 2 { // also a second time
		id := lead.node.ID%3 + 1
		c.stop(id)
		files, err := filepath.Glob(filepath.Join(c.dirs[id], "*.log"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(files[1], 1000); err != nil {
			t.Fatal(err)
		}
		if _, err := c.nodes[id].OpenPartition(PartitionConfig{Group: "g-0", Dir: c.dirs[id]}); !errors.Is(err, log.ErrCorrupt) {
			t.Fatalf("opened: %v", err)
		}
		c.rebuilt(lead, id)
		if kept, _ := filepath.Glob(c.dirs[id] + CorruptSuffix + "*"); len(kept) != 1 {
			t.Errorf("set aside: %q", kept)
		}
	}
}

func TestReplicaFoundDamagedWhileItRunsStopsAndSaysSo(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	mustAppend(t, lead, batchOf("x"))
	id := lead.node.ID%3 + 1
	c.stop(id)
	failed := make(chan error, 1)
	p, err := c.nodes[id].OpenPartition(PartitionConfig{Group: "g-0", Dir: c.dirs[id], OnFailed: func(_ *Partition, err error) { failed <- err }})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.readError(fmt.Errorf("found: %w", log.ErrCorrupt)); !errors.Is(err, ErrStorage) {
		t.Errorf("the reader is told %v", err)
	}
	select {
	case err := <-failed:
		if !errors.Is(err, log.ErrCorrupt) {
			t.Error(err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("it goes on")
	}
	if p.State().Leading || p.State().Leader >= 0 {
		t.Errorf("state %+v", p.State())
	}
	p.Close()
	c.rebuilt(lead, id)
}

func TestEntryThatCannotBeReadIsReportedAndNotRaftsEnd(t *testing.T) {
	valid := true
	s, failures := testStore(t, &valid)
	if err := s.StoreLog(proposal(1, 3, batchOf("a"))); err != nil {
		t.Fatal(err)
	}
	var got raft.Log
	if err := s.getDamaged(1, &got, log.ErrCorrupt); err != nil || got.Term != 3 || got.Type != raft.LogCommand || got.Data != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if len(*failures) != 1 {
		t.Errorf("told of %v", *failures)
	}
}

func TestOnlyReplicaIsLeftAsItIs(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, batchOf("x"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := p.node.SetAside(p.Group(), p.Dir(), []int32{1}); !errors.Is(err, ErrLastCopy) {
		t.Errorf("set aside: %v", err)
	}
	if _, err := os.Stat(p.Dir()); err != nil {
		t.Error(err)
	}
}

// A leader does not check what it sends. When a follower refuses it, the leader finds the damage, gives the lead to
// who has the right bytes, and stops.
func TestALeaderWhoseLogIsDamagedGivesTheLeadAway(t *testing.T) {
	c := newCluster(t, 10*time.Second) // nobody stands by itself
	lead := c.leader()
	c.settled()
	behind, other := lead.node.ID%3+1, (lead.node.ID+1)%3+1
	c.stop(lead.node.ID)
	failed := make(chan error, 1)
	damaged := c.open(lead.node.ID, PartitionConfig{OnFailed: func(_ *Partition, err error) { failed <- err }})
	for c.leader() != damaged {
		if err := c.leader().TransferLeadership(damaged.node.ID); err != nil {
			t.Fatal(err)
		}
	}
	c.net.setCut(behind, true)
	at := damaged.log().Size()
	mustAppend(t, damaged, batchOf("precious"))
	flip(t, damaged, at+70)
	c.net.setCut(behind, false)
	select {
	case err := <-failed:
		if !errors.Is(err, log.ErrCorrupt) {
			t.Error(err)
		}
	case <-time.After(8 * time.Second):
		t.Fatal("it goes on")
	}
	damaged.settle() // a request that was under way when it stopped
	if a := damaged.Append(batchOf("more")); !errors.Is(a.err, ErrStorage) {
		t.Errorf("the damaged replica takes batches: %v", a.err)
	}
	next := c.leader()
	if next.node.ID != other {
		t.Fatalf("node %d leads", next.node.ID)
	}
	c.stop(damaged.node.ID)
	c.rebuilt(next, damaged.node.ID)
	if got := values(t, next); !slices.Contains(got, "precious") {
		t.Errorf("records %q", got)
	}
}

// flip damages a byte of a partition's only data file.
func flip(t *testing.T, p *Partition, at int64) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(p.Dir(), "*.log"))
	if err != nil || len(files) != 1 {
		t.Fatal(files, err)
	}
	f, err := os.OpenFile(files[0], os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}

// Where nothing can be written the log is opened again ever more rarely, and at once after something was.
func TestALogThatKeepsFailingIsOpenedEverMoreRarely(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r reopening
		var waited time.Duration
		for range 5 {
			if r.wait(7) != 0 {
				t.Fatal("not tried when it is time")
			}
			wait := r.wait(7)
			if wait <= waited {
				t.Fatalf("%s after %s", wait, waited)
			}
			waited = wait
			time.Sleep(wait)
		}
		if wait := r.wait(8); wait != 0 {
			t.Errorf("%s after a write", wait)
		}
	})
}
