package replication

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Membership is a group's membership as its leader sees it.
type Membership struct {
	Members []MemberState // committed, in Raft's order
	Step    Step          // towards the target of Reconcile
	Node    int32         // whom the step is about, -1 for nobody
	Behind  int64         // bytes that this node lacks while it catches up
	Err     error         // why the last step failed; it is tried again
	// Done is set when the members are those of the target, all of them voters.
	Done bool
}

// MemberState is one member of a group.
type MemberState struct {
	Member
	Voter bool
	Follower
}

// reconciler moves a group towards a target, on a goroutine that exists while this replica leads
// and something is left to do.
type reconciler struct {
	mu      sync.Mutex
	target  []Member
	running bool
	closed  bool
	failed  error
	wake    chan struct{} // holds one
	idle    sync.WaitGroup
}

var errTarget = errors.New("bad target for a group's membership")

// Reconcile tells which members the group should have, all of them with a vote. The leader works
// towards it one change at a time: it adds whom it lacks, waits until they have caught up, gives
// them a vote, and then removes who is not wanted, itself last. Every call replaces the target of
// the one before, which is also how a move is cancelled. A replica that does not lead remembers
// the target for when it does. The call returns at once: see Membership and OnMembership.
func (p *Partition) Reconcile(target []Member) error {
	seen := map[int32]bool{}
	for _, t := range target {
		if t.Node < 0 || t.Identity == "" || seen[t.Node] {
			return fmt.Errorf("node %d, data directory %q: %w", t.Node, t.Identity, errTarget)
		}
		seen[t.Node] = true
	}
	if len(target) == 0 {
		return fmt.Errorf("no members: %w", errTarget)
	}
	p.reconciler.mu.Lock()
	p.reconciler.target = slices.Clone(target)
	p.reconciler.mu.Unlock()
	p.reconcile()
	return nil
}

// reconcile has the membership looked at anew. It takes a leaf lock only.
func (p *Partition) reconcile() {
	r := &p.reconciler
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed || r.target == nil {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
	if !r.running {
		r.running = true
		r.idle.Go(p.reconcileAll)
	}
}

func (r *reconciler) close() {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.idle.Wait()
}

func (p *Partition) reconcileAll() {
	r := &p.reconciler
	var told Membership
	for {
		select {
		case <-r.wake:
		default:
		}
		pause := p.reconcileOnce(&told)
		r.mu.Lock()
		if r.closed || pause == 0 && len(r.wake) == 0 {
			r.running = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		if pause == 0 {
			continue
		}
		t := time.NewTimer(pause)
		select {
		case <-r.wake:
		case <-t.C:
		case <-p.life.Done():
		}
		t.Stop()
	}
}

// The pauses between two looks at a group that is not yet as it should be.
const (
	changePause  = time.Millisecond
	catchUpPause = 50 * time.Millisecond
	failurePause = 500 * time.Millisecond
)

// reconcileOnce makes one step and returns after which pause to look again, 0 for none.
func (p *Partition) reconcileOnce(told *Membership) time.Duration {
	r := &p.reconciler
	in, m, leading := p.membership()
	if !leading {
		return 0
	}
	r.mu.Lock()
	target := r.target
	r.mu.Unlock()
	c := m.next(target)
	p.tell(told)

	var err error
	switch c.step {
	case StepNone:
		r.note(nil)
		p.tell(told)
		return 0
	case StepCatchUp, StepWait:
		return catchUpPause
	case StepTransfer:
		err = p.TransferLeadership(memberOf(c.server).Node)
	default:
		p.logger.Info("membership changes", "group", p.config.Group, "step", c.step.String(), "member", string(c.server))
		err = in.change(p.life, c, m.index)
	}
	r.note(err)
	if err != nil {
		p.logger.Warn("membership could not be changed", "group", p.config.Group, "step", c.step.String(), "member", string(c.server), "err", err)
		return failurePause
	}
	return changePause
}

func (r *reconciler) note(err error) {
	r.mu.Lock()
	r.failed = err
	r.mu.Unlock()
}

// tell calls OnMembership when there is news, progress in bytes aside.
func (p *Partition) tell(told *Membership) {
	now := p.Membership()
	same := now.Step == told.Step && now.Node == told.Node && now.Done == told.Done && len(now.Members) == len(told.Members)
	*told = now
	if !same && p.config.OnMembership != nil {
		p.config.OnMembership(p, now)
	}
}

// Membership returns the group's members, and how far the leader is with Reconcile. On a replica
// that does not lead it knows no more than the members.
func (p *Partition) Membership() Membership {
	_, m, leading := p.membership()
	out := Membership{Node: -1}
	for _, s := range m.Servers {
		state := MemberState{Member: memberOf(s.ID), Voter: s.Suffrage == raft.Voter}
		if leading {
			state.Follower = m.follower(s.ID)
		}
		out.Members = append(out.Members, state)
	}
	r := &p.reconciler
	r.mu.Lock()
	target, failed := r.target, r.failed
	r.mu.Unlock()
	if !leading || target == nil {
		return out
	}
	c := m.next(target)
	out.Step, out.Err, out.Done = c.step, failed, c.step == StepNone && m.equals(target)
	if c.step != StepNone {
		out.Node = memberOf(c.server).Node
	}
	if c.step == StepCatchUp {
		out.Behind = m.behind(m.follower(c.server).Match)
	}
	return out
}

// equals reports whether the target is reached; a leader whose own data directory is another
// than the target says is neither wanted nor removed.
func (m *membership) equals(target []Member) bool {
	if len(m.Servers) != len(target) {
		return false
	}
	for _, t := range target {
		if s, in := suffrageOf(m.Configuration, t.serverID()); !in || s != raft.Voter {
			return false
		}
	}
	return true
}
