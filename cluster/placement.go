package cluster

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// place chooses replicas for count partitions in stripes: the racks in turn, and within a rack
// the brokers in turn. Racks are spread over first, then brokers; each broker of a rack leads and
// holds as much as the others, to within one. A broker that is fenced gets a replica only where
// its rack has no other left, and never the first one. existing are the topic's partitions so
// far: stripes go on from the last of them, else they start where rnd says. Error:
// ErrInvalidReplicationFactor.
func place(brokers []*Broker, existing []Partition, count, factor int, rnd *rand.Rand) ([]Partition, error) {
	active := 0
	for _, b := range brokers {
		if !b.Fenced {
			active++
		}
	}
	switch {
	case factor <= 0:
		return nil, refuse(ErrInvalidReplicationFactor, "Invalid replication factor %d: the replication factor must be positive.", factor)
	case active == 0:
		return nil, refuse(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): All brokers are currently fenced or in controlled shutdown.", factor)
	case factor > len(brokers):
		return nil, refuse(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): The target replication factor of %d cannot be reached because only %d broker(s) are registered.", factor, factor, len(brokers))
	}
	s := newStripes(brokers, existing, rnd)
	partitions := make([]Partition, count)
	for n := range partitions {
		partitions[n].Replicas = s.next(factor)
	}
	return partitions, nil
}

// ring hands out ids in turn, each once a partition. The first of a partition moves on by one
// each time that its rack leads, and by one more with each partition until it leads again: so
// the leads go round, and the same brokers do not always meet.
type ring struct {
	ids   []int32
	start int // the first id of this partition
	lead  int // start when the rack led last
	taken int
}

// turn begins a partition, which the ring's rack leads or not.
func (r *ring) turn(leads bool) {
	r.taken = 0
	if len(r.ids) == 0 {
		return
	}
	if leads {
		r.lead = (r.lead + 1) % len(r.ids)
		r.start = r.lead
	} else {
		r.start = (r.start + 1) % len(r.ids)
	}
}

func (r *ring) next() (int32, bool) {
	if r.taken == len(r.ids) {
		return 0, false
	}
	id := r.ids[(r.start+r.taken)%len(r.ids)]
	r.taken++
	return id, true
}

type rack struct{ active, fenced ring }

// stripes is a placement in progress.
type stripes struct {
	racks []*rack // by name
	start int     // of the next partition
}

func newStripes(brokers []*Broker, existing []Partition, rnd *rand.Rand) *stripes {
	byName, rackOf := map[string]*rack{}, map[int32]*rack{}
	for _, b := range brokers { // sorted by id, so are the rings
		r := byName[b.Rack]
		if r == nil {
			r = &rack{}
			byName[b.Rack] = r
		}
		rackOf[b.ID] = r
		if b.Fenced {
			r.fenced.ids = append(r.fenced.ids, b.ID)
		} else {
			r.active.ids = append(r.active.ids, b.ID)
		}
	}
	s := &stripes{}
	s.start = int(uint32n(rnd, uint32(len(byName))))
	for n, name := range slices.Sorted(maps.Keys(byName)) {
		r := byName[name]
		since := (s.start - n + len(byName)) % len(byName) // partitions since the rack would have led
		r.active.begin(since, rnd)
		r.fenced.begin(since, rnd)
		s.racks = append(s.racks, r)
	}
	s.goOn(existing, rackOf)
	return s
}

func (r *ring) begin(since int, rnd *rand.Rand) {
	if n := len(r.ids); n > 1 {
		r.lead = int(uint32n(rnd, uint32(n)))
		r.start = (r.lead + since - 1 + n) % n
	}
}

// goOn sets the starts to where the existing partitions left off.
func (s *stripes) goOn(existing []Partition, rackOf map[int32]*rack) {
	started, led := map[*rack]bool{}, map[*rack]bool{}
	for _, p := range slices.Backward(existing) {
		for n, id := range p.Replicas {
			r := rackOf[id]
			if r == nil {
				continue
			}
			if n == 0 && len(led) == 0 {
				s.start = (slices.Index(s.racks, r) + 1) % len(s.racks)
			}
			at := slices.Index(r.active.ids, id)
			if at >= 0 && !started[r] {
				r.active.start, started[r] = at, true
			}
			if at >= 0 && n == 0 && !led[r] {
				r.active.lead, led[r] = at, true
			}
		}
	}
}

// next places one partition. There are at least factor brokers, one of them active.
func (s *stripes) next(factor int) []int32 {
	replicas := make([]int32, 0, factor)
	for n, r := range s.racks {
		r.active.turn(n == s.start)
		r.fenced.turn(n == s.start)
	}
	at := s.start
	s.start = (s.start + 1) % len(s.racks)
	for ; len(replicas) < factor; at++ {
		r := s.racks[at%len(s.racks)]
		id, ok := r.active.next()
		if !ok && len(replicas) > 0 {
			id, ok = r.fenced.next()
		}
		if ok {
			replicas = append(replicas, id)
		}
	}
	return replicas
}
