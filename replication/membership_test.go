package replication

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// disks names the members on the nodes' first disks.
func disks(nodes ...int32) (m []Member) {
	for _, n := range nodes {
		m = append(m, Member{n, fmt.Sprintf("disk-%d", n)})
	}
	return m
}

// reconciled tells every replica the target, as brokers do, and waits until a leader has reached it.
func (c *cluster) reconciled(target []Member) *Partition {
	c.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for time.Now().Before(deadline) {
		for _, p := range c.running() {
			if err := p.Reconcile(target); err != nil {
				c.t.Fatal(err)
			}
		}
		if p := c.leader(); p.Membership().Done {
			return p
		}
		time.Sleep(10 * time.Millisecond)
	}
	c.t.Fatalf("not reconciled: %+v", c.leader().Membership())
	return nil
}

func membersOf(m Membership) (all []Member) {
	for _, s := range m.Members {
		if s.Voter {
			all = append(all, s.Member)
		}
	}
	slices.SortFunc(all, func(a, b Member) int { return int(a.Node - b.Node) })
	return all
}

func TestReplicaOutsideTheFirstMembershipWaitsToBeAdded(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for i := range 50 {
		mustAppend(t, lead, batchOf(fmt.Sprint(i)))
	}
	c.addNode(4)
	four := c.start(4) // it is told the founders, and is none of them
	four.Campaign()
	time.Sleep(20 * time.Millisecond)
	if four.EndOffset() != 0 || four.State().Leading {
		t.Fatal("it did not wait")
	}
	c.reconciled(disks(1, 2, 3, 4))
	if got := c.settled(); len(got) != 51 {
		t.Errorf("%d records", len(got))
	}
}

func TestMoveUnderLoadLosesNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, 400*time.Millisecond)
	c.leader()
	c.addNode(4)
	c.start(4)
	var stop atomic.Bool
	var wg sync.WaitGroup
	var acked atomic.Int64
	counts := make([]int, 3)
	for id := range counts {
		wg.Go(func() { counts[id] = c.produce(int64(id), &stop, &acked) })
	}
	for _, target := range [][]Member{disks(2, 3, 4), disks(1, 3, 4), disks(1, 2, 4)} {
		lead := c.reconciled(target)
		if got := membersOf(lead.Membership()); !slices.Equal(got, target) {
			t.Errorf("members %v, want %v", got, target)
		}
		time.Sleep(time.Duration(rnd.IntN(100)) * time.Millisecond)
		for id := int32(1); id <= 4; id++ { // brokers remove who is not a member any more
			if !slices.ContainsFunc(target, func(m Member) bool { return m.Node == id }) {
				c.remove(id)
				c.open(id, PartitionConfig{})
			}
		}
	}
	stop.Store(true)
	wg.Wait()
	c.stop(3) // no member, and so behind
	c.checkProduced(c.settled(), counts)
}

// remove deletes a replica, as a broker does with one that has moved away.
func (c *cluster) remove(id int32) {
	c.t.Helper()
	c.mu.Lock()
	p := c.replicas[id]
	delete(c.replicas, id)
	c.mu.Unlock()
	if err := p.Remove(); err != nil {
		c.t.Fatal(err)
	}
}

// checkProduced compares the log with what producers had acknowledged.
func (c *cluster) checkProduced(got []string, counts []int) {
	c.t.Helper()
	next := make([]int, len(counts))
	for _, v := range got[:len(got)-1] {
		var id, i int
		if _, err := fmt.Sscanf(v, "%d/%d", &id, &i); err != nil {
			c.t.Fatal(v, err)
		}
		if i != next[id] {
			c.t.Fatalf("producer %d: record %d where %d was due", id, i, next[id])
		}
		next[id]++
	}
	for id, n := range counts {
		if next[id] < n {
			c.t.Errorf("producer %d: %d acknowledged, %d there", id, n, next[id])
		}
	}
}

func TestMoveIsCancelledInTheMiddle(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	mustAppend(t, lead, batchOf("one"))
	// Node 4 is not there: the move cannot get further than adding it.
	if err := lead.Reconcile(disks(2, 3, 4)); err != nil {
		t.Fatal(err)
	}
	await(t, lead, "node 4 to be added", func() bool { return len(lead.Membership().Members) == 4 })
	await(t, lead, "it to be waited for", func() bool { return lead.Membership().Step == StepCatchUp })
	if m := lead.Membership(); m.Node != 4 || m.Behind == 0 || m.Done {
		t.Errorf("status %+v", m)
	}
	if err := lead.Reconcile(disks(1, 2, 3)); err != nil {
		t.Fatal(err)
	}
	await(t, lead, "node 4 to be gone", func() bool { return lead.Membership().Done })
	c.settled()
}

