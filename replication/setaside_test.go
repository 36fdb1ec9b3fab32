package replication

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/log"
)

// rebuilt does what a broker does with a damaged replica, and waits until it is whole again.
func (c *cluster) rebuilt(lead *Partition, id int32) {
	c.t.Helper()
	n, config := c.nodes[id], PartitionConfig{Group: "g-0", Dir: c.dirs[id], Voters: []int32{1, 2, 3}}
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
