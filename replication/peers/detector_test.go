package peers

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// script plays a schedule to a detector of node 1 in a cluster of some members, one step each
// 100 ms; beats names who is heard in a step, reports who suspects whom.
type script struct {
	t   *testing.T
	d   detector
	now time.Time
	log []string
}

func play(t *testing.T, members ...int32) *script {
	s := &script{t: t, now: time.Unix(1000, 0), d: detector{self: 1, suspectAfter: 450 * time.Millisecond, upAfter: time.Second}}
	s.d.setMembers(members, s.now)
	for range 5 {
		s.step(members, nil)
	}
	return s
}

// step lets 100 ms pass; those who are heard report whom they suspect.
func (s *script) step(heard []int32, suspects map[int32][]int32) {
	s.now = s.now.Add(100 * time.Millisecond)
	for _, n := range heard {
		s.d.heard(n, s.now)
		s.d.report(n, suspects[n], s.now)
	}
	for _, c := range s.d.tick(s.now) {
		word := "up"
		if c.down {
			word = "down"
		}
		s.log = append(s.log, fmt.Sprint(c.node, " ", word))
	}
}

func (s *script) steps(n int, heard []int32, suspects map[int32][]int32) {
	for range n {
		s.step(heard, suspects)
	}
}

func (s *script) expect(want ...string) {
	s.t.Helper()
	if !slices.Equal(s.log, want) {
		s.t.Fatalf("%s, not %s", strings.Join(s.log, ", "), strings.Join(want, ", "))
	}
}

func TestASilentNodeIsDownWhenAMajoritySaysSo(t *testing.T) {
	s := play(t, 1, 2, 3)
	s.steps(20, []int32{2}, nil)
	s.expect() // this node alone cannot hear it
	s.step([]int32{2}, map[int32][]int32{2: {3}})
	s.expect("3 down")
	s.steps(9, []int32{2, 3}, nil)
	s.expect("3 down")
	s.steps(3, []int32{2, 3}, nil)
	s.expect("3 down", "3 up")
}

func TestANodeThatOthersCannotHearIsDownThoughThisOneHearsIt(t *testing.T) {
	s := play(t, 1, 2, 3, 4)
	s.steps(5, []int32{2, 3, 4}, map[int32][]int32{2: {4}, 3: {4}})
	s.expect() // two of four are no majority
	s = play(t, 1, 2, 3)
	s.steps(5, []int32{2, 3}, map[int32][]int32{2: {3}})
	s.expect()
}

func TestACutOffNodeAccusesAllButJudgesNobody(t *testing.T) {
	s := play(t, 1, 2, 3)
	s.steps(50, nil, nil)
	if got := s.d.suspects(s.now); !slices.Equal(got, []int32{2, 3}) {
		t.Fatal(got)
	}
	s.expect()
}

func TestANodeIsEstrangedFromWhomItDoesNotHearAndWhoDoesNotHearIt(t *testing.T) {
	s := play(t, 1, 2, 3, 4)
	s.steps(5, []int32{2, 3}, map[int32][]int32{2: {1, 3}, 3: {4}})
	if got := s.d.estranged(s.now); !slices.Equal(got, []int32{2, 4}) {
		t.Fatal(got)
	}
	s.steps(5, []int32{2, 3, 4}, nil)
	if got := s.d.estranged(s.now); len(got) != 0 {
		t.Fatal(got)
	}
}

func TestWordsOfASilentNodeExpire(t *testing.T) {
	s := play(t, 1, 2, 3, 4, 5)
	s.step([]int32{2, 3, 4, 5}, map[int32][]int32{2: {5}, 3: {5}})
	s.steps(4, []int32{4}, nil)
	s.expect()
	s.steps(50, []int32{4}, map[int32][]int32{4: {2, 3, 5}})
	s.expect() // two of five
}

func TestANodeThatWasPausedAccusesNobodyOnWakingUp(t *testing.T) {
	s := play(t, 1, 2, 3)
	s.step([]int32{2, 3}, map[int32][]int32{2: {3}})
	s.now = s.now.Add(time.Minute)
	s.d.paused(s.now)
	s.step(nil, nil)
	if got := s.d.suspects(s.now); len(got) != 0 {
		t.Fatal(got)
	}
	s.steps(3, nil, nil)
	if got := s.d.suspects(s.now); len(got) != 0 {
		t.Fatal(got)
	}
	s.steps(2, []int32{2}, nil)
	if got := s.d.suspects(s.now); !slices.Equal(got, []int32{3}) {
		t.Fatal(got)
	}
	s.expect()
}

func TestFlickeringSilenceIsOneFailure(t *testing.T) {
	s := play(t, 1, 2, 3)
	for range 10 {
		s.steps(5, []int32{2}, map[int32][]int32{2: {3}})
		s.steps(3, []int32{2, 3}, nil)
	}
	s.expect("3 down")
}

