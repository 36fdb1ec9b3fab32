package placement

import (
	"fmt"
	"slices"
)

// Drain takes every replica of movable away from the brokers out. Each goes to the broker that
// has the fewest, in a rack that has no replica of the partition where there is such a one; it
// takes the place of the old one, so that leaders stay as they are otherwise. Fixed partitions
// stay, but count.
func Drain(movable, fixed []Partition, brokers []Broker, out ...int32) ([]Move, error) {
	return replace(movable, fixed, without(brokers, out), func(id int32) bool { return slices.Contains(out, id) }, -1)
}

// Replace puts the broker heir in the place of old wherever old has a replica. Where heir has one
// already, another broker is chosen, as Drain does.
func Replace(movable, fixed []Partition, brokers []Broker, old, heir int32) ([]Move, error) {
	if !slices.ContainsFunc(brokers, func(b Broker) bool { return b.ID == heir }) {
		return nil, fmt.Errorf("%w: %d", ErrUnknown, heir)
	}
	return replace(movable, fixed, without(brokers, []int32{old}), func(id int32) bool { return id == old }, heir)
}

func without(brokers []Broker, out []int32) []Broker {
	return slices.DeleteFunc(slices.Clone(brokers), func(b Broker) bool { return slices.Contains(out, b.ID) })
}

// replace finds another broker for each replica that goes: heir (-1: nobody) where that can be.
func replace(movable, fixed []Partition, brokers []Broker, goes func(int32) bool, heir int32) ([]Move, error) {
	l := newLayout(movable, fixed, brokers)
	for i := range l.partitions {
		p := &l.partitions[i]
		for at, id := range p.Replicas {
			if !goes(id) {
				continue
			}
			to, ok := heir, heir >= 0 && !slices.Contains(p.Replicas, heir)
			if !ok {
				to, ok = l.best(p, at)
			}
			if !ok {
				return nil, tooFew(p, len(l.ids))
			}
			l.set(p, at, to)
		}
	}
	return l.moves(movable), nil
}
