package broker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// election is three electors that see the same nodes, and one group.
type election struct {
	mu     sync.Mutex
	up     map[int32]bool
	leader int32
	term   uint64
	stood  []int32 // who stood, in order

	groups map[int32]*contender
	elect  map[int32]*elector
}

// newElection has node 1 lead; of the others, only those in can win.
func newElection(ctx context.Context, can ...int32) *election {
	e := &election{up: map[int32]bool{1: true, 2: true, 3: true}, leader: 1, term: foundingTerm + 1, groups: map[int32]*contender{}, elect: map[int32]*elector{}}
	for _, n := range []int32{1, 2, 3} {
		e.groups[n] = &contender{
			voters: func() []int32 { return []int32{1, 2, 3} },
			leader: func() int32 {
				e.mu.Lock()
				defer e.mu.Unlock()
				return e.leader
			},
			term: func() uint64 {
				e.mu.Lock()
				defer e.mu.Unlock()
				return e.term
			},
			campaign: func() {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.term++
				e.stood = append(e.stood, n)
				if slices.Contains(can, n) {
					e.leader = n
				}
			},
		}
		e.elect[n] = newElector(n, func(id int32) bool {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.up[id]
		}, func() time.Duration { return 0 })
		go e.elect[n].run(ctx)
	}
	return e
}

// set says which nodes are there, and has those that are look at the group.
func (e *election) set(up ...int32) {
	e.mu.Lock()
	for n := range e.up {
		e.up[n] = slices.Contains(up, n)
	}
	e.mu.Unlock()
	for _, n := range up {
		e.elect[n].check(e.groups[n])
	}
}

func (e *election) expect(t *testing.T, leader int32, stood ...int32) {
	t.Helper()
	synctest.Wait()
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.leader != leader || !slices.Equal(e.stood, stood) {
		t.Fatalf("leader %d, stood: %v; want %d, %v", e.leader, e.stood, leader, stood)
	}
}

func elections(t *testing.T, f func(*testing.T, context.Context)) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		f(t, ctx)
	})
}

func TestTheFirstSurvivorStandsAtOnceAndAlone(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 2, 3)
		e.set(2, 3)
		e.expect(t, 2, 2)
		time.Sleep(time.Minute)
		e.expect(t, 2, 2)
	})
}

func TestTheNextSurvivorStandsWhereTheFirstCannotWin(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 3)
		e.set(2, 3)
		time.Sleep(electionStep)
		e.expect(t, 3, 2, 3)
	})
}

func TestANewGroupIsLeftToItsFirstVoter(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 1, 2, 3)
		e.leader, e.term = -1, foundingTerm
		e.elect[2].check(e.groups[2]) // the first voter has others to open before
		e.elect[3].check(e.groups[3])
		time.Sleep(foundingSteps*electionStep - time.Millisecond)
		e.expect(t, -1)
		e.elect[1].check(e.groups[1])
		e.expect(t, 1, 1)
		time.Sleep(time.Minute)
		e.expect(t, 1, 1)
	})
}

func TestANewGroupThatItsFirstVoterDoesNotOpenIsTheNextOnes(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 1, 2, 3)
		e.leader, e.term = -1, foundingTerm
		e.elect[2].check(e.groups[2])
		e.elect[3].check(e.groups[3])
		time.Sleep(foundingSteps * electionStep)
		e.expect(t, 2, 2)
	})
}

func TestAnElectionAmongManyGetsMoreTime(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 3)
		for range 400 { // that do not elect anybody
			c := &contender{
				voters: func() []int32 { return []int32{2, 3} }, leader: func() int32 { return -1 },
				term: func() uint64 { return 0 }, campaign: func() {},
			}
			e.elect[2].check(c)
			e.elect[3].check(c)
		}
		e.set(2, 3)
		time.Sleep(electionStep + 300*electionShare)
		e.expect(t, 1, 2)
		time.Sleep(200 * electionShare)
		e.expect(t, 3, 2, 3)
	})
}

func TestAttemptsInVainBecomeRare(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx)
		e.set(2, 3)
		time.Sleep(time.Minute)
		e.mu.Lock()
		defer e.mu.Unlock()
		if n := len(e.stood); n < 20 || n > 60 {
			t.Errorf("stood %d times in a minute", n)
		}
	})
}

func TestNobodyStandsWithoutAMajority(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 3)
		e.set(3)
		time.Sleep(time.Minute)
		e.expect(t, 1)
		e.set(2, 3)
		time.Sleep(electionStep)
		e.expect(t, 3, 2, 3)
	})
}

func TestNobodyStandsWhileTheLeaderIsThere(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 2, 3)
		e.set(1, 3)
		time.Sleep(time.Minute)
		e.expect(t, 1)
	})
}

