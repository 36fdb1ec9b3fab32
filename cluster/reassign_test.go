package cluster

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
)

func partition(i *Image) Partition { return i.Topic("t").Partitions[0] }

func expect(t *testing.T, i *Image, want Partition) {
	t.Helper()
	if got := partition(i); !reflect.DeepEqual(got, want) {
		t.Fatalf("\n got %+v\nwant %+v", got, want)
	}
}

func move(t *testing.T, i *Image, target ...int32) *Image {
	t.Helper()
	return with(t, i, must(Reassign(i, "t", 0, target, true))(t)...)
}

func complete(t *testing.T, i *Image) *Image {
	t.Helper()
	return with(t, i, must(CompleteReassignment(i, i.Topic("t").ID, 0, partition(i).Epoch))(t)...)
}

func TestAMoveHoldsTheUnionUntilItIsComplete(t *testing.T) {
	i := with(t, brokersIn(6), topicOn("t", []int32{1, 2, 3}))
	i = move(t, i, 4, 2, 3)
	expect(t, i, Partition{Replicas: []int32{4, 2, 3, 1}, Adding: []int32{4}, Removing: []int32{1}, Epoch: 1, Founders: directories(1, 2, 3)})
	if got := partition(i).Target(); !slices.Equal(got, []int32{4, 2, 3}) {
		t.Fatalf("target %v", got)
	}
	if rs := must(CompleteReassignment(i, i.Topic("t").ID, 0, 0))(t); rs != nil {
		t.Fatalf("completed by one that knows an older placement: %v", rs)
	}
	i = complete(t, i)
	expect(t, i, Partition{Replicas: []int32{4, 2, 3}, Epoch: 2})
	if rs := must(CompleteReassignment(i, i.Topic("t").ID, 0, 2))(t); rs != nil {
		t.Fatalf("completed twice: %v", rs)
	}
	// Another order moves nothing, but is another placement.
	expect(t, move(t, i, 3, 2, 4), Partition{Replicas: []int32{3, 2, 4}, Epoch: 3})
}

func TestACancelledMoveReturnsToTheOriginalReplicas(t *testing.T) {
	i := move(t, with(t, brokersIn(6), topicOn("t", []int32{1, 2, 3})), 4, 5, 6)
	i = move(t, i)
	// 4, 5 and 6 may have a majority of the votes by now: they go only when the move is complete.
	expect(t, i, Partition{Replicas: []int32{1, 2, 3, 4, 5, 6}, Adding: []int32{4, 5, 6}, Removing: []int32{4, 5, 6}, Epoch: 2, Founders: directories(1, 2, 3)})
	if rs := must(Reassign(i, "t", 0, nil, true))(t); rs != nil {
		t.Fatalf("cancelled twice: %v", rs)
	}
	i = complete(t, i)
	expect(t, i, Partition{Replicas: []int32{1, 2, 3}, Epoch: 3})
	_, err := Reassign(i, "t", 0, nil, true)
	refused(t, err, ErrNoReassignment, "No partition reassignment is in progress.")
}

func TestAMoveMayGetAnotherTarget(t *testing.T) {
	i := move(t, with(t, brokersIn(6), topicOn("t", []int32{1, 2})), 3, 4)
	i = move(t, i, 5, 2)
	expect(t, i, Partition{Replicas: []int32{5, 2, 3, 4, 1}, Adding: []int32{5, 3, 4}, Removing: []int32{3, 4, 1}, Epoch: 2, Founders: directories(1, 2)})
	if got := partition(move(t, i)).Target(); !slices.Equal(got, []int32{2, 1}) {
		t.Fatalf("cancelled to %v", got)
	}
	expect(t, complete(t, i), Partition{Replicas: []int32{5, 2}, Epoch: 3})
}

func TestReassignRefusesInKafkasWords(t *testing.T) {
	i := with(t, brokersIn(3), topicOn("t", []int32{1, 2}))
	for _, c := range []struct {
		topic     string
		partition int32
		target    []int32
		want      error
		msg       string
	}{
		{"x", 0, []int32{1, 2}, ErrUnknownTopic, "Unable to find a topic named x."},
		{"t", 1, []int32{1, 2}, ErrUnknownTopic, "Unable to find partition t:1."},
		{"t", -1, []int32{1, 2}, ErrUnknownTopic, "Unable to find partition t:-1."},
		{"t", 0, nil, ErrNoReassignment, "No partition reassignment is in progress."},
		{"t", 0, []int32{}, ErrInvalidReplicaAssignment, "The manual partition assignment includes an empty replica list."},
		{"t", 0, []int32{1, 9}, ErrInvalidReplicaAssignment, "The manual partition assignment includes broker 9, but no such broker is registered."},
		{"t", 0, []int32{1, -1}, ErrInvalidReplicaAssignment, "The manual partition assignment includes broker -1, but no such broker is registered."},
		{"t", 0, []int32{3, 1, 3}, ErrInvalidReplicaAssignment, "The manual partition assignment includes the broker 3 more than once."},
		{"t", 0, []int32{1, 2, 3}, ErrInvalidReplicationFactor, "The replication factor is changed from 2 to 3"},
	} {
		_, err := Reassign(i, c.topic, c.partition, c.target, false)
		refused(t, err, c.want)
		if err.Error() != c.msg {
			t.Errorf("%+v:\n got %v\nwant %s", c.target, err, c.msg)
		}
	}
	if rs := must(Reassign(i, "t", 0, []int32{1, 2}, false))(t); rs != nil {
		t.Fatalf("a move to where it is: %v", rs)
	}
}

