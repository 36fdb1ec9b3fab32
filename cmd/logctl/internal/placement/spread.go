package placement

import "slices"

// Spread makes brokers hold equally many replicas of movable, and be the first replica of equally
// many: to within one, as far as racks allow. Replicas on brokers that are not there go first;
// then those that share a rack while another rack has none. A replica moves only where that makes
// the counts more even, which takes the fewest moves that there can be where all brokers are in
// one rack. Then replicas change places, which moves no data.
func Spread(movable []Partition, brokers []Broker) ([]Move, error) {
	l := newLayout(movable, nil, brokers)
	for i := range l.partitions {
		if err := l.settle(&l.partitions[i]); err != nil {
			return nil, err
		}
	}
	for more := true; more; { // each step makes the counts more even, so it ends
		more = l.level()
	}
	l.levelLeaders()
	return l.moves(movable), nil
}

// settle brings p to brokers that are there, and to as many racks as it can be in.
func (l *layout) settle(p *Partition) error {
	if len(p.Replicas) > len(l.ids) {
		return tooFew(p, len(l.ids))
	}
	for at, id := range p.Replicas {
		if _, there := l.racks[id]; there {
			continue
		}
		to, ok := l.best(p, at)
		if !ok {
			return tooFew(p, len(l.ids))
		}
		l.set(p, at, to)
	}
	for at := len(p.Replicas) - 1; at >= 0; at-- { // the first, which leads, moves last
		now := l.diversity(p.Replicas, -1)
		if to, ok := l.best(p, at); ok && l.diversity(p.Replicas, at, to) > now {
			l.set(p, at, to)
		}
	}
	return nil
}

// level moves one replica from a broker with many to one with at least two fewer, without
// bringing the partition into fewer racks. The widest gap goes first. False: nothing is left.
func (l *layout) level() bool {
	byLoad := slices.Clone(l.ids)
	slices.SortStableFunc(byLoad, func(a, b int32) int { return l.load[a] - l.load[b] })
	for high := len(byLoad) - 1; high > 0; high-- {
		for low := range high {
			if l.load[byLoad[high]]-l.load[byLoad[low]] < 2 {
				break
			}
			if l.shift(byLoad[high], byLoad[low]) {
				return true
			}
		}
	}
	return false
}

// shift moves a replica of some partition between two brokers. One that does not lead is
// preferred, so that few leaders change.
func (l *layout) shift(from, to int32) bool {
	var chosen *Partition
	place := -1
	for i := range l.partitions {
		p := &l.partitions[i]
		at := slices.Index(p.Replicas, from)
		if at < 0 || slices.Contains(p.Replicas, to) || l.diversity(p.Replicas, at, to) < l.diversity(p.Replicas, -1) {
			continue
		}
		if chosen == nil || place == 0 {
			chosen, place = p, at
		}
		if place > 0 {
			break
		}
	}
	if chosen == nil {
		return false
	}
	l.set(chosen, place, to)
	return true
}

// levelLeaders lets replicas change places until no exchange makes the counts of first replicas
// more even.
func (l *layout) levelLeaders() {
	leads := map[int32]int{}
	for _, p := range l.partitions {
		if len(p.Replicas) > 0 {
			leads[p.Replicas[0]]++
		}
	}
	for {
		byLeads := slices.Clone(l.ids)
		slices.SortStableFunc(byLeads, func(a, b int32) int { return leads[b] - leads[a] })
		if !slices.ContainsFunc(byLeads, func(id int32) bool { return l.handOver(id, leads) }) {
			return
		}
	}
}

// handOver takes one leadership from a broker to one that has at least two fewer: over others
// where the two share no partition, each of which passes on as many as it gets.
func (l *layout) handOver(from int32, leads map[int32]int) bool {
	type step struct {
		by   *Partition // whose lead goes from prev to the broker
		at   int        // the broker's place in it
		prev int32
	}
	came := map[int32]step{} // how a broker was reached
	reached := []int32{from}
	for len(reached) > 0 {
		id := reached[0]
		reached = reached[1:]
		if leads[from]-leads[id] >= 2 {
			leads[from]--
			leads[id]++
			for id != from {
				s := came[id]
				id = s.prev
				s.by.Replicas[0], s.by.Replicas[s.at] = s.by.Replicas[s.at], s.by.Replicas[0]
			}
			return true
		}
		for i := range l.partitions {
			p := &l.partitions[i]
			if len(p.Replicas) == 0 || p.Replicas[0] != id {
				continue
			}
			for at, next := range p.Replicas {
				if _, seen := came[next]; !seen && next != from {
					came[next] = step{p, at, id}
					reached = append(reached, next)
				}
			}
		}
	}
	return false
}
