// Package placement decides which brokers hold which replicas. Its functions are pure: they take
// a cluster as it is and return what has to change, and nothing changes that need not.
package placement

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
)

var (
	// ErrTooFew is returned where a partition has more replicas than there are brokers for them.
	ErrTooFew = errors.New("too few brokers")
	// ErrUnknown is returned for a broker that is not there.
	ErrUnknown = errors.New("no such broker")
)

// Broker is a place for replicas. An empty rack is a rack like any other.
type Broker struct {
	ID   int32
	Rack string
}

// Partition is a list of replicas, of which the first is the one that should lead.
type Partition struct {
	Topic    string
	Number   int32
	Replicas []int32
}

// Move is a change of one partition's replicas.
type Move struct {
	Topic    string
	Number   int32
	From, To []int32
}

// Added returns the brokers that get a copy.
func (m Move) Added() []int32 { return less(m.To, m.From) }

// Removed returns the brokers that give their copy up.
func (m Move) Removed() []int32 { return less(m.From, m.To) }

func less(a, b []int32) []int32 {
	return slices.DeleteFunc(slices.Clone(a), func(id int32) bool { return slices.Contains(b, id) })
}

// layout is a cluster while a plan is made. Partitions are changed in place.
type layout struct {
	partitions []Partition
	racks      map[int32]string // of the brokers that may get replicas
	ids        []int32          // the same brokers, sorted
	load       map[int32]int    // replicas of each, counting what is not to be moved as well
}

// newLayout copies movable partitions; fixed ones count as load alone.
func newLayout(movable, fixed []Partition, brokers []Broker) *layout {
	l := &layout{racks: map[int32]string{}, load: map[int32]int{}}
	for _, b := range brokers {
		l.racks[b.ID] = b.Rack
		l.ids = append(l.ids, b.ID)
	}
	slices.Sort(l.ids)
	for _, p := range movable {
		p.Replicas = slices.Clone(p.Replicas)
		l.partitions = append(l.partitions, p)
	}
	slices.SortStableFunc(l.partitions, func(a, b Partition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Number, b.Number))
	})
	for _, p := range slices.Concat(movable, fixed) {
		for _, id := range p.Replicas {
			l.load[id]++
		}
	}
	return l
}

// set puts a replica of p at place i on broker id.
func (l *layout) set(p *Partition, i int, id int32) {
	l.load[p.Replicas[i]]--
	l.load[id]++
	p.Replicas[i] = id
}

// diversity counts the racks of the replicas, leaving out place except and adding broker plus.
func (l *layout) diversity(replicas []int32, except int, plus ...int32) int {
	seen := map[string]bool{}
	for i, id := range replicas {
		if rack, ok := l.racks[id]; ok && i != except {
			seen[rack] = true
		}
	}
	for _, id := range plus {
		seen[l.racks[id]] = true
	}
	return len(seen)
}

// best returns the broker that should take place i of p: one that has no replica of it, in a rack
// that has none where there is one, with the fewest replicas. False: there is none.
func (l *layout) best(p *Partition, i int) (int32, bool) {
	found, racks := int32(-1), 0
	for _, id := range l.ids {
		if slices.Contains(p.Replicas, id) {
			continue
		}
		d := l.diversity(p.Replicas, i, id)
		if found < 0 || d > racks || d == racks && l.load[id] < l.load[found] {
			found, racks = id, d
		}
	}
	return found, found >= 0
}

// moves returns what differs from before.
func (l *layout) moves(before []Partition) []Move {
	type name struct {
		topic  string
		number int32
	}
	old := map[name][]int32{}
	for _, p := range before {
		old[name{p.Topic, p.Number}] = p.Replicas
	}
	var moves []Move
	for _, p := range l.partitions {
		if from := old[name{p.Topic, p.Number}]; !slices.Equal(from, p.Replicas) {
			moves = append(moves, Move{Topic: p.Topic, Number: p.Number, From: from, To: p.Replicas})
		}
	}
	return moves
}

func tooFew(p *Partition, brokers int) error {
	return fmt.Errorf("%w: %s-%d needs %d, and only %d remain", ErrTooFew, p.Topic, p.Number, len(p.Replicas), brokers)
}
