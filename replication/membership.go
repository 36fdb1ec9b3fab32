package replication

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

// Member is a node on one particular data directory: a node whose disk was wiped is another.
type Member struct {
	Node     int32
	Identity string
}

func (m Member) serverID() raft.ServerID {
	return raft.ServerID(fmt.Sprintf("%d/%s", m.Node, m.Identity))
}

// memberOf is serverID's inverse.
func memberOf(id raft.ServerID) Member {
	node, identity, _ := strings.Cut(string(id), "/")
	n, err := strconv.ParseInt(node, 10, 32)
	if err != nil {
		n = -1
	}
	return Member{int32(n), identity}
}

// membership is a committed configuration and what its leader knows of its members.
type membership struct {
	raft.Configuration
	index    uint64 // of the entry that set it
	self     raft.ServerID
	last     uint64 // the leader's last entry
	now      time.Time
	patience time.Duration // for which a member that was heard of counts as alive
	follower func(raft.ServerID) Follower
	behind   func(index uint64) int64 // bytes that follow an entry
}

// change is one step from a membership to another, the zero value none.
type change struct {
	step   Step
	server raft.ServerID
}

// Step says what a leader is doing about its group's membership.
type Step uint8

// The steps, in the order in which they come.
const (
	StepNone     Step = iota // the group is as it should be, or this replica does not lead
	StepReplace              // removing a member whose data directory is no more
	StepAdd                  // adding a member, without a vote at first
	StepCatchUp              // waiting until it has nearly all of the log
	StepPromote              // giving it a vote
	StepWait                 // waiting until enough members answer to let one go
	StepTransfer             // handing over the leadership, because this replica is to go
	StepRemove               // removing a member
)

var stepNames = [...]string{"none", "replacing", "adding", "catching up", "promoting", "waiting for a majority", "transferring", "removing"}

// String is the step in words.
func (s Step) String() string { return stepNames[min(int(s), len(stepNames)-1)] }

// What a new member may lack when it gets its vote.
const (
	nearEntries = 2 * maxAppendEntries
	nearBytes   = 16 << 20
)

// near reports whether a member has nearly all of the log. One that has acknowledged nothing in
// this term has not shown it.
func (m *membership) near(id raft.ServerID) bool {
	match := m.follower(id).Match
	return match > 0 && m.alive(id) && match+nearEntries >= m.last && m.behind(match) <= nearBytes
}

// next returns the step that leads towards the target. Raft allows one change at a time, and
// no two members at one address: so a node's old identity has to go before the new one comes.
// That costs nothing: the old one answers no more, and without it a majority is no larger.
func (m *membership) next(target []Member) change {
	if c := m.dropStale(target); c.step != StepNone {
		return c
	}
	if c := m.addMissing(target); c.step != StepNone {
		return c
	}
	return m.removeUnwanted(target)
}

// dropStale removes who is in the way of the target, and learners that nobody wants any more.
func (m *membership) dropStale(target []Member) change {
	for _, s := range m.Servers {
		have := memberOf(s.ID)
		i := slices.IndexFunc(target, func(t Member) bool { return t.Node == have.Node })
		switch {
		case s.ID == m.self:
		case i >= 0 && target[i] != have:
			return m.removal(StepReplace, s)
		case i < 0 && s.Suffrage != raft.Voter:
			return m.removal(StepRemove, s)
		}
	}
	return change{}
}

// addMissing adds members and promotes those that have caught up.
func (m *membership) addMissing(target []Member) change {
	for _, t := range target {
		if _, in := suffrageOf(m.Configuration, t.serverID()); !in && !m.holds(t.Node) {
			return change{StepAdd, t.serverID()}
		}
	}
	var behind change
	for _, t := range target {
		id := t.serverID()
		switch s, in := suffrageOf(m.Configuration, id); {
		case !in || s == raft.Voter:
		case m.near(id):
			return change{StepPromote, id}
		case behind.step == StepNone:
			behind = change{StepCatchUp, id}
		}
	}
	return behind
}

// removeUnwanted removes members when all wanted ones vote; the leader itself comes last.
func (m *membership) removeUnwanted(target []Member) change {
	self := change{}
	for _, s := range m.Servers {
		switch {
		case slices.Contains(target, memberOf(s.ID)):
		case s.ID != m.self:
			return m.removal(StepRemove, s)
		case !slices.ContainsFunc(target, func(t Member) bool { return t.Node == memberOf(m.self).Node }):
			self = change{StepTransfer, m.heir(target)}
		}
	}
	if self.step == StepTransfer && self.server == "" {
		self.step = StepWait
	}
	return self
}

