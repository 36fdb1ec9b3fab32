package cluster

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// followers is what this node, as the leader, knows of the other members' logs: it watches the
// answers to what it sends. What it knows counts for one term: a later one may have cut a log.
type followers struct {
	mu   sync.Mutex
	term uint64
	by   map[raft.ServerID]follower
	news chan struct{} // closed and replaced with every answer
}

type follower struct {
	// match is the last index up to which its log is known to be the leader's.
	match uint64
	// contact is when it answered last.
	contact time.Time
}

func newFollowers() *followers {
	return &followers{by: map[raft.ServerID]follower{}, news: make(chan struct{})}
}

// answered notes an answer of a member to what was sent in a term; match is 0 where the answer
// tells nothing of its log.
func (f *followers) answered(id raft.ServerID, term, match uint64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if term < f.term {
		return
	}
	if term > f.term {
		f.term = term
		clear(f.by)
	}
	f.by[id] = follower{match: max(match, f.by[id].match), contact: now}
	close(f.news)
	f.news = make(chan struct{})
}

// now returns what is known of a term, and a channel that is closed when there is more.
func (f *followers) now(term uint64) (map[raft.ServerID]follower, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	known := map[raft.ServerID]follower{}
	if f.term == term {
		for id, x := range f.by {
			known[id] = x
		}
	}
	return known, f.news
}

// transport is the Transport that Raft gets: it watches the answers, and takes none from a node
// for a data directory that the node does not have any more. Such a node, whose disk was replaced,
// knows nothing of the votes and entries that were promised under its old id.
type transport struct {
	Transport
	followers *followers
	identity  func(node int32) string // nil where nobody knows
}

// check refuses a member whose node is known to have another data directory. It is asked before a
// request, and after it: by then the node has been met.
func (t *transport) check(id raft.ServerID, to raft.ServerAddress) error {
	if t.identity == nil {
		return nil
	}
	now, member := t.identity(nodeOf(to)), identityOf(id)
	if now != "" && now != member {
		return fmt.Errorf("node %s has data directory %s now, not the member's %s", to, now, member)
	}
	return nil
}

// guarded makes a call that check allows before and after.
func (t *transport) guarded(id raft.ServerID, to raft.ServerAddress, call func() error) error {
	if err := t.check(id, to); err != nil {
		return err
	}
	if err := call(); err != nil {
		return err
	}
	return t.check(id, to)
}

func (t *transport) AppendEntries(id raft.ServerID, to raft.ServerAddress, r *raft.AppendEntriesRequest, answer *raft.AppendEntriesResponse) error {
	err := t.guarded(id, to, func() error { return t.Transport.AppendEntries(id, to, r, answer) })
	if err != nil || answer.Term != r.Term {
		return err
	}
	match := uint64(0)
	if answer.Success {
		match = r.PrevLogEntry + uint64(len(r.Entries))
	}
	t.followers.answered(id, r.Term, match, time.Now())
	return nil
}

func (t *transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, r *raft.InstallSnapshotRequest, answer *raft.InstallSnapshotResponse, data io.Reader) error {
	err := t.guarded(id, to, func() error { return t.Transport.InstallSnapshot(id, to, r, answer, data) })
	if err == nil && answer.Success {
		t.followers.answered(id, r.Term, r.LastLogIndex, time.Now())
	}
	return err
}

func (t *transport) RequestVote(id raft.ServerID, to raft.ServerAddress, r *raft.RequestVoteRequest, answer *raft.RequestVoteResponse) error {
	return t.guarded(id, to, func() error { return t.Transport.RequestVote(id, to, r, answer) })
}

func (t *transport) RequestPreVote(id raft.ServerID, to raft.ServerAddress, r *raft.RequestPreVoteRequest, answer *raft.RequestPreVoteResponse) error {
	return t.guarded(id, to, func() error { return t.Transport.RequestPreVote(id, to, r, answer) })
}

// AppendEntriesPipeline declines: Raft's pipelining stalls bursts until CommitTimeout.
func (t *transport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}
