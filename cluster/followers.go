package cluster

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// followers is what this node, as the leader, knows of the other members' logs: it watches the
// answers to what it sends. What it knows counts for one term: a later one may have cut a log.
type followers struct {
	mu     sync.Mutex
	term   uint64
	commit uint64 // what is committed, as far as anybody has to be told
	by     map[raft.ServerID]follower
	news   chan struct{} // closed and replaced with every answer
}

type follower struct {
	// match is the last index up to which its log is known to be the leader's, matchTerm the term
	// of that entry.
	match, matchTerm uint64
	// contact is when it answered last, caughtUp when it last answered with all that was committed.
	contact, caughtUp time.Time
	// sample is the last request that it answered.
	sample raft.AppendEntriesRequest
	// told is the commit index that it knows of; telling is set while it is being told another.
	told    uint64
	telling bool
}

func newFollowers() *followers {
	return &followers{by: map[raft.ServerID]follower{}, news: make(chan struct{})}
}

// answered notes a member's answer to a request; success means that its log holds what the request
// spoke of.
func (f *followers) answered(id raft.ServerID, r *raft.AppendEntriesRequest, success bool, now time.Time) {
	f.note(id, r.Term, func(x *follower) {
		x.contact = now
		x.sample = raft.AppendEntriesRequest{RPCHeader: r.RPCHeader, Term: r.Term}
		if !success {
			return
		}
		at, term := r.PrevLogEntry, r.PrevLogTerm
		if n := len(r.Entries); n > 0 {
			at, term = r.Entries[n-1].Index, r.Entries[n-1].Term
		}
		if at > x.match {
			x.match, x.matchTerm = at, term
		}
		x.told = max(x.told, min(r.LeaderCommitIndex, at))
	})
}

// installed notes that a member has a snapshot.
func (f *followers) installed(id raft.ServerID, r *raft.InstallSnapshotRequest, now time.Time) {
	f.note(id, r.Term, func(x *follower) {
		x.contact = now
		if r.LastLogIndex > x.match {
			x.match, x.matchTerm = r.LastLogIndex, r.LastLogTerm
		}
	})
}

func (f *followers) note(id raft.ServerID, term uint64, what func(*follower)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if term < f.term {
		return
	}
	if term > f.term {
		f.term = term
		clear(f.by)
	}
	x := f.by[id]
	what(&x)
	if x.match > 0 && x.match >= f.commit {
		x.caughtUp = x.contact
	}
	f.by[id] = x
	close(f.news)
	f.news = make(chan struct{})
}

// now returns what is known of a term, and a channel that is closed when there is more.
func (f *followers) now(term uint64) (map[raft.ServerID]follower, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.term != term {
		return nil, f.news
	}
	return maps.Clone(f.by), f.news
}

// committed notes a commit index and returns whom there is to tell.
func (f *followers) committed(index uint64) []raft.ServerID {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.commit = max(f.commit, index)
	return slices.Collect(maps.Keys(f.by))
}

// tell returns the request that tells a member what is committed of what it has; nil where it
// knows, or is being told.
func (f *followers) tell(id raft.ServerID) *raft.AppendEntriesRequest {
	f.mu.Lock()
	defer f.mu.Unlock()
	x := f.by[id]
	commit := min(f.commit, x.match)
	if commit <= x.told || x.telling {
		return nil
	}
	x.telling = true
	f.by[id] = x
	r := x.sample
	r.PrevLogEntry, r.PrevLogTerm, r.LeaderCommitIndex = x.match, x.matchTerm, commit
	return &r
}

// toldOf ends tell.
func (f *followers) toldOf(id raft.ServerID, r *raft.AppendEntriesRequest) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x, ok := f.by[id]; ok && f.term == r.Term {
		x.telling = false
		f.by[id] = x
	}
}

// transport is the Transport that Raft gets: it watches the answers, and takes none from a node
// for a data directory that the node does not have any more. Such a node, whose disk was replaced,
// knows nothing of the votes and entries that were promised under its old id.
type transport struct {
	Transport
	followers *followers
	identity  func(node int32) string // nil where nobody knows
	stream    func(ctx context.Context, to int32) (net.Conn, error)
	rpcs      chan raft.RPC // what Raft takes requests from where there are streams
	closing   <-chan struct{}
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
	if err == nil && answer.Term == r.Term {
		t.followers.answered(id, r, answer.Success, time.Now())
		t.tell(id)
	}
	return err
}

// committed tells the members what is committed. Raft itself tells them only with the next entry
// or after CommitTimeout.
func (t *transport) committed(index uint64) {
	for _, id := range t.followers.committed(index) {
		t.tell(id)
	}
}

// tell tells one member in the background, one thing at a time, by a request like Raft's own.
func (t *transport) tell(id raft.ServerID) {
	r := t.followers.tell(id)
	if r == nil {
		return
	}
	go func() {
		var answer raft.AppendEntriesResponse
		err := t.AppendEntries(id, addressOf(id), r, &answer)
		t.followers.toldOf(id, r)
		if err == nil && answer.Success {
			t.tell(id) // what came meanwhile
		}
	}()
}

func (t *transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, r *raft.InstallSnapshotRequest, answer *raft.InstallSnapshotResponse, data io.Reader) error {
	err := t.guarded(id, to, func() error {
		if t.stream == nil {
			return t.Transport.InstallSnapshot(id, to, r, answer, data)
		}
		return t.send(nodeOf(to), r, answer, data)
	})
	if err == nil && answer.Success {
		t.followers.installed(id, r, time.Now())
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
