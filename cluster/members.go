package cluster

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/raft"
)

// Member is a node's place in the metadata group. Every broker is a member: those with a vote
// elect and commit, the others follow the log.
type Member struct {
	Node int32
	// Identity is the UUID of its data directory.
	Identity string
	Voter    bool
}

func memberOf(s raft.Server) Member {
	return Member{Node: nodeOf(s.Address), Identity: identityOf(s.ID), Voter: s.Suffrage == raft.Voter}
}

func (w Member) server(suffrage raft.ServerSuffrage) raft.Server {
	return serverOf(Voter{ID: w.Node, Identity: w.Identity}, suffrage)
}

// Members are the members by the latest configuration that this node knows, committed or not; none
// before it has learned of any.
func (m *Metadata) Members() []Member {
	var members []Member
	for _, s := range m.servers() {
		members = append(members, memberOf(s))
	}
	return members
}

// configured is a committed configuration.
type configured struct {
	index   uint64
	servers []raft.Server
}

// configurationIndex is the index of a configuration, 0 where it is not the last one that this
// node knows to be committed.
func (m *Metadata) configurationIndex(servers []raft.Server) uint64 {
	if c := m.configured.Load(); c != nil && slices.Equal(c.servers, servers) {
		return c.index
	}
	return 0
}

// Transfer hands the lead to a voter, or with -1 to the one that has most of the log, and waits
// until this node does not lead any more; the other may not be elected yet. Changes are refused
// with ErrNotController meanwhile, and where the other does not take the lead within an election
// timeout this node leads on. Errors: the context's, ErrNotController, ErrNoSuccessor, ErrClosed.
func (m *Metadata) Transfer(ctx context.Context, to int32) error {
	if err := m.waitLeading(ctx); err != nil {
		return err
	}
	if to == m.opts.NodeID {
		return nil
	}
	s, err := m.successor(to)
	if err != nil {
		if m.raft.State() != raft.Leader { // it looked with the eyes of a follower, who sees nobody
			return m.notController()
		}
		return err
	}
	return m.settle(ctx, m.raft.LeadershipTransferToServer(s.ID, s.Address))
}

// successor is the voter that is asked for, or the best of those that answer.
func (m *Metadata) successor(to int32) (raft.Server, error) {
	v := m.view()
	var best *raft.Server
	for _, s := range v.servers {
		switch {
		case s.Suffrage != raft.Voter || s.ID == v.self:
		case to >= 0 && nodeOf(s.Address) == to:
			return s, nil
		case to < 0 && v.live(s) && (best == nil || v.known[s.ID].match > v.known[best.ID].match):
			best = &s
		}
	}
	if best == nil {
		return raft.Server{}, fmt.Errorf("%w: of node %d", ErrNoSuccessor, m.opts.NodeID)
	}
	return *best, nil
}

// settle waits for what Raft was asked to do, and translates its errors.
func (m *Metadata) settle(ctx context.Context, f raft.Future) error {
	done := make(chan error, 1)
	go func() { done <- m.translate(m.wait(f)) }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// view is the group as its leader sees it at one moment.
type view struct {
	self    raft.ServerID
	servers []raft.Server
	// index is that of the configuration, 0 where it is not known.
	index uint64
	// last is the end of the leader's log.
	last  uint64
	known map[raft.ServerID]follower
	// silence is how long a member may not have answered and still count as live.
	silence time.Duration
	at      time.Time
}

func (m *Metadata) view() view {
	v := view{
		self: serverID(m.self()), servers: m.servers(), last: m.raft.LastIndex(),
		silence: m.heartbeat() / 2, at: time.Now(),
	}
	v.index = m.configurationIndex(v.servers)
	v.known, _ = m.followers.now(m.raft.CurrentTerm())
	return v
}

// live reports whether a member has answered lately; the leader itself is.
func (v view) live(s raft.Server) bool {
	return s.ID == v.self || v.at.Sub(v.known[s.ID].contact) < v.silence
}

// caughtUp reports whether a member is as good as level with the leader: what it lacks goes into
// one request.
func (v view) caughtUp(s raft.Server) bool {
	return v.live(s) && v.known[s.ID].match > 0 && v.known[s.ID].match+maxAppendEntries >= v.last
}

// quorumWithout reports whether a majority of the voters is live when one of them is taken out.
func (v view) quorumWithout(out raft.Server) bool {
	voters, live := 0, 0
	for _, s := range v.servers {
		if s.Suffrage != raft.Voter || s.ID == out.ID {
			continue
		}
		voters++
		if v.live(s) {
			live++
		}
	}
	return voters > 0 && live > voters/2
}
