package replication

import (
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// group builds a membership from ServerIDs: "+" before one means a voter, "-" one without a vote,
// "!" after it one that does not answer, "~" one that is far behind.
func group(self raft.ServerID, servers ...string) *membership {
	now := time.UnixMilli(1_700_000_000_000)
	m := &membership{self: self, last: 1000, now: now, patience: time.Second}
	known := map[raft.ServerID]Follower{}
	for _, s := range servers {
		suffrage := raft.Voter
		if s[0] == '-' {
			suffrage = raft.Nonvoter
		}
		f := Follower{Match: 999, LastContact: now}
		id := raft.ServerID(s[1:])
		switch s[len(s)-1] {
		case '!':
			id, f.LastContact = id[:len(id)-1], now.Add(-time.Minute)
		case '~':
			id, f.Match = id[:len(id)-1], 0
		}
		m.Servers = append(m.Servers, raft.Server{Suffrage: suffrage, ID: id, Address: NodeAddress(memberOf(id).Node)})
		known[id] = f
	}
	m.follower = func(id raft.ServerID) Follower { return known[id] }
	m.behind = func(index uint64) int64 { return int64(m.last - index) }
	return m
}

func TestStepsTowardsATarget(t *testing.T) {
	for _, c := range []struct {
		name    string
		servers []string
		target  []string
		step    Step
		server  raft.ServerID
	}{
		{"nothing to do", []string{"+1/a", "+2/b", "+3/c"}, []string{"3/c", "1/a", "2/b"}, StepNone, ""},
		{"a new member has no vote at first", []string{"+1/a", "+2/b", "+3/c"}, []string{"2/b", "3/c", "4/d"}, StepAdd, "4/d"},
		{"it is waited for", []string{"+1/a", "+2/b", "+3/c", "-4/d~"}, []string{"2/b", "3/c", "4/d"}, StepCatchUp, "4/d"},
		{"who does not answer is not promoted", []string{"+1/a", "-2/b!"}, []string{"1/a", "2/b"}, StepCatchUp, "2/b"},
		{"it gets its vote", []string{"+1/a", "+2/b", "+3/c", "-4/d"}, []string{"2/b", "3/c", "4/d"}, StepPromote, "4/d"},
		{"one that is slow holds up no other", []string{"+1/a", "-2/b~", "-3/c"}, []string{"1/a", "2/b", "3/c"}, StepPromote, "3/c"},
		{"another goes before the leader itself", []string{"+1/a", "+2/b", "+3/c", "+4/d"}, []string{"3/c", "4/d"}, StepRemove, "2/b"},
		{"the leader hands over", []string{"+1/a", "+2/b~", "+3/c"}, []string{"2/b", "3/c"}, StepTransfer, "3/c"},
		{"to somebody who answers", []string{"+1/a", "+2/b!", "+3/c!"}, []string{"2/b", "3/c"}, StepWait, ""},
		{"a cancelled addition goes", []string{"+1/a", "+2/b", "+3/c", "-4/d~"}, []string{"1/a", "2/b", "3/c"}, StepRemove, "4/d"},
		{"a wiped disk's old name goes first", []string{"+1/a", "+2/b", "+3/c!"}, []string{"1/a", "2/b", "3/new"}, StepReplace, "3/c"},
		{"then the new one comes", []string{"+1/a", "+2/b"}, []string{"1/a", "2/b", "3/new"}, StepAdd, "3/new"},
		{"no majority would be left", []string{"+1/a", "+2/b!", "+3/c"}, []string{"1/a", "2/b"}, StepWait, "3/c"},
		{"the dead one of two goes", []string{"+1/a", "+2/b!"}, []string{"1/a"}, StepRemove, "2/b"},
		{"a target that mistakes the leader's disk moves nothing", []string{"+1/a", "+2/b"}, []string{"1/other", "2/b"}, StepNone, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var target []Member
			for _, id := range c.target {
				target = append(target, memberOf(raft.ServerID(id)))
			}
			if got := group("1/a", c.servers...).next(target); got != (change{c.step, c.server}) {
				t.Errorf("%v %s", got.step, got.server)
			}
		})
	}
}

func TestFollowerWasCaughtUpWhenItHadWhatThereWasThen(t *testing.T) {
	now, last := time.UnixMilli(1000), uint64(10)
	f := newFollowers(func() uint64 { return last }, func() time.Time { return now })
	answer := func(term, match uint64, grown uint64) Follower {
		sent := f.sending()
		now, last = now.Add(time.Second), last+grown
		f.answered("2/b", &raft.AppendEntriesRequest{Term: term, PrevLogEntry: match}, &raft.AppendEntriesResponse{Success: true}, sent)
		return f.of(term, "2/b")
	}
	if x := answer(3, 10, 5); x.CaughtUp != time.UnixMilli(1000) || x.Match != 10 {
		t.Errorf("had all: %+v", x)
	}
	// From now on it is always a request behind, as under load; it was caught up one request ago.
	answer(3, 12, 5)
	if x := answer(3, 15, 5); x.CaughtUp != time.UnixMilli(2000) {
		t.Errorf("had what there was a request ago: %+v", x)
	}
	for range 5 {
		answer(3, 15, 5)
	}
	if x := answer(3, 15, 5); x.CaughtUp != time.UnixMilli(2000) || x.LastContact != now {
		t.Errorf("makes no progress: %+v", x)
	}
	if x := answer(4, 3, 0); x.Match != 3 || f.of(3, "2/b") != (Follower{}) {
		t.Errorf("a new term: %+v", x)
	}
}

func TestMemberThatBeganAgainIsNotTakenForItsPredecessor(t *testing.T) {
	f := newFollowers(func() uint64 { return 10 }, time.Now)
	r := &raft.AppendEntriesRequest{Term: 3, PrevLogEntry: 10}
	f.answered("2/b", r, &raft.AppendEntriesResponse{Success: true}, f.sending())
	f.answered("2/b", r, &raft.AppendEntriesResponse{LastLog: 10}, f.sending())
	if x := f.of(3, "2/b"); x.Match != 10 {
		t.Errorf("refused for another reason: %+v", x)
	}
	f.answered("2/b", r, &raft.AppendEntriesResponse{LastLog: 0}, f.sending())
	if x := f.of(3, "2/b"); x.Match != 0 || x.LastContact.IsZero() || !x.CaughtUp.IsZero() {
		t.Errorf("its log is empty: %+v", x)
	}
}