func TestWhoLeavesIsNotJudged(t *testing.T) {
	s := play(t, 1, 2, 3)
	s.d.setMembers([]int32{1, 2}, s.now)
	s.steps(20, []int32{2}, map[int32][]int32{2: {3}})
	s.expect()
	s = play(t, 2, 3, 4) // this node has no voice
	s.steps(20, []int32{2, 3}, map[int32][]int32{2: {4}})
	s.expect()
}

func TestARefusedConnectionIsASuspicionAtOnce(t *testing.T) {
	s := play(t, 1, 2, 3)
	s.d.refused(3)
	s.step([]int32{2}, map[int32][]int32{2: {3}})
	s.expect("3 down")
}

// verdicts collects what a node is told.
func verdicts(p *Peers) <-chan string {
	all := make(chan string, 100)
	p.OnDown(func(n int32) { all <- fmt.Sprint(n, " down") })
	p.OnUp(func(n int32) { all <- fmt.Sprint(n, " up") })
	return all
}

func TestAnIsolatedNodeIsDownWithinHalfASecondAndUpAfterwards(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 3, nil)
		told := verdicts(x.peers[1])
		x.start()
		time.Sleep(time.Second)
		began := time.Now()
		x.net.Isolate(3)
		if v := <-told; v != "3 down" || !x.peers[1].Down(3) {
			t.Fatal(v)
		}
		if took := time.Since(began); took > 600*time.Millisecond {
			t.Fatal(took)
		}
		time.Sleep(10 * time.Second)
		x.net.Join(3)
		if v := <-told; v != "3 up" {
			t.Fatal(v)
		}
		time.Sleep(10 * time.Second)
		if len(told) != 0 {
			t.Fatal("flaps: ", <-told)
		}
	})
}

func TestACrashedNodeIsDownAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 3, nil)
		told := verdicts(x.peers[1])
		x.start()
		time.Sleep(time.Second)
		began := time.Now()
		x.peers[3].Close()
		if v := <-told; v != "3 down" {
			t.Fatal(v)
		}
		if took := time.Since(began); took > 200*time.Millisecond {
			t.Fatal(took)
		}
		again := x.add(x.config(3, x.net.Listen(3), nil))
		again.Start()
		if v := <-told; v != "3 up" {
			t.Fatal(v)
		}
	})
}

func TestAOneWayCutBetweenTwoNodesBringsNobodyDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x := inMemory(t, 3, nil)
		one, three := verdicts(x.peers[1]), verdicts(x.peers[3])
		x.start()
		x.net.CutOneWay(1, 2)
		time.Sleep(30 * time.Second)
		if len(one)+len(three) != 0 {
			t.Fatal("a majority hears both")
		}
		x.net.CutOneWay(1, 3) // now nobody hears node 1
		if v := <-three; v != "1 down" {
			t.Fatal(v)
		}
		x.net.Mend(1, 2)
		x.net.Mend(1, 3)
		if v := <-three; v != "1 up" {
			t.Fatal(v)
		}
	})
}

func TestANodeThatWasRestartedIsUpAsSoonAsAMajorityHearsIt(t *testing.T) {
	s := play(t, 1, 2, 3)
	s.steps(5, []int32{2}, map[int32][]int32{2: {3}})
	s.expect("3 down")
	s.d.restarted(3)
	s.step([]int32{2, 3}, map[int32][]int32{2: {3}})
	s.expect("3 down", "3 up") // one of three suspects it still
	s.steps(5, []int32{2}, map[int32][]int32{2: {3}})
	s.expect("3 down", "3 up", "3 down")
	s.steps(9, []int32{2, 3}, nil)
	s.expect("3 down", "3 up", "3 down") // the same process: its silence may come again
}

func TestANodeThatIsLateOftenGetsMoreTime(t *testing.T) {
	s := play(t, 1, 2, 3)
	late := map[int32][]int32{2: {3}}
	s.steps(3, []int32{2}, nil)
	s.step([]int32{2, 3}, nil) // node 3 after 400 ms
	s.steps(6, []int32{2}, late)
	s.expect()
	s.step([]int32{2, 3}, late)
	s.steps(8, []int32{2}, late)
	s.expect()
	s.steps(1, []int32{2, 3}, nil)
	s.steps(120, []int32{2, 3}, nil) // that is forgotten
	s.steps(4, []int32{2}, late)
	s.expect()
	s.step([]int32{2}, late)
	s.expect("3 down")
}

func TestANodeThatWasSuspectedGetsNoMoreTime(t *testing.T) {
	s := play(t, 1, 2, 3)
	s.steps(5, []int32{2}, nil) // this node alone is cut off from node 3
	s.steps(3, []int32{2, 3}, nil)
	s.steps(5, []int32{2}, map[int32][]int32{2: {3}})
	s.expect("3 down")
}

func TestANodeThatHungGetsNoMoreTime(t *testing.T) {
	s := play(t, 1, 2, 3)
	suspected := map[int32][]int32{2: {3}}
	s.steps(20, []int32{2}, suspected)
	s.steps(15, []int32{2, 3}, nil)
	s.expect("3 down", "3 up")
	s.steps(5, []int32{2}, suspected)
	s.expect("3 down", "3 up", "3 down")
}