// On a slow disk an election takes longer than the pause after which others would stand, and each of them ends the one
// that is under way: they have to leave each other time.
func TestElectionsThatTakeLongComeToAnEnd(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx)
		for n, c := range e.groups {
			c.campaign = func() {
				e.mu.Lock()
				defer e.mu.Unlock()
				e.term++
				term := e.term
				time.AfterFunc(600*time.Millisecond, func() {
					e.mu.Lock()
					defer e.mu.Unlock()
					if e.term == term {
						e.leader = n
					}
				})
			}
		}
		e.mu.Lock()
		e.leader = -1
		e.mu.Unlock()
		e.set(1, 2, 3)
		time.Sleep(5 * time.Second)
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.leader < 0 {
			t.Fatalf("no leader after %d elections", e.term)
		}
	})
}

func TestALeaderThatHandsOverIsNotDisturbed(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 1, 2, 3)
		e.elect[1].retire() // it is about to stop
		e.mu.Lock()
		e.leader = -1
		e.mu.Unlock()
		for n, x := range e.elect {
			x.checkRole(e.groups[n])
		}
		time.Sleep(electionStep / 2)
		e.mu.Lock()
		e.leader = 3 // the heir has won
		e.mu.Unlock()
		for n, x := range e.elect {
			x.checkRole(e.groups[n])
		}
		time.Sleep(time.Minute)
		e.expect(t, 3)
	})
}

func TestWhereNobodyTakesALostLeadTheFirstStandsAStepLater(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElection(ctx, 2, 3)
		e.elect[1].retire()
		e.mu.Lock()
		e.leader = -1
		e.mu.Unlock()
		for n, x := range e.elect {
			x.checkRole(e.groups[n])
		}
		time.Sleep(2 * electionStep)
		e.expect(t, 2, 2)
	})
}

// crowd is so many groups without a leader, in which one elector stands.
type crowd struct {
	mu     sync.Mutex
	stood  []*contender
	leader map[*contender]int32
}

func (w *crowd) add(e *elector, n int, urgent bool) (last *contender) {
	for range n {
		c := &contender{voters: func() []int32 { return []int32{1, 2} }, term: func() uint64 { return 2 }, urgent: urgent}
		c.leader = func() int32 {
			w.mu.Lock()
			defer w.mu.Unlock()
			return w.leader[c] - 1
		}
		c.campaign = func() {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.stood = append(w.stood, c)
		}
		e.check(c)
		last = c
	}
	return last
}

// take returns who stood since the last call, and has those elected that are to be.
func (w *crowd) take(e *elector, elected bool) (stood []*contender) {
	synctest.Wait()
	w.mu.Lock()
	stood, w.stood = w.stood, nil
	if elected {
		for _, c := range stood {
			w.leader[c] = 2
		}
	}
	w.mu.Unlock()
	if elected {
		for _, c := range stood {
			e.checkRole(c)
		}
	}
	return stood
}

func TestANodeStandsInSoManyGroupsAtATime(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElector(1, func(int32) bool { return true }, func() time.Duration { return 0 })
		w := &crowd{leader: map[*contender]int32{}}
		w.add(e, 3*maxStanding/2, false)
		go e.run(ctx)
		if n := len(w.take(e, true)); n != maxStanding {
			t.Fatalf("stood in %d groups at once, not in %d", n, maxStanding)
		}
		time.Sleep(roomPause)
		if n := len(w.take(e, true)); n != maxStanding/2 {
			t.Fatalf("stood in %d more groups, not in the %d that were left", n, maxStanding/2)
		}
	})
}

func TestTheMetadataElectThoughManyGroupsDo(t *testing.T) {
	elections(t, func(t *testing.T, ctx context.Context) {
		e := newElector(1, func(int32) bool { return true }, func() time.Duration { return 0 })
		w := &crowd{leader: map[*contender]int32{}}
		go e.run(ctx)
		w.add(e, 2*maxStanding, false)
		w.take(e, false)
		metadata := w.add(e, 1, true)
		if stood := w.take(e, false); !slices.Contains(stood, metadata) {
			t.Fatal("the metadata wait for their turn")
		}
	})
}

func TestElectionsOfManyGroupsGetMoreTimeWhereTheNodeIsLate(t *testing.T) {
	late := 300 * time.Millisecond
	e := newElector(1, func(int32) bool { return true }, func() time.Duration { return late })
	w := &crowd{leader: map[*contender]int32{}}
	w.add(e, 1, false)
	if got := e.length(time.Now()); got != electionStep {
		t.Errorf("one group has %s", got)
	}
	w.add(e, maxStanding, false)
	if got, want := e.length(time.Now()), electionStep+electionHops*late; got != want {
		t.Errorf("many have %s, not %s", got, want)
	}
}
