package replication

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quorumlog/log"
	"quorumlog/record"
)

// cluster is the replicas of one partition on nodes of one process. Nodes 1, 2 and 3 found it.
type cluster struct {
	t     *testing.T
	net   *network
	beat  time.Duration
	bytes int64 // of a segment
	tail  int64 // bytes that are sent entry by entry
	dirs  map[int32]string
	nodes map[int32]*Node

	mu       sync.Mutex
	replicas map[int32]*Partition // those that run
}

// newCluster starts three nodes. heartbeat is the election timeout, the lease half of it: long
// where a test counts on its leader, however busy the machine is.
func newCluster(t *testing.T, heartbeat time.Duration) *cluster {
	c := &cluster{t: t, net: newNetwork(), beat: heartbeat, bytes: 64 << 10, tail: 128 << 10, dirs: map[int32]string{}, nodes: map[int32]*Node{}, replicas: map[int32]*Partition{}}
	for id := int32(1); id <= 3; id++ {
		c.addNode(id)
	}
	for id := range c.nodes {
		c.start(id)
	}
	return c
}

// addNode puts a node with an empty disk on the network, in the place of an earlier one.
func (c *cluster) addNode(id int32) *Node {
	dir := c.t.TempDir()
	n := newNode(c.t, dir, id)
	n.Timing = Timing{Heartbeat: c.beat, Lease: c.beat / 2, Commit: 20 * time.Millisecond}
	n.Limits.TailBytes = c.tail
	c.dirs[id], c.nodes[id] = filepath.Join(dir, "p"), n
	c.net.join(id, n.Transport)
	return n
}

func (c *cluster) start(id int32) *Partition {
	c.t.Helper()
	return c.open(id, PartitionConfig{Voters: disks(1, 2, 3)})
}

// open opens a replica: as one of the founders, or without Voters, as one that waits.
func (c *cluster) open(id int32, config PartitionConfig) *Partition {
	c.t.Helper()
	config.Group, config.Dir, config.SegmentBytes = "g-0", c.dirs[id], c.bytes
	p, err := c.nodes[id].OpenPartition(config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(func() { p.Close() })
	c.mu.Lock()
	c.replicas[id] = p
	c.mu.Unlock()
	return p
}

func (c *cluster) stop(id int32) {
	c.t.Helper()
	c.mu.Lock()
	p := c.replicas[id]
	delete(c.replicas, id)
	c.mu.Unlock()
	if err := p.Close(); err != nil {
		c.t.Fatal(err)
	}
}

func (c *cluster) running() (all []*Partition) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.replicas {
		all = append(all, p)
	}
	return all
}

// leader waits for a replica that leads, and has one stand where nobody does.
func (c *cluster) leader() *Partition {
	c.t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for try := 0; time.Now().Before(deadline); try++ {
		if try%100 == 10 {
			c.stand()
		}
		time.Sleep(2 * time.Millisecond)
		var best *Partition
		for _, p := range c.running() {
			if s := p.State(); s.Leading && (best == nil || s.Epoch > best.State().Epoch) {
				best = p
			}
		}
		if best != nil {
			return best
		}
	}
	for _, p := range c.running() {
		in := p.inst.Load()
		c.t.Logf("node %d: %v, state %+v, log to entry %d, %v", p.node.ID, in.raft, p.State(), in.log.LastIndex(), in.raft.GetConfiguration().Configuration())
	}
	c.t.Fatal("nobody leads")
	return nil
}

func (c *cluster) stand() {
	for _, p := range c.running() {
		if !c.net.isCut(p.node.ID) {
			p.Campaign()
			return
		}
	}
}

// settled waits until all three replicas hold the same committed records, and returns them.
func (c *cluster) settled() []string {
	c.t.Helper()
	lead := c.leader()
	mustAppend(c.t, lead, batchOf("last"))
	end := lead.HighWatermark()
	for _, p := range c.running() {
		await(c.t, p, fmt.Sprintf("node %d to catch up to %d", p.node.ID, end), func() bool { return p.HighWatermark() >= end })
	}
	want := values(c.t, lead)
	for _, p := range c.running() {
		if p.EndOffset() != end {
			c.t.Errorf("node %d ends at %d, the leader at %d", p.node.ID, p.EndOffset(), end)
		}
		if got := values(c.t, p); !slices.Equal(got, want) {
			c.t.Errorf("node %d has %d records, the leader %d, or others", p.node.ID, len(got), len(want))
		}
	}
	c.identical()
	return want
}

