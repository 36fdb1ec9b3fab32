package cluster

import (
	"fmt"
	"reflect"
	"slices"
	"testing"
)

// load counts what brokers lead and hold.
type load struct{ leads, holds map[int32]int }

func loadOf(ps []Partition) load {
	l := load{map[int32]int{}, map[int32]int{}}
	for _, p := range ps {
		l.leads[p.Replicas[0]]++
		for _, id := range p.Replicas {
			l.holds[id]++
		}
	}
	return l
}

// spread is the difference between the most and the least that one of the brokers has.
func spread(counts map[int32]int, brokers []*Broker) int {
	lo, hi := 1<<30, 0
	for _, b := range brokers {
		lo, hi = min(lo, counts[b.ID]), max(hi, counts[b.ID])
	}
	return hi - lo
}

func racksOf(i *Image, ids []int32) map[string]bool {
	racks := map[string]bool{}
	for _, id := range ids {
		racks[i.Broker(id).Rack] = true
	}
	return racks
}

// TestPlacementIsEvenOverRacksAndBrokers: whatever the number of partitions, the counts of equal
// brokers differ by at most one.
func TestPlacementIsEvenOverRacksAndBrokers(t *testing.T) {
	for seed := range uint64(400) {
		rnd := seeded(seed)
		var names []string
		for n := range rnd.IntN(5) {
			names = append(names, string(rune('a'+n)))
		}
		racks := max(len(names), 1)
		brokers := racks * (1 + rnd.IntN(4))
		factor, count := 1+rnd.IntN(brokers), 1+rnd.IntN(40)
		i := brokersIn(brokers, names...)
		ps := must(place(i, nil, count, factor, seeded(seed)))(t)
		what := fmt.Sprintf("seed %d: %d partitions, factor %d, %d brokers in %d racks", seed, count, factor, brokers, racks)
		for _, p := range ps {
			if len(slices.Compact(slices.Sorted(slices.Values(p.Replicas)))) != factor {
				t.Fatalf("%s: replicas %v", what, p.Replicas)
			}
			if got := len(racksOf(i, p.Replicas)); got != min(factor, racks) {
				t.Fatalf("%s: replicas %v in %d racks", what, p.Replicas, got)
			}
		}
		l := loadOf(ps)
		if h, n := spread(l.holds, i.Brokers()), spread(l.leads, i.Brokers()); h > 1 || n > 1 {
			t.Fatalf("%s: holds %v, leads %v", what, l.holds, l.leads)
		}
		if again := must(place(i, nil, count, factor, seeded(seed)))(t); !reflect.DeepEqual(again, ps) {
			t.Fatalf("%s: the same seed placed differently", what)
		}
		more := must(place(i, ps, 1+rnd.IntN(20), factor, rnd))(t)
		l = loadOf(slices.Concat(ps, more))
		if h, n := spread(l.holds, i.Brokers()), spread(l.leads, i.Brokers()); h > 1 || n > 2 {
			t.Fatalf("%s and %d more: holds %v, leads %v", what, len(more), l.holds, l.leads)
		}
	}
}

func TestRacksOfDifferentSizesAreAllUsed(t *testing.T) {
	for seed := range uint64(200) {
		rnd, i := seeded(seed), new(Image)
		names := []string{"a", "b", "c"}
		for id := range int32(3 + rnd.IntN(6)) {
			rack := names[rnd.IntN(3)]
			i = with(t, i, BrokerRecord{Broker{ID: id, Identity: "x", Rack: rack}})
		}
		all := map[string]bool{}
		for _, b := range i.Brokers() {
			all[b.Rack] = true
		}
		factor := 1 + rnd.IntN(len(i.Brokers()))
		for _, p := range must(place(i, nil, 20, factor, rnd))(t) {
			if got := len(racksOf(i, p.Replicas)); got != min(factor, len(all)) {
				t.Fatalf("seed %d: replicas %v in %d of %d racks", seed, p.Replicas, got, len(all))
			}
		}
	}
}

func TestManySmallTopicsAreSpreadToo(t *testing.T) {
	i, rnd := brokersIn(5), seeded(4)
	for n := range 43 {
		i = with(t, i, must(CreateTopic(i, NewTopic{Name: fmt.Sprint("t", n), Partitions: 1, ReplicationFactor: int16(1 + n%3)}, rnd))(t)...)
	}
	var all []Partition
	for _, topic := range i.Topics() {
		all = append(all, topic.Partitions...)
	}
	l := loadOf(all)
	if h, n := spread(l.holds, i.Brokers()), spread(l.leads, i.Brokers()); h > 1 || n > 4 {
		t.Fatalf("holds %v, leads %v", l.holds, l.leads)
	}
}

func TestFencedBrokersComeLastAndNeverLead(t *testing.T) {
	i := with(t, brokersIn(4), BrokerFenceRecord{2, true}, BrokerFenceRecord{4, true})
	for _, p := range must(place(i, nil, 20, 2, seeded(1)))(t) {
		if slices.Contains(p.Replicas, 2) || slices.Contains(p.Replicas, 4) {
			t.Fatalf("replicas %v on a fenced broker", p.Replicas)
		}
	}
	for _, p := range must(place(i, nil, 20, 3, seeded(1)))(t) {
		if p.Replicas[0]%2 == 0 {
			t.Fatalf("a fenced broker leads %v", p.Replicas)
		}
	}
	_, err := place(i, nil, 1, 4, seeded(1))
	refused(t, err, ErrInvalidReplicationFactor, "only 2 of 4 broker(s) are not fenced")
	i = with(t, i, BrokerFenceRecord{1, true}, BrokerFenceRecord{3, true})
	_, err = place(i, nil, 1, 1, seeded(1))
	refused(t, err, ErrInvalidReplicationFactor, "Unable to replicate the partition 1 time(s): All brokers are currently fenced or in controlled shutdown.")
	// A rack with nobody to lead is stepped over, not waited for.
	i = with(t, brokersIn(4, "a", "b"), BrokerFenceRecord{2, true}, BrokerFenceRecord{4, true})
	for _, p := range must(place(i, nil, 8, 3, seeded(1)))(t) {
		if p.Replicas[0]%2 == 0 || len(p.Replicas) != 3 {
			t.Fatalf("replicas %v", p.Replicas)
		}
	}
	for _, p := range must(place(i, nil, 8, 2, seeded(1)))(t) {
		if slices.Contains(p.Replicas, 2) || slices.Contains(p.Replicas, 4) {
			t.Fatalf("replicas %v, others are there", p.Replicas)
		}
	}
}
