package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// sketch is a view with these servers, of which live ones have caught up.
func sketch(self int32, live []int32, servers ...Member) view {
	v := view{last: 1000, silence: time.Second, at: time.Now(), known: map[raft.ServerID]follower{}}
	for _, m := range servers {
		suffrage := raft.Nonvoter
		if m.Voter {
			suffrage = raft.Voter
		}
		s := m.server(suffrage)
		v.servers = append(v.servers, s)
		if m.Node == self {
			v.self = s.ID
		} else if slices.Contains(live, m.Node) {
			v.known[s.ID] = follower{match: 1000, contact: v.at}
		}
	}
	return v
}

// apply makes a step on the servers.
func (v *view) apply(s step) {
	at := slices.IndexFunc(v.servers, func(o raft.Server) bool { return o.ID == s.server.ID })
	switch s.do {
	case add:
		v.servers = append(v.servers, s.server)
		v.known[s.server.ID] = follower{match: v.last, contact: v.at}
	case promote:
		v.servers[at].Suffrage = raft.Voter
	case demote:
		v.servers[at].Suffrage = raft.Nonvoter
	case remove:
		v.servers = slices.Delete(v.servers, at, at+1)
	case nothing, await, transfer:
	}
}

func TestVotesAreNotTakenFromWhoIsNeeded(t *testing.T) {
	a, b, c := Member{1, "A", true}, Member{2, "B", true}, Member{3, "C", true}
	wiped := Member{3, "C'", true}
	d, dv := Member{4, "D", false}, Member{4, "D", true}
	for _, x := range []struct {
		why  string
		v    view
		want []Member
		do   action
		node int32
		err  error
	}{
		{"all as wanted", sketch(1, []int32{2, 3}, a, b, c), []Member{a, b, c}, nothing, 0, nil},
		{"a wiped voter goes first", sketch(1, []int32{2}, a, b, c), []Member{a, b, wiped}, remove, 3, nil},
		{"not where the other is down too", sketch(1, nil, a, b, c), []Member{a, b, wiped}, await, 0, ErrNoMajority},
		{"a wiped follower goes in any case", sketch(1, nil, a, b, Member{3, "C", false}), []Member{a, b, wiped}, remove, 3, nil},
		{"a new member begins without a vote", sketch(1, []int32{2, 3}, a, b, c), []Member{a, b, dv}, add, 4, nil},
		{"and gets it", sketch(1, []int32{2, 3, 4}, a, b, c, d), []Member{a, b, dv}, promote, 4, nil},
		{"only when it has the log", sketch(1, []int32{2, 3}, a, b, c, d), []Member{a, b, dv}, await, 0, ErrNotCaughtUp},
		{"then the old one goes", sketch(1, []int32{2, 3, 4}, a, b, c, dv), []Member{a, b, dv}, remove, 3, nil},
		{"followers need no majority", sketch(1, nil, a, b, c, d), []Member{a, b, c}, remove, 4, nil},
		{"a vote is taken back", sketch(1, []int32{2, 3}, a, b, c), []Member{a, b, {3, "C", false}}, demote, 3, nil},
		{"not where a majority would be lost", sketch(1, []int32{3}, a, b, c, dv), []Member{a, b, dv}, await, 0, ErrNoMajority},
		{"the leader hands over last", sketch(1, []int32{2, 3, 4}, a, b, c, d), []Member{b, c}, remove, 4, nil},
		{"to one that stays", sketch(1, []int32{2, 3}, a, b, c), []Member{b, c}, transfer, 2, nil},
		{"if there is one", sketch(1, nil, a, b, c), []Member{b, c}, await, 0, ErrNoSuccessor},
	} {
		s := x.v.next(x.want)
		if s.do != x.do || x.node != 0 && nodeOf(s.server.Address) != x.node || !errors.Is(s.blocked, x.err) {
			t.Errorf("%s: %s %s, %v", x.why, s.do, s.server.ID, s.blocked)
		}
	}
}

// TestStepsLeadToWhatIsWanted follows the steps from random members to random others.
func TestStepsLeadToWhatIsWanted(t *testing.T) {
	for seed := range uint64(2000) {
		rnd := rand.New(rand.NewPCG(seed, 5))
		random := func(mark string) []Member {
			var ms []Member
			for node := range int32(6) {
				if rnd.IntN(3) > 0 {
					ms = append(ms, Member{Node: node + 1, Identity: fmt.Sprint(node+1) + []string{"", mark}[rnd.IntN(2)], Voter: rnd.IntN(2) == 0})
				}
			}
			if !slices.ContainsFunc(ms, func(m Member) bool { return m.Voter }) {
				return []Member{{Node: 1, Identity: "1", Voter: true}}
			}
			return ms
		}
		now, want := random("'"), random("\"")
		leader := now[slices.IndexFunc(now, func(m Member) bool { return m.Voter })].Node
		v := sketch(leader, []int32{1, 2, 3, 4, 5, 6}, now...)
		for n := 0; ; n++ {
			s := v.next(want)
			if s.do == nothing {
				break
			}
			if s.do == transfer {
				if s.server.Suffrage != raft.Voter || s.server.ID == v.self {
					t.Fatalf("seed %d: handed over to %+v", seed, s.server)
				}
				v.known[v.self] = follower{match: v.last, contact: v.at}
				v.self = s.server.ID
				continue
			}
			if s.do == await && errors.Is(s.blocked, ErrNoSuccessor) && onlyVoter(want, v.self) {
				break // the only one that is to vote has the leader's node, with another disk
			}
			if s.do == await || n > 40 || s.server.ID == v.self {
				t.Fatalf("seed %d: %s %s (%v), led by %s from %v to %v", seed, s.do, s.server.ID, s.blocked, v.self, now, want)
			}
			v.apply(s)
			checkServers(t, seed, v.servers)
		}
	}
}

// onlyVoter reports whether no other node than the leader's is to vote.
func onlyVoter(want []Member, leader raft.ServerID) bool {
	for _, w := range want {
		if w.Voter && fmt.Sprint(w.Node) != strings.Split(string(leader), "/")[0] {
			return false
		}
	}
	return true
}

func checkServers(t *testing.T, seed uint64, servers []raft.Server) {
	t.Helper()
	at, voters := map[raft.ServerAddress]bool{}, 0
	for _, s := range servers {
		if at[s.Address] {
			t.Fatalf("seed %d: two members on node %s", seed, s.Address)
		}
		at[s.Address] = true
		if s.Suffrage == raft.Voter {
			voters++
		}
	}
	if voters == 0 {
		t.Fatalf("seed %d: no voters", seed)
	}
}

func TestMembersThatCannotBeAreRefused(t *testing.T) {
	m := open(t, t.TempDir())
	for _, want := range [][]Member{
		nil, {{1, "A", false}}, {{1, "", true}}, {{-1, "A", true}}, {{1, "A", true}, {1, "B", false}},
	} {
		if err := m.Reconcile(timeout(t), want); !errors.Is(err, ErrInvalidRequest) {
			t.Errorf("%v: %v", want, err)
		}
	}
}
