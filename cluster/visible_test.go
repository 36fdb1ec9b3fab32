package cluster

import (
	"slices"
	"testing"
	"time"
)

func TestAChangeIsVisibleOnAllMembersSoon(t *testing.T) {
	x := newTrio(t)
	x.members[0].Campaign()
	leader := x.leader()
	x.agree(x.members...)
	var took []time.Duration
	for range 11 {
		i := leader.change(create0())
		began := time.Now()
		for _, m := range x.members {
			must(m.Await(timeout(t), func(now *Image) bool { return now.Index() >= i.Index() }))(t)
		}
		took = append(took, time.Since(began))
	}
	slices.Sort(took)
	t.Logf("%s after the acknowledgement, at most %s", took[5], took[10])
	if took[5] > 50*time.Millisecond { // by Raft's own timer it is 75 ms at the least
		t.Fatalf("took %s", took)
	}
}

// BenchmarkVisible is how long after its acknowledgement a change is on all of three members.
func BenchmarkVisible(b *testing.B) {
	x := newTrio(b)
	x.members[0].Campaign()
	leader := x.leader()
	x.agree(x.members...)
	var total time.Duration
	for b.Loop() {
		i := leader.change(create0())
		began := time.Now()
		for _, m := range x.members {
			must(m.Await(timeout(b), func(now *Image) bool { return now.Index() >= i.Index() }))(b)
		}
		total += time.Since(began)
	}
	b.ReportMetric(float64(total.Milliseconds())/float64(b.N), "ms-after-ack")
}
