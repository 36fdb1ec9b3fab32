package broker

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// contender is a Raft group of several voters that this node votes in, as the elector sees it.
type contender struct {
	voters   func() []int32 // the preferred leader first
	leader   func() int32   // -1 while unknown
	term     func() uint64  // raised by every election, whoever stands
	campaign func()
}

// candidacy is a group's missing leader, as this node sees it.
type candidacy struct {
	at   time.Time // when to stand
	term uint64    // of the last time that this node stood
	try  int       // how often it did
}

// electionStep is what a voter leaves those before it in the list: about an election's length.
const electionStep = 150 * time.Millisecond

// electionDoubling is how often the pause before standing again doubles.
const electionDoubling = 3

// elector makes replicas stand for election where the leader is missing. Raft itself waits for
// heartbeats to stay away, which takes seconds so that thousands of idle groups cost little; that
// a node is gone is known much sooner. The first voter that is there stands at once, the next one
// a step later if that had no success: it may have the shorter log.
type elector struct {
	self  int32
	alive func(node int32) bool

	mu   sync.Mutex
	due  map[*contender]*candidacy
	wake chan struct{}
}

func newElector(self int32, alive func(int32) bool) *elector {
	return &elector{self: self, alive: alive, due: map[*contender]*candidacy{}, wake: make(chan struct{}, 1)}
}

// check looks at a group whose leader may be missing: one that was just opened, whose role has
// changed, or whose voters came or went.
func (e *elector) check(c *contender) {
	wait, missing := e.missing(c)
	if !missing {
		return
	}
	e.mu.Lock()
	if _, waiting := e.due[c]; !waiting {
		e.due[c] = &candidacy{at: time.Now().Add(wait)}
	}
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// missing reports whether the group needs a leader and could elect one, and how long this node
// leaves it to others.
func (e *elector) missing(c *contender) (wait time.Duration, missing bool) {
	if l := c.leader(); l >= 0 && e.alive(l) {
		return 0, false
	}
	voters := c.voters()
	if len(voters) < 2 || !slices.Contains(voters, e.self) {
		return 0, false
	}
	rank, there := 0, 0
	for _, v := range voters {
		if v == e.self {
			rank = there
		}
		if e.alive(v) {
			there++
		}
	}
	return time.Duration(rank) * electionStep, there > len(voters)/2
}

// run stands for election where it is due, until ctx ends.
func (e *elector) run(ctx context.Context) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		ready, next := e.ready(time.Now())
		for _, c := range ready {
			c.campaign()
		}
		timer.Reset(next)
		select {
		case <-e.wake:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// ready returns the groups to stand in now, and when to look again. A group stays until it has a
// leader, or cannot elect one. After the first time a node stands only in a group where nobody did
// since, and ever more rarely: on a slow disk an election takes long, and whoever stands ends it.
func (e *elector) ready(now time.Time) (ready []*contender, next time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	next = time.Hour
	for c, due := range e.due {
		if due.at.After(now) {
			next = min(next, due.at.Sub(now))
			continue
		}
		if _, missing := e.missing(c); !missing {
			delete(e.due, c)
			continue
		}
		round := time.Duration(len(c.voters())) * electionStep << min(due.try, electionDoubling)
		again := round + rand.N(round)
		if term := c.term(); due.try == 0 || due.term == term {
			ready = append(ready, c)
			due.term, due.try = term+1, due.try+1
		} else {
			due.term = term
		}
		due.at = now.Add(again)
		next = min(next, again)
	}
	return ready, next
}
