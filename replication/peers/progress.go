package peers

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// progress watches what leaders of this node hear from their followers.
type progress struct {
	mu     sync.Mutex
	groups map[string]*groupProgress
	moved  map[*groupProgress]struct{} // groups of which a follower may have to learn a commit index
	swept  time.Time
}

func (p *progress) init() {
	p.groups, p.moved = map[string]*groupProgress{}, map[*groupProgress]struct{}{}
}

// groupProgress is one group's, of one term; the mutex of progress guards it.
type groupProgress struct {
	name   string
	header raft.RPCHeader // the leader's
	term   uint64
	commit uint64
	peers  map[int32]*follower
	used   time.Time
}

type follower struct {
	match, matchTerm uint64 // the last entry acknowledged in this term, and that entry's term
	told             uint64 // the commit index that the follower was told
	knows            uint64 // the commit index that it has confirmed
	link             *link  // over which it last answered an AppendEntries
	contact          time.Time
}

// idleProgress is how long the progress of a group that is no longer led is kept.
const idleProgress = time.Minute

// group returns a group's progress in a term, nil when the group has gone on to a later term; the
// caller holds mu.
func (p *progress) group(name string, term uint64, now time.Time) *groupProgress {
	g := p.groups[name]
	if g == nil {
		g = &groupProgress{name: name, peers: map[int32]*follower{}}
		p.groups[name] = g
	}
	if term < g.term {
		return nil
	}
	if term > g.term {
		g.term, g.commit = term, 0
		clear(g.peers)
	}
	g.used = now
	return g
}

// answered notes the answer to an AppendEntries that came over a link.
func (p *progress) answered(l *link, group string, r *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) {
	if a.Term != r.Term {
		return
	}
	now := time.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.group(group, r.Term, now)
	if g == nil {
		return
	}
	g.header = r.RPCHeader
	f := g.follower(l.peer.node)
	f.contact, f.link = now, l
	if !a.Success {
		f.match, f.matchTerm, f.knows = 0, 0, 0 // it may have lost what it had
		return
	}
	index, term := lastOf(r)
	if index > f.match {
		f.match, f.matchTerm = index, term
	}
	f.knows = max(f.knows, min(r.LeaderCommitIndex, index))
	f.told = max(f.told, f.knows)
	g.commit = max(g.commit, r.LeaderCommitIndex)
	if f.told < min(g.commit, f.match) {
		p.moved[g] = struct{}{}
	}
}

// freshContact is how old a follower's last answer may be for it to count as still following.
const freshContact = 10 * time.Second

// settled reports whether an AppendEntries tells a follower nothing that it has not confirmed
// over the same link, and it has answered a heartbeat of this term lately. Raft sends such a
// request to every follower of an idle group again and again.
func (p *progress) settled(l *link, group string, r *raft.AppendEntriesRequest) bool {
	if len(r.Entries) > 0 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	g := p.groups[group]
	if g == nil || g.term != r.Term {
		return false
	}
	f := g.peers[l.peer.node]
	return f != nil && f.link == l && f.match == r.PrevLogEntry && f.matchTerm == r.PrevLogTerm &&
		f.knows >= r.LeaderCommitIndex && time.Since(f.contact) < freshContact
}

// lastOf is the entry up to which a follower agrees with its leader when it says yes.
func lastOf(r *raft.AppendEntriesRequest) (index, term uint64) {
	if n := len(r.Entries); n > 0 {
		return r.Entries[n-1].Index, r.Entries[n-1].Term
	}
	return r.PrevLogEntry, r.PrevLogTerm
}

func (g *groupProgress) follower(node int32) *follower {
	f := g.peers[node]
	if f == nil {
		f = &follower{}
		g.peers[node] = f
	}
	return f
}

// beaten notes the answers to one round of heartbeats.
func (p *progress) beaten(node int32, beats []beat, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range beats {
		b := &beats[i]
		if !b.alive || b.lost {
			continue
		}
		if g := p.group(b.group, b.term, now); g != nil {
			g.follower(node).contact = now
		}
	}
}

// committed notes a commit index of a leader on this node.
func (p *progress) committed(group string, term, index uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if g := p.group(group, term, time.Now()); g != nil && index > g.commit {
		g.commit = index
		p.moved[g] = struct{}{}
	}
}

// connected is told of a new connection: what was told over the one before may be lost.
func (p *progress) connected(node int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, g := range p.groups {
		if f := g.peers[node]; f != nil && f.told > 0 {
			f.told = 0
			p.moved[g] = struct{}{}
		}
	}
}

// commit is what a follower is told between two requests of its leader.
type commit struct {
	group            string
	header           raft.RPCHeader // the leader's
	term             uint64
	match, matchTerm uint64 // the previous entry of the AppendEntries that it stands for
	index            uint64 // committed, at most match
}

// due returns for each node the commit indexes that it has not been told. A follower that has
// not acknowledged an entry learns with the next one; so does one that cannot be reached now.
func (p *progress) due() map[int32][]commit {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.moved) == 0 {
		return nil
	}
	due := map[int32][]commit{}
	for g := range p.moved {
		for node, f := range g.peers {
			if index := min(g.commit, f.match); index > f.told {
				f.told = index
				due[node] = append(due[node], commit{g.name, g.header, g.term, f.match, f.matchTerm, index})
			}
		}
	}
	clear(p.moved)
	return due
}

// sweep forgets groups that are no longer led.
func (p *progress) sweep(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if now.Sub(p.swept) < idleProgress/4 {
		return
	}
	p.swept = now
	for name, g := range p.groups {
		if now.Sub(g.used) > idleProgress {
			delete(p.groups, name)
		}
	}
}

// Committed tells that a leader on this node has committed (in a term) up to an index, so that its
// followers learn it within a round and not only with the next entry. It is cheap, and may be
// called for every batch that is applied.
func (p *Peers) Committed(group string, term, index uint64) { p.progress.committed(group, term, index) }
