package cluster

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/raft"
)

const (
	// reconcileTimeout bounds how long Reconcile waits for members to catch up.
	reconcileTimeout = 10 * time.Second
	// enqueueTimeout bounds how long a change waits for an earlier one to be committed.
	enqueueTimeout = 5 * time.Second
)

// Reconcile brings the members to what is wanted, which must name at least one voter: it adds
// those that are missing as followers, gives votes to those that have caught up, replaces a node's
// old data directory by its present one, then takes votes back and removes who is not wanted. It
// makes one change of the configuration at a time, and each only where a majority of the voters
// is live after it. The leader does not remove itself: it hands the lead over first, and the next
// one goes on from whatever is done. Nothing happens where all is as wanted.
//
// Errors: the context's, ErrNotController (also after handing over), ErrNotCaughtUp and
// ErrNoMajority (try again: the rest is done by then), ErrInvalidRequest, ErrClosed, ErrFailed.
func (m *Metadata) Reconcile(ctx context.Context, want []Member) error {
	if err := checkMembers(want); err != nil {
		return err
	}
	select {
	case m.reconciling <- struct{}{}:
		defer func() { <-m.reconciling }()
	case <-ctx.Done():
		return ctx.Err()
	case <-m.closing:
		return ErrClosed
	}
	limit := time.NewTimer(reconcileTimeout)
	defer limit.Stop()
	for {
		if err := m.waitLeading(ctx); err != nil {
			return err
		}
		_, news := m.followers.now(0)
		s := m.view().next(want)
		switch s.do {
		case nothing:
			return nil
		case await:
			select {
			case <-news:
			case <-limit.C:
				return s.blocked
			case <-ctx.Done():
				return errors.Join(ctx.Err(), s.blocked)
			case <-m.closing:
				return ErrClosed
			}
		default:
			if err := m.take(ctx, s); err != nil {
				return err
			}
		}
	}
}

func checkMembers(want []Member) error {
	voters, seen := 0, map[int32]bool{}
	for _, w := range want {
		if w.Node < 0 || w.Identity == "" || seen[w.Node] {
			return refuse(ErrInvalidRequest, "Node %d with data directory %q cannot be a member, or is named twice.", w.Node, w.Identity)
		}
		seen[w.Node] = true
		if w.Voter {
			voters++
		}
	}
	if voters == 0 {
		return refuse(ErrInvalidRequest, "The metadata needs at least one voter.")
	}
	return nil
}

// take makes one step.
func (m *Metadata) take(ctx context.Context, s step) error {
	m.log.Info("metadata members change", "step", s.do.String(), "member", s.server.ID)
	var f raft.Future
	switch s.do {
	case add:
		f = m.raft.AddNonvoter(s.server.ID, s.server.Address, s.index, enqueueTimeout)
	case promote:
		f = m.raft.AddVoter(s.server.ID, s.server.Address, s.index, enqueueTimeout)
	case demote:
		f = m.raft.DemoteVoter(s.server.ID, s.index, enqueueTimeout)
	case remove:
		f = m.raft.RemoveServer(s.server.ID, s.index, enqueueTimeout)
	case transfer:
		f = m.raft.LeadershipTransferToServer(s.server.ID, s.server.Address)
	case nothing, await:
		return nil
	}
	err := m.settle(ctx, f)
	if err == nil && s.do == transfer {
		return m.notController()
	}
	if err != nil && strings.HasPrefix(err.Error(), "configuration changed since") {
		return nil // look again
	}
	return err
}

// action is what a step does.
type action int

const (
	nothing action = iota
	await          // of followers' answers
	add
	promote
	demote
	remove
	transfer
)

func (a action) String() string {
	return [...]string{"nothing", "await", "add", "promote", "demote", "remove", "transfer"}[a]
}

// step is the next thing to do to a server.
type step struct {
	do     action
	server raft.Server
	// index is that of the configuration it was decided on, 0 where it is not known.
	index   uint64
	blocked error // why there is only to wait
}

// next decides on the next step towards what is wanted.
func (v view) next(want []Member) step {
	s := v.grow(want)
	if s.do == nothing || s.do == await {
		if t := v.shrink(want, s.do == await); t.do != nothing {
			s = t
		}
	}
	s.index = v.index
	return s
}

// grow looks for who is to be added, replaced or promoted.
func (v view) grow(want []Member) step {
	var waiting step
	for _, w := range want {
		now := v.server(w.Node)
		switch {
		case now == nil:
			return step{do: add, server: w.server(raft.Nonvoter)}
		case now.ID == v.self: // shrink looks at the leader, last of all
		case identityOf(now.ID) != w.Identity:
			// Two members cannot have one address: the old directory goes first.
			if now.Suffrage != raft.Voter || v.quorumWithout(*now) {
				return step{do: remove, server: *now}
			}
			waiting = step{do: await, blocked: noMajority(*now)}
		case w.Voter && now.Suffrage != raft.Voter:
			if v.caughtUp(*now) {
				return step{do: promote, server: *now}
			}
			waiting = step{do: await, blocked: fmt.Errorf("%w: node %d has %d of %d entries", ErrNotCaughtUp, w.Node, v.known[now.ID].match, v.last)}
		}
	}
	return waiting
}

// shrink looks for who is to lose the vote or to be removed. Votes are kept while others that are
// to have one do not have it yet.
func (v view) shrink(want []Member, growing bool) (waiting step) {
	for _, s := range v.servers {
		w := wanted(want, s)
		voter := s.Suffrage == raft.Voter
		if w != nil && (w.Voter || !voter) {
			continue
		}
		do := remove
		if w != nil {
			do = demote
		}
		switch {
		case !voter:
			return step{do: do, server: s}
		case growing:
		case s.ID == v.self:
			if waiting.do == nothing {
				waiting = v.handOver(want)
			}
		case v.quorumWithout(s):
			return step{do: do, server: s}
		default:
			waiting = step{do: await, blocked: noMajority(s)}
		}
	}
	return waiting
}

// handOver looks for a voter to lead in this node's place.
func (v view) handOver(want []Member) step {
	for _, s := range v.servers {
		if w := wanted(want, s); w != nil && w.Voter && s.Suffrage == raft.Voter && v.caughtUp(s) {
			return step{do: transfer, server: s}
		}
	}
	return step{do: await, blocked: fmt.Errorf("%w: that is to stay", ErrNoSuccessor)}
}

func noMajority(s raft.Server) error {
	return fmt.Errorf("%w: without node %d", ErrNoMajority, nodeOf(s.Address))
}

// server is the member of a node.
func (v view) server(node int32) *raft.Server {
	for n, s := range v.servers {
		if nodeOf(s.Address) == node {
			return &v.servers[n]
		}
	}
	return nil
}

// wanted is what is wanted of a server, nil where it is to go.
func wanted(want []Member, s raft.Server) *Member {
	for n, w := range want {
		if w.Node == nodeOf(s.Address) && w.Identity == identityOf(s.ID) {
			return &want[n]
		}
	}
	return nil
}
