package replication

import (
	"sync"
	"time"

	"github.com/hashicorp/raft"
)

// Follower is how far another member is, as its leader knows it.
type Follower struct {
	Match       uint64    // the last entry it has acknowledged in this term, 0 while unknown
	LastContact time.Time // when it last answered; zero before
	CaughtUp    time.Time // when it last had everything that its leader had
}

// followers watches the answers to a leader's AppendEntries: what they acknowledge is more than
// Raft tells. It starts anew with every term.
type followers struct {
	last func() uint64 // the leader's last entry
	now  func() time.Time

	mu    sync.Mutex
	term  uint64
	since time.Time // of the first answer in this term
	m     map[raft.ServerID]*follower
	news  chan struct{} // closed with the next answer; nil while nobody waits
}

type follower struct {
	Follower
	// The leader's last entry when an earlier request was sent, and when that was: having so much
	// now means to have been caught up then.
	target logEnd
}

// logEnd is a leader's last entry at a time.
type logEnd struct {
	index uint64
	at    time.Time
}

func newFollowers(last func() uint64, now func() time.Time) *followers {
	return &followers{last: last, now: now, m: map[raft.ServerID]*follower{}}
}

// sending is called before a request; its result belongs to answered.
func (f *followers) sending() logEnd { return logEnd{f.last(), f.now()} }

// answered takes the answer to a request into account, given what sending returned.
func (f *followers) answered(id raft.ServerID, r *raft.AppendEntriesRequest, answer *raft.AppendEntriesResponse, sent logEnd) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r.Term < f.term {
		return
	}
	if r.Term > f.term {
		f.reset(r.Term)
	}
	x := f.m[id]
	if x == nil {
		x = &follower{}
		f.m[id] = x
	}
	if f.news != nil {
		close(f.news)
		f.news = nil
	}
	x.LastContact = f.now()
	switch {
	case answer.Success:
		x.acknowledge(r.PrevLogEntry+uint64(len(r.Entries)), sent)
	case answer.LastLog < x.Match: // another replica under the same name
		*x = follower{Follower: Follower{LastContact: x.LastContact}}
	}
}

// forget is for a member that is about to be added: what was known is of the one it was before,
// whose log may be gone.
func (f *followers) forget(id raft.ServerID) {
	f.mu.Lock()
	delete(f.m, id)
	f.mu.Unlock()
}

// reset begins a term; the caller holds mu.
func (f *followers) reset(term uint64) {
	f.term, f.since = term, f.now()
	clear(f.m)
}

func (x *follower) acknowledge(index uint64, sent logEnd) {
	x.Match = max(x.Match, index)
	switch {
	case x.Match >= sent.index:
		x.CaughtUp = sent.at
	case x.target.index > 0 && x.Match >= x.target.index && x.CaughtUp.Before(x.target.at):
		x.CaughtUp = x.target.at
	}
	if x.Match >= x.target.index {
		x.target = sent
	}
}

// of returns what is known of a member in a term, nothing where nothing is.
func (f *followers) of(term uint64, id raft.ServerID) Follower {
	f.mu.Lock()
	defer f.mu.Unlock()
	if x := f.m[id]; x != nil && f.term == term {
		return x.Follower
	}
	return Follower{}
}

// next is closed with the next answer of any member.
func (f *followers) next() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.news == nil {
		f.news = make(chan struct{})
	}
	return f.news
}

// begun returns when the first answer in this term came, now where none has.
func (f *followers) begun(term uint64) time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.term == term {
		return f.since
	}
	return f.now()
}