func TestAnotherLeaderGoesOnWithAMove(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for _, p := range c.running() {
		if err := p.Reconcile(disks(1, 2, 3, 4)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, lead, "node 4 to be added", func() bool { return len(lead.Membership().Members) == 4 })
	if err := lead.TransferLeadership(-1); err != nil {
		t.Fatal(err)
	}
	c.stopLeading(lead)
	c.addNode(4)
	c.start(4)
	next := c.leader()
	await(t, next, "the move to be done", func() bool { return next.Membership().Done })
	c.settled()
}

func TestWipedNodeComesBackAsAnotherMember(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for i := range 20 {
		mustAppend(t, lead, batchOf(fmt.Sprint(i)))
	}
	wiped := lead.node.ID%3 + 1
	c.stop(wiped)
	n := c.addNode(wiped)
	n.Identity = "new disk"
	c.open(wiped, PartitionConfig{})
	target := disks(1, 2, 3)
	target[wiped-1].Identity = "new disk"
	if got := membersOf(c.reconciled(target).Membership()); !slices.Equal(got, target) {
		t.Errorf("members %v", got)
	}
	if got := c.settled(); len(got) != 21 {
		t.Errorf("%d records", len(got))
	}
}

func TestReplicaThatLostItsLogDoesNotVoteInItsOwnPlace(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	for i := range 20 {
		mustAppend(t, lead, batchOf(fmt.Sprint(i)))
	}
	lost := lead.node.ID%3 + 1
	c.stop(lost)
	if err := os.RemoveAll(c.dirs[lost]); err != nil {
		t.Fatal(err)
	}
	config := PartitionConfig{Group: "g-0", Dir: c.dirs[lost], Voters: disks(1, 2, 3), SegmentBytes: 64 << 10}
	for range 2 { // also when asked again
		if _, err := c.nodes[lost].OpenPartition(config); !errors.Is(err, ErrEmptied) {
			t.Fatalf("opened in place of itself: %v", err)
		}
	}
	if err := lead.Evict(context.Background(), lost); err != nil {
		t.Fatal(err)
	}
	if err := c.nodes[lost].Evicted("g-0"); err != nil {
		t.Fatal(err)
	}
	p := c.start(lost) // with Voters, of which it must make nothing
	if p.EndOffset() != 0 || p.log().LastIndex() != 0 {
		t.Fatal("it founded the group again")
	}
	request := &raft.RequestVoteRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: 3, ID: []byte("1/disk-1"), Addr: []byte("1")}, Term: 99}
	if _, err := c.nodes[lost].Transport.Deliver(t.Context(), "g-0", request, time.Minute); !errors.Is(err, errNotMember) {
		t.Errorf("asked for its vote: %v", err)
	}
	c.reconciled(disks(1, 2, 3))
	if got := c.settled(); len(got) != 21 {
		t.Errorf("%d records", len(got))
	}
}

func TestLastCopyIsNeverGivenUp(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, batchOf("only here"))
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(p.Dir()); err != nil {
		t.Fatal(err)
	}
	if _, err := p.node.OpenPartition(p.config); !errors.Is(err, ErrEmptied) {
		t.Errorf("a new, empty partition stands in its place: %v", err)
	}
}

func TestTargetMustMakeSense(t *testing.T) {
	p := alone(t)
	for _, bad := range [][]Member{nil, {{1, ""}}, {{-1, "x"}}, {{2, "x"}, {2, "y"}}} {
		if err := p.Reconcile(bad); !errors.Is(err, errTarget) {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestInSyncLosesWhoIsBehindAndRegainsIt(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	for _, n := range c.nodes {
		n.Timing.Lag = 10 * time.Second
	}
	lead := c.leader()
	mustAppend(t, lead, batchOf("one"))
	all := func() bool { return len(lead.InSync(time.Now().Add(5*time.Second))) == 3 }
	await(t, lead, "all to be in sync", all)
	cut := lead.node.ID%3 + 1
	await(t, lead, "the follower's answer", func() bool { f, _ := suffrageFollower(lead, cut); return !f.LastContact.IsZero() })
	c.net.setCut(cut, true)
	mustAppend(t, lead, batchOf("two"))
	time.Sleep(50 * time.Millisecond)
	await(t, lead, "the others' contact", func() bool { return len(lead.InSync(time.Now())) >= 2 })
	now := time.Now()
	in := lead.InSync(now)
	if len(in) != 3 {
		t.Errorf("in sync at once after the cut: %v", in)
	}
	for _, p := range c.running() {
		if p != lead && p.InSync(now) != nil {
			t.Error("a follower claims to know")
		}
	}
	last, _ := suffrageFollower(lead, cut)
	at := last.LastContact.Add(c.nodes[1].Timing.Lag + time.Millisecond)
	if in := lead.InSync(at); slices.Contains(in, cut) {
		t.Errorf("in sync %v after the follower's last sign: %v", c.nodes[1].Timing.Lag, in)
	}
	c.net.setCut(cut, false)
	c.settled()
	await(t, lead, "all to be in sync", all)
}

func suffrageFollower(p *Partition, node int32) (Follower, bool) {
	for _, m := range p.Membership().Members {
		if m.Node == node {
			return m.Follower, true
		}
	}
	return Follower{}, false
}

func TestASurvivorThatStandsLeadsAtOnce(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	mustAppend(t, lead, batchOf("one"))
	gone := lead.node.ID
	c.stop(gone)
	start := time.Now()
	slices.MaxFunc(c.running(), func(a, b *Partition) int { return int(a.EndOffset() - b.EndOffset()) }).Campaign()
	for {
		if i := slices.IndexFunc(c.running(), func(p *Partition) bool { return p.State().Leading }); i >= 0 {
			break
		}
		if time.Since(start) > 2*time.Second {
			t.Fatal("nobody succeeded")
		}
		time.Sleep(time.Millisecond)
	}
	t.Logf("another leads after %v", time.Since(start))
	c.start(gone)
	c.settled()
}

func TestLeadershipIsNotTransferredToWhomHasNoVote(t *testing.T) {
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	start := time.Now()
	if err := lead.TransferLeadership(9); !errors.Is(err, ErrUnavailable) {
		t.Errorf("to a stranger: %v", err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("refused after %v", d)
	}
	mustAppend(t, lead, batchOf("it leads on"))
}