// identical compares the replicas byte by byte, epochs included.
func (c *cluster) identical() {
	c.t.Helper()
	var want [][]byte
	for i, p := range c.running() {
		var got [][]byte
		err := p.Batches(0, p.HighWatermark(), func(b record.Batch) bool {
			got = append(got, slices.Clone(b))
			return true
		})
		if err != nil {
			c.t.Fatal(err)
		}
		if i == 0 {
			want = got
		} else if !slices.EqualFunc(got, want, func(a, b []byte) bool { return string(a) == string(b) }) {
			c.t.Errorf("node %d's batches differ", p.node.ID)
		}
	}
}

func TestThreeReplicasHoldTheSameBatches(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for i := range 200 {
		if r := mustAppend(t, lead, batchOf(fmt.Sprint(i), "and")); r.BaseOffset != int64(2*i) {
			t.Fatalf("append %d at %d", i, r.BaseOffset)
		}
	}
	if got := c.settled(); len(got) != 401 {
		t.Errorf("%d records", len(got))
	}
	if told := c.net.committed.Load(); told != lead.log().LastIndex() {
		t.Errorf("the route was told of entry %d, %d is committed", told, lead.log().LastIndex())
	}
	for _, p := range c.running() {
		if s := p.State(); s.Leader != lead.node.ID {
			t.Errorf("node %d takes %d for the leader", p.node.ID, s.Leader)
		}
	}
}

func TestAnotherReplicaTakesOverAndTheOldOneCatchesUp(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for i := range 50 {
		mustAppend(t, lead, idempotentBatch(1, 0, int32(i), fmt.Sprint(i)))
	}
	epoch := lead.State().Epoch
	c.stop(lead.node.ID)
	next := c.leader()
	if next.State().Epoch <= epoch {
		t.Errorf("epoch %d after %d", next.State().Epoch, epoch)
	}
	if r := mustAppend(t, next, idempotentBatch(1, 0, 49, "49")); !r.Duplicate || r.BaseOffset != 49 {
		t.Errorf("the new leader does not know a batch of the old one's: %+v", r)
	}
	for i := range 500 {
		mustAppend(t, next, idempotentBatch(1, 0, int32(50+i), "more"))
	}
	c.start(lead.node.ID)
	if got := c.settled(); len(got) != 551 {
		t.Errorf("%d records", len(got))
	}
}

func TestIsolatedLeaderAcknowledgesNothingAndItsSuffixIsReplaced(t *testing.T) {
	c := newCluster(t, time.Second)
	old := c.leader()
	mustAppend(t, old, batchOf("agreed"))
	c.net.setCut(old.node.ID, true)
	var lost []*Append
	for i := range 10 {
		lost = append(lost, old.Append(batchOf(fmt.Sprint("divergent ", i))))
	}
	for i, a := range lost {
		<-a.Done()
		if _, err := a.Result(); !errors.Is(err, ErrNotLeader) {
			t.Fatalf("append %d without a quorum: %v", i, err)
		}
	}
	c.stopLeading(old)
	next := c.leader()
	for i := range 20 {
		mustAppend(t, next, batchOf(fmt.Sprint("kept ", i)))
	}
	c.net.setCut(old.node.ID, false)
	got := c.settled()
	if len(got) != 22 || got[0] != "agreed" || got[1] != "kept 0" {
		t.Errorf("records %q", got)
	}
}

// stopLeading waits until a replica knows that it does not lead.
func (c *cluster) stopLeading(p *Partition) {
	c.t.Helper()
	await(c.t, p, "the end of its leadership", func() bool { return !p.State().Leading })
}

func TestTransferMovesLeadershipWithoutLosingABatch(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	to := lead.node.ID%3 + 1
	var all []*Append
	for i := range 100 {
		all = append(all, lead.Append(batchOf(fmt.Sprint(i))))
	}
	if err := lead.TransferLeadership(to); err != nil {
		t.Fatal(err)
	}
	for i, a := range all {
		<-a.Done()
		if _, err := a.Result(); err != nil {
			t.Errorf("append %d: %v", i, err)
		}
	}
	c.stopLeading(lead)
	if got := c.leader().node.ID; got != to {
		t.Errorf("node %d leads, %d should", got, to)
	}
	if got := c.settled(); len(got) != 101 {
		t.Errorf("%d records", len(got))
	}
}

