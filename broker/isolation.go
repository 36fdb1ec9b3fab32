package broker

import "slices"

// estrangedRounds is in how many rounds in a row, one a second, this node must have missed another
// before it counts it as lost.
const estrangedRounds = 2

// isolation ends leaderships that this node cannot exercise: a majority of the voters is out of
// reach. Raft gives up much later, as an idle group costs what its timers cost; until then clients
// would wait for this node and not ask who leads in its place.
type isolation struct {
	missed map[int32]int // rounds in a row
}

// round takes note of the nodes that are out of touch now, and returns those that are lost.
func (s *isolation) round(estranged []int32) (lost []int32) {
	missed := make(map[int32]int, len(estranged))
	for _, id := range estranged {
		if missed[id] = s.missed[id] + 1; missed[id] >= estrangedRounds {
			lost = append(lost, id)
		}
	}
	s.missed = missed
	return lost
}

// outvoted reports whether without the nodes that are lost no majority of the voters is left.
func outvoted(voters, lost []int32) bool {
	left := 0
	for _, id := range voters {
		if !slices.Contains(lost, id) {
			left++
		}
	}
	return left <= len(voters)/2
}

// abdicate is one round, which does not count while this node is late itself: it may be heard well, only
// not in time, and if it gave up all that it leads, there would be still more to do.
func (b *Broker) abdicate() {
	if b.late() > paceLate {
		return
	}
	lost := b.isolation.round(b.peers.Estranged())
	if len(lost) == 0 {
		return
	}
	resigned := 0
	for _, x := range b.replicas.list() {
		if p := x.partition(); p != nil && p.State().Leading && outvoted(x.placement().Replicas, lost) {
			p.Resign()
			resigned++
		}
	}
	if resigned > 0 {
		b.log.Warn("this node leads partitions no more that have a majority out of its reach", "partitions", resigned, "nodes", lost)
	}
}
