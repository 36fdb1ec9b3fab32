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
	urgent   bool // it stands whatever else elects
}

// electionStep is what a voter leaves those before it in the list: about an election's length.
// Where many groups elect at once, each takes longer: electionShare for each of them is added, and
// the step is twice as long as the latest elections took at least.
const (
	electionStep  = 150 * time.Millisecond
	electionShare = time.Millisecond
)

// foundingSteps is how many of them the voters of a group that never had a leader leave the first
// one, which may have many to open before this: where they did not, a third of a thousand new groups
// elected twice.
const foundingSteps = 8

// foundingTerm is the term of such a group.
const foundingTerm = 1

// maxElectionStep bounds what slow elections make of it.
const maxElectionStep = 500 * time.Millisecond

// paceMemory is for how long it counts how long elections took.
const paceMemory = 10 * time.Second

// electionDoubling is how often the pause before standing again doubles.
const electionDoubling = 3

// maxElectionPause bounds the pause between two attempts, which doubles from one to the next: an
// attempt ends one that another voter, or this one, is about to win.
const maxElectionPause = 3 * time.Second

// maxStanding is in how many groups a node stands at a time. Elections of thousands of groups at once
// would each take as long as all of them together, and leave the processors to nothing else: the nodes'
// heartbeats would be late, nodes would be taken for gone, and their groups would elect too.
const maxStanding = 512

// roomPause is between two looks for groups that are through, while others wait for their turn.
const roomPause = 5 * time.Millisecond

// elector makes replicas stand for election where the leader is missing. Raft itself waits for
// heartbeats to stay away, which takes seconds so that thousands of idle groups cost little; that
// a node is gone is known much sooner. The first voter that is there stands at once, the next one
// a step later if that had no success: it may have the shorter log.
type elector struct {
	self  int32
	alive func(node int32) bool
	late  func() time.Duration // what this node does is behind by

	mu   sync.Mutex
	out  bool // this node stands no more
	due  map[*contender]*attempt
	pace time.Duration // of the elections that this node won, the latest ones counting most
	last time.Time     // when it last won
	wake chan struct{}
}

// attempt is the next one to stand for election: so many steps after a moment. Steps grow and
// shrink with the number of groups that elect.
type attempt struct {
	from  time.Time
	steps float64
	term  uint64 // of the last time that this node stood
	made  int    // attempts, in vain so far
	there int    // voters that were there when it was planned

	holds time.Time // until when it counts as one of those that stand, unless it is through before
}

func (a *attempt) at(step time.Duration) time.Time {
	return a.from.Add(min(time.Duration(a.steps*float64(step)), maxElectionPause))
}

func newElector(self int32, alive func(int32) bool, late func() time.Duration) *elector {
	return &elector{self: self, alive: alive, late: late, due: map[*contender]*attempt{}, wake: make(chan struct{}, 1)}
}

// check looks at a group whose leader may be missing: one that was just opened, or whose voters
// came or went.
func (e *elector) check(c *contender) { e.plan(c, 0) }

// checkRole looks at a group whose role has changed. Where its leader is not known any more an
// election has begun, or the leader is handing over: that gets its time first.
func (e *elector) checkRole(c *contender) { e.plan(c, 1) }

// plan has this node stand where the leader is missing, so many steps later than its place in the
// list says.
func (e *elector) plan(c *contender, later int) {
	rank, there, missing := e.missing(c)
	if !missing {
		e.elected(c)
		return
	}
	steps := rank + later
	if c.term() == foundingTerm {
		steps = rank * foundingSteps
	}
	e.mu.Lock()
	if a := e.due[c]; !e.out && (a == nil || a.there != there) {
		e.due[c] = &attempt{from: time.Now(), steps: float64(steps), there: there}
	}
	e.mu.Unlock()
	select {
	case e.wake <- struct{}{}:
	default:
	}
}

// retire ends standing: the node is about to stop, and hands over what it leads.
func (e *elector) retire() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.out = true
	clear(e.due)
}

// elected notes that a group has a leader, or cannot elect one now.
func (e *elector) elected(c *contender) {
	e.mu.Lock()
	defer e.mu.Unlock()
	a := e.due[c]
	if a == nil {
		return
	}
	delete(e.due, c)
	if a.made > 0 {
		now := time.Now()
		if now.Sub(e.last) > paceMemory {
			e.pace = 0
		}
		e.pace, e.last = (3*e.pace+now.Sub(a.from))/4, now
	}
}

// step is what a voter leaves those before it; the caller holds mu.
func (e *elector) step(now time.Time) time.Duration {
	share := time.Duration(max(len(e.due)-1, 0)) * electionShare
	return max(electionStep+share, e.length(now))
}

// electionHops is how often somebody has to get to do something in an election: the candidate, its disk,
// the voters, theirs, and the leader and its followers once more. Where all are late because many groups
// elect, each election takes as much longer.
const electionHops = 6

// length is how long an election takes now, at most; the caller holds mu.
func (e *elector) length(now time.Time) time.Duration {
	crowd := min(max(len(e.due)-1, 0), maxStanding)
	length := electionStep + electionHops*e.late()*time.Duration(crowd)/maxStanding
	if now.Sub(e.last) < paceMemory {
		length = max(length, min(2*e.pace, maxElectionStep))
	}
	return min(length, maxElectionPause)
}

// missing reports whether the group needs a leader and could elect one, how many voters are
// there, and how many of these come before this node.
func (e *elector) missing(c *contender) (rank, there int, missing bool) {
	if l := c.leader(); l >= 0 && e.alive(l) {
		return 0, 0, false
	}
	voters := c.voters()
	if len(voters) < 2 || !slices.Contains(voters, e.self) {
		return 0, 0, false
	}
	for _, v := range voters {
		if v == e.self {
			rank = there
		}
		if e.alive(v) {
			there++
		}
	}
	return rank, there, there > len(voters)/2
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
	step, room := e.step(now), maxStanding
	var turn []*contender
	next = time.Hour
	for c, a := range e.due {
		if a.holds.After(now) {
			room--
		}
		if at := a.at(step); at.After(now) {
			next = min(next, at.Sub(now))
		} else {
			turn = append(turn, c)
		}
	}
	slices.SortFunc(turn, func(c, d *contender) int {
		switch {
		case c.urgent:
			return -1 // there is only one
		case d.urgent:
			return 1
		}
		return e.due[c].at(step).Compare(e.due[d].at(step))
	})
	for _, c := range turn {
		if room <= 0 && !c.urgent {
			return ready, min(next, roomPause)
		}
		a := e.due[c]
		if _, _, missing := e.missing(c); !missing {
			delete(e.due, c)
			continue
		}
		if e.stand(c, a, now) {
			ready = append(ready, c)
			room--
		}
		next = min(next, a.at(step).Sub(now))
	}
	return ready, next
}

// stand plans the attempt after the one that is due, and reports whether that is to be made: not
// where another voter stands, who may yet win. The caller holds mu.
func (e *elector) stand(c *contender, a *attempt, now time.Time) bool {
	term := c.term()
	if a.made > 0 && a.term != term {
		a.from, a.term, a.steps = now, term, 1+2*rand.Float64()
		return false
	}
	// Time enough for every voter to try.
	round := float64(len(c.voters()) << min(a.made, electionDoubling))
	a.from, a.steps = now, round*(1+rand.Float64())
	a.term, a.made = term+1, a.made+1
	a.holds = now.Add(e.length(now))
	return true
}
