package replication

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/raft"
)

// Campaign makes this replica stand for election at once, whoever leads, and without asking
// first whether it would win (Raft's pre-vote). It is for a group whose leader is known to be
// gone. A replica without a vote, or one that has just been elected, does nothing.
func (p *Partition) Campaign() {
	in := p.inst.Load()
	s, member := in.admission.suffrage()
	if !member || s != raft.Voter || in.admission.leads() {
		return
	}
	if in.raft.State() == raft.Candidate {
		in.follow()
	}
	in.transport.Campaign()
}

// Resign ends this replica's leadership, in favour of nobody: it is for a leader that has lost touch
// with the others and does not want to keep clients waiting for them. One that does not lead stays
// as it is.
func (p *Partition) Resign() {
	if in := p.inst.Load(); in.raft.State() == raft.Leader {
		in.follow()
	}
}

// follow makes a leader or a candidate a follower of the next term. A candidate that has not won
// waits an election timeout before it stands again, and a leader without followers as long until it
// gives up; neither heeds a call meanwhile. What ends that at once is any other member's request
// with a higher term; this one is for a candidate with an empty log, so the vote is refused.
func (in *instance) follow() {
	for _, s := range in.raft.GetConfiguration().Configuration().Servers {
		if s.Suffrage == raft.Voter && s.ID != in.id {
			in.transport.inject(&raft.RequestVoteRequest{
				RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(s.ID), Addr: []byte(s.Address)},
				Term:      in.raft.CurrentTerm() + 1,
				// Else a member that has a leader, even if it is itself, does not listen.
				LeadershipTransfer: true,
			})
			return
		}
	}
}

// handCatchUp is how long a transfer waits for the heir to catch up, before it refuses batches.
const handCatchUp = 5 * time.Second

// TransferLeadership hands the leadership to a node, or to the most advanced follower for -1.
// It waits until that has nearly all of the log, then refuses new batches and lets those in
// flight finish; it leads on when the transfer fails. ErrNotLeader is returned by a replica that
// does not lead, ErrUnavailable where the heir has no vote, does not answer or does not catch up.
func (p *Partition) TransferLeadership(to int32) error {
	heir, err := p.awaitHeir(to)
	if err != nil {
		return err
	}
	p.mu.Lock()
	if p.refusal != nil {
		defer p.mu.Unlock()
		return p.refusal
	}
	p.handing, p.refusal = true, ErrNotLeader
	in := p.inst.Load()
	p.look()
	p.drain(handDrain)
	lost := p.stepDown(ErrNotLeader)
	p.mu.Unlock()
	fail(lost, ErrNotLeader)

	err = in.transfer(p.life, heir, handLimit)
	p.mu.Lock()
	p.handing, p.handed = false, err != nil
	p.mu.Unlock()
	p.look()
	return err
}

// awaitHeir waits until the heir is close behind, and returns its name.
func (p *Partition) awaitHeir(to int32) (raft.ServerID, error) {
	for deadline := time.Now().Add(handCatchUp); ; {
		_, m, leading := p.membership()
		if !leading {
			return "", ErrNotLeader
		}
		id, voter := m.choose(to)
		if voter && m.near(id) {
			return id, nil
		}
		if to >= 0 && !voter {
			return "", fmt.Errorf("transfer of leadership: %w: node %d has no vote", ErrUnavailable, to)
		}
		if time.Now().After(deadline) {
			return "", fmt.Errorf("transfer of leadership: %w: node %d does not catch up", ErrUnavailable, memberOf(id).Node)
		}
		select {
		case <-time.After(heirPause):
		case <-p.life.Done():
			return "", errClosing
		}
	}
}

// heirPause lies between two looks at an heir that is behind.
const heirPause = 5 * time.Millisecond

// choose returns the voter at a node, or the most advanced one that answers.
func (m *membership) choose(to int32) (raft.ServerID, bool) {
	if to < 0 {
		var all []Member
		for _, s := range m.Servers {
			all = append(all, memberOf(s.ID))
		}
		id := m.heir(all)
		return id, id != ""
	}
	for _, s := range m.Servers {
		if s.Address == NodeAddress(to) && s.ID != m.self {
			return s.ID, s.Suffrage == raft.Voter
		}
	}
	return "", false
}

// handDrain is how long a transfer waits for proposals in flight.
const handDrain = time.Second

// drain waits until nothing is in flight; the caller holds mu.
func (p *Partition) drain(limit time.Duration) {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for len(p.proposals.queue) > 0 && p.mark != nil {
		if p.freed == nil {
			p.freed = make(chan struct{})
		}
		freed := p.freed
		p.mu.Unlock()
		select {
		case <-freed:
			p.mu.Lock()
		case <-deadline.C:
			p.mu.Lock()
			return
		}
	}
}

// handLimit is how long an heir may take to be elected. Raft itself would refuse batches for an
// election timeout before it went on to lead.
const handLimit = 3 * time.Second

// transfer has the heir stand for election. Where it has not won in time the group is left without a
// leader, which any of its members may become.
func (in *instance) transfer(ctx context.Context, heir raft.ServerID, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	answer := make(chan error, 1)
	go func() {
		answer <- in.raft.LeadershipTransferToServer(heir, NodeAddress(memberOf(heir).Node)).Error()
	}()
	select {
	case err := <-answer:
		if err != nil {
			return fmt.Errorf("transfer of leadership: %w: %v", ErrUnavailable, err)
		}
		return nil
	case <-ctx.Done():
		if in.raft.State() == raft.Leader {
			in.follow()
		}
		return fmt.Errorf("transfer of leadership: %w: %w", ErrUnavailable, ctx.Err())
	}
}
