package replication

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"quorumlog/log"
)

// breakLog makes the next write of a replica fail for good: its data file is closed under it.
// Nothing may be writing at the time.
func breakLog(t *testing.T, p *Partition) {
	t.Helper()
	hw := p.HighWatermark()
	v, err := p.Read(hw-1, hw, 1<<20, true)
	if err != nil || len(v.Sections) == 0 {
		t.Fatal("nothing to read", err)
	}
	v.Sections[0].File.Close()
	v.Release()
}

func TestFailedLogIsReopenedAndLeadsAgain(t *testing.T) {
	p := alone(t)
	for i := range 20 {
		mustAppend(t, p, idempotentBatch(3, 0, int32(i), "x"))
	}
	before := p.inst.Load()
	breakLog(t, p)
	a := p.Append(idempotentBatch(3, 0, 20, "x"))
	<-a.Done()
	if _, err := a.Result(); !errors.Is(err, ErrStorage) {
		t.Fatalf("append to a failing disk: %v", err)
	}
	await(t, p, "another instance that leads", func() bool { return p.inst.Load() != before && p.State().Leading })
	if r := mustAppend(t, p, idempotentBatch(3, 0, 19, "x")); !r.Duplicate || r.BaseOffset != 19 {
		t.Errorf("repeated batch of before: %+v", r)
	}
	if r := mustAppend(t, p, idempotentBatch(3, 0, 20, "x")); r.BaseOffset != 20 {
		t.Errorf("retried batch: %+v", r)
	}
	if got := len(values(t, p)); got != 21 {
		t.Errorf("%d records", got)
	}
}

func TestFollowerWithAFailedLogCatchesUp(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for i := range 20 {
		mustAppend(t, lead, batchOf(fmt.Sprint(i)))
	}
	c.settled()
	var follower *Partition
	for _, p := range c.running() {
		if p != lead {
			follower = p
		}
	}
	before := follower.inst.Load()
	breakLog(t, follower)
	for i := range 20 {
		mustAppend(t, lead, batchOf(fmt.Sprint("more ", i)))
	}
	if got := c.settled(); len(got) != 42 {
		t.Errorf("%d records", len(got))
	}
	if follower.inst.Load() == before {
		t.Error("the follower's instance was not replaced")
	}
}

func TestLeaderWithAFailedLogIsReplaced(t *testing.T) {
	c := newCluster(t, time.Second)
	lead := c.leader()
	mustAppend(t, lead, batchOf("one"))
	breakLog(t, lead)
	a := lead.Append(batchOf("lost"))
	<-a.Done()
	if _, err := a.Result(); err == nil {
		t.Fatal("acknowledged by a leader without a disk")
	}
	c.stopLeading(lead)
	if got := c.settled(); len(got) != 2 {
		t.Errorf("records %q", got)
	}
}

func TestEntriesThatFailedToSyncAreNotBelievedAfterReopening(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, batchOf("durable"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	// What a failed sync leaves: the kernel's cache has it, the disk perhaps not.
	l, _, err := log.Open(p.Dir(), log.Options{})
	if err != nil {
		t.Fatal(err)
	}
	last := l.LastIndex()
	b := batchOf("in the cache")
	b.SetBaseOffset(-1)
	if err := l.Append([]log.Entry{{Index: last + 1, Term: 9, Kind: log.KindData, Data: b}}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	again := p.node.newPartition(p.config)
	in, err := again.start(last)
	if err != nil {
		t.Fatal(err)
	}
	defer in.log.Close()
	defer in.stop()
	if in.log.LastIndex() != last || in.log.NextOffset() != 1 {
		t.Errorf("the log ends at entry %d, offset %d", in.log.LastIndex(), in.log.NextOffset())
	}
}