// holds reports whether a member has the node's address.
func (m *membership) holds(node int32) bool {
	return slices.ContainsFunc(m.Servers, func(s raft.Server) bool { return s.Address == NodeAddress(node) })
}

// heir is the most advanced voter of the target, "" while none answers.
func (m *membership) heir(target []Member) (best raft.ServerID) {
	for _, t := range target {
		id := t.serverID()
		if s, in := suffrageOf(m.Configuration, id); !in || s != raft.Voter || id == m.self || !m.alive(id) {
			continue
		}
		if best == "" || m.follower(id).Match > m.follower(best).Match {
			best = id
		}
	}
	return best
}

// removal removes a server once a majority of the remaining voters answers.
func (m *membership) removal(step Step, s raft.Server) change {
	voters, alive := 0, 0
	for _, o := range m.Servers {
		if o.Suffrage != raft.Voter || o.ID == s.ID {
			continue
		}
		voters++
		if m.alive(o.ID) {
			alive++
		}
	}
	if alive <= voters/2 {
		return change{StepWait, s.ID}
	}
	return change{step, s.ID}
}

func (m *membership) alive(id raft.ServerID) bool {
	return id == m.self || m.now.Sub(m.follower(id).LastContact) <= m.patience
}

// membership describes the group as this leader sees it; not ok where it does not lead.
func (p *Partition) membership() (in *instance, m *membership, ok bool) {
	in = p.inst.Load()
	state := p.State()
	m = &membership{self: in.id, last: in.log.LastIndex(), behind: in.log.SizeAfter, now: p.node.now(), patience: p.node.Timing.Heartbeat}
	p.machine.mu.Lock()
	m.Configuration, m.index = p.machine.configuration, p.machine.configured // never changed in place
	p.machine.mu.Unlock()
	m.follower = func(id raft.ServerID) Follower { return in.followers.of(uint64(state.Epoch), id) }
	return in, m, state.Leading
}

// changeLimit bounds the wait for one change of the membership to be committed.
const changeLimit = 10 * time.Second

var errChange = errors.New("membership was not changed")

// change proposes one step and returns when it is committed. It fails when the configuration is
// another than the one that the step was derived from.
func (in *instance) change(ctx context.Context, c change, prev uint64) error {
	ctx, cancel := context.WithTimeout(ctx, changeLimit)
	defer cancel()
	address := NodeAddress(memberOf(c.server).Node)
	if c.step == StepAdd {
		in.followers.forget(c.server)
	}
	answer := make(chan error, 1)
	go func() {
		var f raft.IndexFuture
		switch c.step {
		case StepAdd:
			f = in.raft.AddNonvoter(c.server, address, prev, changeLimit)
		case StepPromote:
			f = in.raft.AddVoter(c.server, address, prev, changeLimit)
		default:
			f = in.raft.RemoveServer(c.server, prev, changeLimit)
		}
		answer <- f.Error()
	}()
	select {
	case err := <-answer:
		if err != nil {
			return fmt.Errorf("%w: %w: %v", ErrUnavailable, errChange, err)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%w: %w: %w", ErrUnavailable, errChange, ctx.Err())
	}
}

// Evict takes a node's replica out of the group, committed by the others: after it, nothing that
// the replica acknowledged is missing from them, and it may begin again without its log. Evicting
// one that is not a member does nothing. It comes back by Reconcile. ErrNotLeader is returned by
// a replica that does not lead, ErrUnavailable where the others are no majority.
func (p *Partition) Evict(ctx context.Context, node int32) error {
	in, m, ok := p.membership()
	if !ok || node == p.node.ID {
		return ErrNotLeader
	}
	i := slices.IndexFunc(m.Servers, func(s raft.Server) bool { return memberOf(s.ID).Node == node })
	if i < 0 {
		return nil
	}
	c := m.removal(StepRemove, m.Servers[i])
	if c.step == StepWait {
		return fmt.Errorf("%w: too few of the other replicas answer", ErrUnavailable)
	}
	return in.change(ctx, c, m.index)
}
