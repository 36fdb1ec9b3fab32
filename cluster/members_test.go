package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// wanted are the nodes of a trio as members, of which the first voters have a vote.
func (x *trio) wanted(voters int) []Member {
	var want []Member
	for n, v := range x.who {
		want = append(want, Member{Node: v.ID, Identity: v.Identity, Voter: n < voters})
	}
	return want
}

func sortedMembers(m *member) []Member {
	return slices.SortedFunc(slices.Values(m.Members()), func(a, b Member) int { return int(a.Node - b.Node) })
}

func (x *trio) reconciled(m *member, want []Member) {
	x.t.Helper()
	if err := m.Reconcile(timeout(x.t), want); err != nil {
		x.t.Fatal(err)
	}
	if got := sortedMembers(m); !slices.Equal(got, want) {
		x.t.Fatalf("members %v, wanted %v", got, want)
	}
}

// founded is a group of node 1 alone, and others that wait to be added.
func founded(t *testing.T, others int) *trio {
	x := nodes(t, 1+others)
	x.found = trioVoters[:1]
	for n := range x.members {
		x.start(n)
	}
	return x
}

func TestBrokersJoinAsFollowersAndGetVotesOnceCaughtUp(t *testing.T) {
	x := founded(t, 3)
	first := x.members[0]
	first.change(register(Broker{ID: 1, Identity: "A"}))
	want := x.wanted(3)
	x.reconciled(first, want)
	x.agree(x.members...)
	last := first.raft.LastIndex()
	x.reconciled(first, want)
	if now := first.raft.LastIndex(); now != last {
		t.Fatalf("%d entries for what was in place", now-last)
	}
	first.change(create0())
	x.agree(x.members...) // and so on the configuration before it
	for _, m := range x.members {
		q := m.Quorum()
		if len(q.Voters) != 3 || !slices.Equal(q.Observers, []Voter{{4, "D"}}) {
			t.Fatalf("node %d sees %+v", m.opts.NodeID, q)
		}
	}
	x.members[3].Campaign() // it has no vote
	first.change(create("a", 1))
	x.agree(x.members...)
	if node, _ := x.members[3].Leader(); node != 1 {
		t.Fatalf("node %d leads", node)
	}
}

func TestAVoteWaitsForTheLog(t *testing.T) {
	x := founded(t, 1)
	x.cut(1)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	err := x.members[0].Reconcile(ctx, x.wanted(2))
	if !errors.Is(err, ErrNotCaughtUp) || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if got := x.members[0].Members(); len(got) != 2 || got[1].Voter {
		t.Fatalf("members %v", got)
	}
	x.members[0].change(create0()) // a follower that is down takes nothing from the leader
	x.mend(1)
	x.reconciled(x.members[0], x.wanted(2))
}

// create0 is a change that needs no broker.
func create0() func(*Image) ([]Record, error) {
	return func(i *Image) ([]Record, error) { return []Record{ProducerIDsRecord{i.NextProducerID() + 1}}, nil }
}

func TestTheLeaderLeavesByHandingOverAndTheNextOneGoesOn(t *testing.T) {
	x := newTrio(t)
	x.members[0].Campaign()
	first := x.leader()
	x.agree(x.members...)
	want := x.wanted(3)[1:]
	err := first.Reconcile(timeout(t), want)
	if !errors.Is(err, ErrNotController) {
		t.Fatal(err)
	}
	next := x.leader(0)
	x.reconciled(next, want)
	next.change(create0())
	x.agree(x.members[1:]...)
	// The demoted one goes on following.
	x.reconciled(next, append([]Member{{1, "A", false}}, want...))
	x.agree(x.members...)
}

func TestTransferGoesToTheOneAskedForOrTheBest(t *testing.T) {
	x := founded(t, 3)
	first := x.members[0]
	if err := first.Transfer(timeout(t), -1); !errors.Is(err, ErrNoSuccessor) {
		t.Fatalf("a leader alone: %v", err)
	}
	x.reconciled(first, x.wanted(3))
	if err := first.Transfer(timeout(t), 4); !errors.Is(err, ErrNoSuccessor) {
		t.Fatalf("to a node without a vote: %v", err)
	}
	if err := first.Transfer(timeout(t), 1); err != nil || !first.IsLeader() {
		t.Fatalf("to itself: %v", err)
	}
	if err := first.Transfer(timeout(t), 3); err != nil {
		t.Fatal(err)
	}
	third := x.leader(0)
	if third != x.members[2] {
		t.Fatalf("node %d leads", third.opts.NodeID)
	}
	if err := first.Transfer(timeout(t), -1); !errors.Is(err, ErrNotController) {
		t.Fatalf("by one that does not lead: %v", err)
	}
	x.stop(1) // the best is one that is there
	third.change(create0())
	if err := third.Transfer(timeout(t), -1); err != nil {
		t.Fatal(err)
	}
	if x.leader(1, 2) != first {
		t.Fatal("node 1 does not lead")
	}
}

func TestAMemberIsReplacedByAWipedOneUnderLoad(t *testing.T) {
	x := newTrio(t)
	x.members[0].Campaign()
	first := x.leader()
	first.change(register(Broker{ID: 1, Identity: "A"}))
	x.agree(x.members...)

	ctx, stop := context.WithCancel(t.Context())
	var made atomic.Int64
	done := make(chan error, 1)
	go func() {
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := first.Change(t.Context(), create(fmt.Sprint("t", n), 1)); err != nil {
				done <- err
				return
			}
			made.Store(int64(n + 1))
		}
		done <- nil
	}()
	x.stop(2)
	x.wipe(2)
	x.start(2)
	x.reconciled(first, x.wanted(3))
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	x.agree(x.members...)
	if got := len(x.members[2].Image().Topics()); int64(got) != made.Load() || got == 0 {
		t.Fatalf("%d topics on the new disk, %d were acknowledged", got, made.Load())
	}
	// It is a voter like any other, also after a restart.
	x.stop(0)
	x.leader(0).change(create0())
	x.stop(2)
	x.start(2)
	x.leader(0).change(create0())
}

// TestAWipedNodeDoesNotVoteForWhatItLost: node 3 made a majority with node 1 and lost its disk;
// with its vote node 2, which has nothing of it, would lead.
func TestAWipedNodeDoesNotVoteForWhatItLost(t *testing.T) {
	x := newTrio(t)
	x.members[0].Campaign()
	x.leader().change(create0())
	x.agree(x.members...)
	x.cut(1)
	x.members[0].change(create0())
	x.stop(2)
	x.wipe(2)
	x.start(2)
	x.mend(1)
	x.cut(0)
	x.members[1].Campaign()
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if x.members[1].leads(ctx) {
		t.Fatal("a committed change is lost")
	}
	x.mend(0)
	want := x.wanted(3)
	for {
		m := x.leader(2)
		if err := m.Reconcile(timeout(t), want); err == nil {
			break
		} else if !errors.Is(err, ErrNotController) {
			t.Fatal(err)
		}
	}
	x.agree(x.members...)
	if got := x.members[2].Image().NextProducerID(); got != 2 {
		t.Fatalf("next producer id %d", got)
	}
}
