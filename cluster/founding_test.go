package cluster

import (
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

func TestAFounderAndEmptyMembersElectAndReplicate(t *testing.T) {
	x := newTrio(t)
	for _, n := range []int{1, 2} { // without a configuration nobody stands for election
		x.members[n].Campaign()
		if q := x.members[n].Quorum(); q.Leader > 1 { // the founder may have been elected already
			t.Fatalf("an empty member leads: %+v", q)
		}
	}
	x.members[0].Campaign()
	founder := x.leader()
	if founder != x.members[0] {
		t.Fatalf("node %d leads", founder.opts.NodeID)
	}
	founder.change(register(Broker{ID: 1, Identity: "A"}))
	founder.change(create("a", 3))
	x.agree(x.members...)
	for n := range x.members {
		if q := x.members[n].Quorum(); !slices.Equal(q.Voters, trioVoters) {
			t.Fatalf("node %d knows the voters %v", n+1, q.Voters)
		}
	}
	want := state(t, founder.Image())
	for n := range x.members {
		x.stop(n)
	}
	for n := range x.members {
		x.start(n)
	}
	x.members[2].Campaign() // any of them may lead now
	x.leader().change(create("b", 1))
	x.agree(x.members...)
	if state(t, x.members[0].Image()) == want {
		t.Fatal("nothing was added after the restart")
	}
}

func TestAnEmptyMemberFoundsNothing(t *testing.T) {
	x := nodes(t, 3)
	elected := make(chan int32, 100)
	for _, n := range []int{1, 2} {
		x.onRole[n] = func(leader int32, _ uint64, _ bool) {
			if leader >= 0 {
				elected <- leader
			}
		}
		x.start(n)
	}
	for range 2 { // also after a restart, and beyond the time in which voters would elect
		for _, n := range []int{1, 2} {
			x.members[n].Campaign()
		}
		select {
		case leader := <-elected:
			t.Fatalf("node %d leads", leader)
		case <-time.After(700 * time.Millisecond):
		}
		for _, n := range []int{1, 2} {
			m := x.members[n]
			if node, term := m.Leader(); node != -1 || term > 1 || m.raft.LastIndex() != 0 || m.IsLeader() {
				t.Fatalf("node %d: leader %d, term %d, %d entries", n+1, node, term, m.raft.LastIndex())
			}
			x.stop(n)
			x.start(n)
		}
	}
}

func TestAFounderIsOneOfItsVoters(t *testing.T) {
	o, stable := options(t, t.TempDir())
	defer stable.Close()
	o.Voters = []Voter{{2, "B"}}
	_, err := Open(o)
	refused(t, err, err, "node 1", "not among the voters")
}

func TestAFounderThatLostItsLogDoesNotFoundAgain(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).close()
	o, stable := options(t, dir)
	defer stable.Close()
	o.Dir = filepath.Join(t.TempDir(), "cluster")
	_, err := Open(o)
	refused(t, err, err, "its log is gone")
}

func TestACampaignOnAMajoritysVerdictGivesAReadyLeaderSoon(t *testing.T) {
	x := newTrio(t)
	x.members[0].Campaign()
	x.leader().change(register(Broker{ID: 1, Identity: "A"}))
	x.agree(x.members...)
	var slowest time.Duration
	for range 5 {
		old := int(x.leader().opts.NodeID) - 1
		next := (old + 1) % 3
		x.cut(old)
		began := time.Now()
		x.members[next].Campaign()
		if !x.members[next].leads(timeout(t)) {
			t.Fatal("no leader")
		}
		slowest = max(slowest, time.Since(began))
		x.members[next].change(records(ProducerIDsRecord{began.UnixNano()}))
		x.stop(old)
		x.start(old)
		x.agree(x.members...)
	}
	t.Logf("slowest of 5: %s from the verdict to a leader that may decide", slowest)
	if slowest > 250*time.Millisecond { // an election by timers takes at least 300 ms
		t.Fatalf("took %s", slowest)
	}
}

// roles collects what OnRole is told.
type roles struct {
	mu    sync.Mutex
	heard []told
	wake  chan struct{}
}

func newRoles() *roles { return &roles{wake: make(chan struct{}, 1)} }

func (r *roles) hear(leader int32, term uint64, leading bool) {
	r.mu.Lock()
	r.heard = append(r.heard, told{leader, term, leading})
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *roles) until(t *testing.T, what string, cond func(told) bool) told {
	t.Helper()
	limit := time.After(10 * time.Second)
	for {
		r.mu.Lock()
		heard := slices.Clone(r.heard)
		r.mu.Unlock()
		if n := len(heard); n > 0 && cond(heard[n-1]) {
			return heard[n-1]
		}
		select {
		case <-r.wake:
		case <-limit:
			t.Fatalf("not told of %s: %v", what, heard)
		}
	}
}

func TestRolesAreToldInOrder(t *testing.T) {
	x := nodes(t, 3)
	var heard [3]*roles
	for n := range heard {
		heard[n] = newRoles()
		x.onRole[n] = heard[n].hear
		x.start(n)
		heard[n].until(t, "no leader", func(r told) bool { return r.leader == -1 && !r.leading })
	}
	lead := func(n int) uint64 {
		term := uint64(0)
		for other := range heard {
			r := heard[other].until(t, fmt.Sprintf("node %d leading", n+1), func(r told) bool {
				return r.leader == int32(n+1) && r.leading == (other == n) && (term == 0 || r.term == term)
			})
			term = r.term
		}
		return term
	}
	x.members[0].Campaign()
	first := lead(0)
	x.agree(x.members...) // before that the others do not know that they have votes
	x.members[1].Campaign()
	if second := lead(1); second <= first {
		t.Fatalf("term %d after %d", second, first)
	}
	x.members[1].close()
	heard[1].until(t, "the end", func(r told) bool { return !r.leading })
	for n, r := range heard {
		r.mu.Lock()
		for k := 1; k < len(r.heard); k++ {
			if r.heard[k] == r.heard[k-1] || r.heard[k].term < r.heard[k-1].term || r.heard[k].leading && r.heard[k].leader != int32(n+1) {
				t.Errorf("node %d was told %v", n+1, r.heard)
			}
		}
		r.mu.Unlock()
	}
}
