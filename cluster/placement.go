package cluster

import (
	"cmp"
	"math/rand/v2"
	"slices"
)

// place chooses replicas for count new partitions of a topic that has the existing ones. Each
// partition is spread over as many racks as there can be, and brokers hold and lead as much of the
// topic as others of their rack, to within one; racks of one size hold the same. Where the topic
// leaves a choice, brokers that hold and lead less of everything come first, then rnd decides.
// Fenced brokers get replicas only where there are not enough others, never the first one, and
// never a majority. Error: ErrInvalidReplicationFactor.
func place(i *Image, existing []Partition, count, factor int, rnd *rand.Rand) ([]Partition, error) {
	active := 0
	for _, b := range i.brokers {
		if !b.Fenced {
			active++
		}
	}
	switch {
	case factor <= 0:
		return nil, refuse(ErrInvalidReplicationFactor, "Invalid replication factor %d: the replication factor must be positive.", factor)
	case active == 0:
		return nil, refuse(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): All brokers are currently fenced or in controlled shutdown.", factor)
	case factor > len(i.brokers):
		return nil, refuse(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered.", factor, factor, len(i.brokers))
	case active < factor/2+1:
		return nil, refuse(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): only %d of %d broker(s) are not fenced, and a majority of the replicas must be.", factor, active, len(i.brokers))
	}
	p := newPlacement(i, existing, rnd)
	partitions := make([]Partition, count)
	for n := range partitions {
		partitions[n].Replicas = p.next(factor)
	}
	return partitions, nil
}

// placement is one in progress.
type placement struct {
	active, fenced []*candidate // by rank
	rnd            *rand.Rand
	ranked         int // partitions until the ranks are drawn again
}

// candidate is a broker that may get replicas.
type candidate struct {
	id          int32
	rack        *rack
	held, leads int // of the topic
	// allHeld and allLeads are of all topics.
	allHeld, allLeads int
	rank              uint32
	chosen            bool // for the present partition
}

type rack struct {
	size, held int // its brokers that are not fenced, their replicas of the topic
	used       int // replicas of the present partition
	rank       uint32
}

func newPlacement(i *Image, existing []Partition, rnd *rand.Rand) *placement {
	p := &placement{rnd: rnd}
	racks := map[string]*rack{}
	all := make(map[int32]*candidate, len(i.brokers)) // by id; a search would be most of a decision among many replicas
	for _, b := range i.brokers {
		if racks[b.Rack] == nil {
			racks[b.Rack] = &rack{rank: uint32n(rnd, 1<<31)}
		}
		c := &candidate{id: b.ID, rack: racks[b.Rack]}
		all[b.ID] = c
		if b.Fenced {
			p.fenced = append(p.fenced, c)
		} else {
			p.active = append(p.active, c)
			c.rack.size++
		}
	}
	if len(all) > 1 { // else there is nothing to weigh
		for _, t := range i.topics {
			eachReplica(all, t.Partitions, (*candidate).weigh)
		}
	}
	eachReplica(all, existing, (*candidate).take)
	return p
}

// eachReplica calls f for each replica that a candidate has or is to have; leads is 1 for the
// preferred leader.
func eachReplica(all map[int32]*candidate, partitions []Partition, f func(c *candidate, leads int)) {
	for _, p := range partitions {
		leads := 1
		for _, id := range p.Target() {
			if c := all[id]; c != nil {
				f(c, leads)
			}
			leads = 0
		}
	}
}

// weigh counts a replica of any topic.
func (c *candidate) weigh(leads int) {
	c.allHeld++
	c.allLeads += leads
}

// take counts one more replica of the topic.
func (c *candidate) take(leads int) {
	c.held++
	c.leads += leads
	c.rack.held++
}

// draw gives new ranks. It is done once every so many partitions as there are brokers: by then all
// of them lead equally often, and a change of order in between could spoil that.
func (p *placement) draw() {
	p.ranked = len(p.active)
	for _, c := range slices.Concat(p.active, p.fenced) {
		c.rank = uint32n(p.rnd, 1<<31)
	}
	byRank := func(a, b *candidate) int {
		return cmp.Or(cmp.Compare(a.allHeld, b.allHeld), cmp.Compare(a.allLeads, b.allLeads), cmp.Compare(a.rank, b.rank))
	}
	slices.SortFunc(p.active, byRank)
	slices.SortFunc(p.fenced, byRank)
}

// next places one partition. There are at least factor brokers, most of them active.
func (p *placement) next(factor int) []int32 {
	if p.ranked == 0 {
		p.draw()
	}
	p.ranked--
	chosen := make([]*candidate, 0, factor)
	for len(chosen) < factor {
		pool := p.active
		if len(chosen) >= len(p.active) {
			pool = p.fenced
		}
		c := least(pool)
		c.chosen = true
		c.rack.used++
		c.take(0)
		chosen = append(chosen, c)
	}
	return finish(chosen, min(factor, len(p.active)))
}

// least returns the candidate that is next: of the rack that the partition has used least and that
// holds least for its size, the broker that holds least; of equal ones the first.
func least(pool []*candidate) *candidate {
	var best *candidate
	for _, c := range pool {
		if !c.chosen && (best == nil || c.compare(best) < 0) {
			best = c
		}
	}
	return best
}

func (c *candidate) compare(o *candidate) int {
	a, b := c.rack, o.rack
	return cmp.Or(cmp.Compare(a.used, b.used), cmp.Compare(a.held*b.size, b.held*a.size), cmp.Compare(a.rank, b.rank), cmp.Compare(c.held, o.held))
}

// finish ends a partition: of those that may lead, the first active ones, the one that leads least
// comes first.
func finish(chosen []*candidate, active int) []int32 {
	leader := 0
	for n, c := range chosen[:active] {
		if c.leads < chosen[leader].leads {
			leader = n
		}
	}
	chosen[leader].leads++
	chosen[leader].allLeads++
	ids := []int32{chosen[leader].id}
	for n, c := range chosen {
		c.allHeld++
		c.chosen, c.rack.used = false, 0
		if n != leader {
			ids = append(ids, c.id)
		}
	}
	return ids
}