// TestMovesKeepTheirInvariants makes random moves, cancels, completions and replacements of disks.
func TestMovesKeepTheirInvariants(t *testing.T) {
	for seed := range uint64(20) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		i := with(t, brokersIn(6), topicOn("t", []int32{1, 2, 3}))
		settled := partition(i).Replicas // where the last move that was completed led
		for step := range 200 {
			old := partition(i)
			var rs []Record
			switch rnd.IntN(5) {
			case 0, 1:
				target := make([]int32, 1+rnd.IntN(4))
				for n, b := range rnd.Perm(6)[:len(target)] {
					target[n] = int32(b + 1)
				}
				rs = must(Reassign(i, "t", 0, target, true))(t)
				if now := partition(with(t, i, rs...)); !slices.Equal(now.Target(), target) {
					t.Fatalf("seed %d step %d: to %v made %+v", seed, step, target, now)
				}
			case 2:
				if old.Moving() {
					rs = must(Reassign(i, "t", 0, nil, true))(t)
					if now := partition(with(t, i, rs...)); !sameSet(now.Target(), settled) {
						t.Fatalf("seed %d step %d: cancel of %+v made %+v, it was at %v", seed, step, old, now, settled)
					}
				}
			case 3:
				rs = must(CompleteReassignment(i, i.Topic("t").ID, 0, old.Epoch-rnd.Int32N(2)))(t)
			case 4:
				b := *i.Broker(int32(1 + rnd.IntN(6)))
				b.Identity += "'"
				rs = []Record{BrokerRecord{b}}
			}
			i = with(t, i, rs...)
			now := partition(i)
			if !now.Moving() {
				settled = now.Replicas
			}
			checkMove(t, seed, step, old, now)
		}
	}
}

func checkMove(t *testing.T, seed uint64, step int, old, now Partition) {
	t.Helper()
	moved := old
	moved.Epoch = now.Epoch
	switch {
	case len(slices.Compact(slices.Sorted(slices.Values(now.Replicas)))) != len(now.Replicas):
	case len(now.Target()) == 0 || len(now.original()) == 0:
	case len(without(now.Adding, now.Replicas)) > 0 || len(without(now.Removing, now.Replicas)) > 0:
	case len(without(without(old.Replicas, now.Replicas), old.Removing)) > 0: // only what was to go has gone
	case !reflect.DeepEqual(moved, now) && now.Epoch != old.Epoch+1:
	case now.Epoch < old.Epoch:
	default:
		return
	}
	t.Fatalf("seed %d step %d: %+v after %+v", seed, step, now, old)
}

func sameSet(a, b []int32) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestReassignmentsYieldsWhatMoves(t *testing.T) {
	i := with(t, brokersIn(3), topicOn("u", []int32{1}), topicOn("t", []int32{1}, []int32{2}), topicOn("s", []int32{3}))
	for _, n := range []string{"t", "u"} {
		i = with(t, i, must(Reassign(i, n, int32(len(i.Topic(n).Partitions)-1), []int32{3}, true))(t)...)
	}
	var got []string
	for topic, n := range Reassignments(i) {
		got = append(got, topic.Name+string('0'+n))
	}
	if !slices.Equal(got, []string{"t1", "u0"}) {
		t.Fatalf("%v", got)
	}
}

// directories are those that brokersIn registers.
func directories(nodes ...int32) (v []Voter) {
	for _, n := range nodes {
		v = append(v, Voter{ID: n, Identity: fmt.Sprint(n)})
	}
	return v
}

// All who look at a partition, whenever, find the same founders, until its leader has completed a move.
func TestTheFoundersAreThoseOfTheCreation(t *testing.T) {
	i := with(t, brokersIn(6), topicOn("t", []int32{1, 2, 3}))
	same := func(i *Image) {
		t.Helper()
		if got := i.FoundersOf(partition(i)); !reflect.DeepEqual(got, directories(1, 2, 3)) {
			t.Fatalf("founders %v", got)
		}
	}
	same(i)
	i = with(t, i, BrokerRecord{Broker{ID: 3, Identity: "wiped"}})
	same(i)
	i = with(t, i, BrokerRecord{Broker{ID: 2, Identity: "wiped too"}})
	same(i)
	i = move(t, i, 1, 2, 4)
	same(i)
	i = move(t, i, 5, 6, 4)
	same(i)
	i = complete(t, i)
	if got := i.FoundersOf(partition(i)); got != nil {
		t.Fatalf("founders %v of a partition that was founded", got)
	}
	if got := move(t, i, 1, 2, 3); got.FoundersOf(partition(got)) != nil {
		t.Fatal("a replica that returns would found the group again")
	}
}