func TestLeaderThatCannotHandOverLeadsOn(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	to := lead.node.ID%3 + 1
	c.net.setCut(to, true)
	if err := lead.TransferLeadership(to); err == nil {
		t.Fatal("handed over to a node that cannot be reached")
	}
	if next := c.leader(); next.node.ID == to {
		t.Fatal("the unreachable node leads")
	}
	c.net.setCut(to, false)
	c.settled()
}

func TestCloseLeavesNoGoroutineBehind(t *testing.T) {
	before := runtime.NumGoroutine()
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for range 100 {
		lead.Append(batchOf("x"))
	}
	for id := range c.nodes {
		c.stop(id)
	}
	for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}

// TestNothingAcknowledgedIsLost lets idempotent producers write through cuts, stops, restarts,
// transfers and failing disks in a random order. What each of them wrote must be there once, in its order.
func TestNothingAcknowledgedIsLost(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, 200*time.Millisecond)
	c.leader()

	var stop atomic.Bool
	var wg sync.WaitGroup
	var acked atomic.Int64
	counts := make([]int, 4)
	for id := range counts {
		wg.Go(func() { counts[id] = c.produce(int64(id), &stop, &acked) })
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		c.disturb(rnd)
	}
	for id := range c.nodes {
		c.net.setCut(id, false)
	}
	stop.Store(true)
	wg.Wait()
	got := c.settled()
	c.checkProduced(got, counts)
	t.Logf("%d batches acknowledged, epoch %d", acked.Load(), c.leader().State().Epoch)
}

// produce writes batches, five in flight as clients have them, each again until it is
// acknowledged, and returns how many were.
func (c *cluster) produce(id int64, stop *atomic.Bool, acked *atomic.Int64) int {
	for i := 0; ; time.Sleep(100 * time.Microsecond) {
		if stop.Load() {
			return i
		}
		for _, p := range c.running() {
			if p.State().Leading {
				n := c.window(p, id, i)
				i += n
				acked.Add(int64(n))
			}
		}
	}
}

// window proposes five batches from i on and returns how many succeeded before the first that
// did not.
func (c *cluster) window(p *Partition, id int64, i int) int {
	var all []*Append
	for k := i; k < i+5; k++ {
		all = append(all, p.Append(idempotentBatch(id, 0, int32(k), fmt.Sprintf("%d/%d", id, k))))
	}
	good, failed := 0, false
	for k, a := range all {
		<-a.Done()
		switch _, err := a.Result(); {
		case err == nil && !failed:
			good++
		case err == nil || errors.Is(err, ErrNotLeader) || errors.Is(err, ErrUnavailable) || errors.Is(err, ErrStorage):
			failed = failed || err != nil
		case errors.Is(err, log.ErrOutOfOrderSequence) && failed: // the one before was refused
		default:
			c.t.Errorf("producer %d batch %d: %v", id, i+k, err)
		}
	}
	return good
}

func (c *cluster) disturb(rnd *rand.Rand) {
	id := int32(1 + rnd.IntN(len(c.nodes)))
	pause := time.Duration(rnd.IntN(150)) * time.Millisecond
	switch rnd.IntN(5) {
	case 0:
		c.net.setCut(id, true)
		time.Sleep(2 * pause)
		c.net.setCut(id, false)
	case 1:
		c.stop(id)
		time.Sleep(pause)
		c.start(id)
	case 2:
		for _, p := range c.running() {
			if p.State().Leading {
				p.TransferLeadership(-1)
			}
		}
	case 3:
		c.mu.Lock()
		p := c.replicas[id]
		c.mu.Unlock()
		p.onWriteError(fmt.Errorf("injected: %w", log.ErrFailed))
	case 4:
		for _, p := range c.running() {
			if err := p.Checkpoint(); err != nil {
				c.t.Log(err) // of a log that is being reopened
			}
		}
	}
	time.Sleep(pause)
}
