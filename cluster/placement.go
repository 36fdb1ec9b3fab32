package cluster

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// place chooses replicas for count partitions in stripes: the racks in turn, and within a rack
// the brokers in turn, each partition starting one further than the one before. Racks are spread
// over first, then brokers. A broker that is fenced gets a replica only where its rack has no
// other left, and never the first one. existing are the topic's partitions so far: stripes go on
// from the last of them, else they start where rnd says. Error: ErrInvalidReplicationFactor.
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
		return nil, refuse(ErrInvalidReplicationFactor, "Unable to replicate the partition %d time(s): All brokers are currently fenced.", factor)
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

// ring hands out ids in turn, each once a round.
type ring struct {
	ids   []int32
	start int
	taken int
}

// round begins a new round one place further.
func (r *ring) round() {
	r.taken = 0
	if len(r.ids) > 0 {
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
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		r := byName[name]
		r.active.start = randomStart(len(r.active.ids), rnd)
		r.fenced.start = randomStart(len(r.fenced.ids), rnd)
		s.racks = append(s.racks, r)
	}
	s.start = randomStart(len(s.racks), rnd)
	s.goOn(existing, rackOf)
	return s
}

func randomStart(n int, rnd *rand.Rand) int {
	if n < 2 {
		return 0
	}
	return int(uint32n(rnd, uint32(n)))
}

// goOn sets the starts to where the last of the existing partitions left off.
func (s *stripes) goOn(existing []Partition, rackOf map[int32]*rack) {
	set := map[*rack]bool{}
	for _, p := range slices.Backward(existing) {
		for _, id := range p.Replicas {
			r := rackOf[id]
			if r == nil || set[r] {
				continue
			}
			if n := slices.Index(r.active.ids, id); n >= 0 {
				set[r] = true
				r.active.start = n
			}
		}
		if len(set) == len(s.racks) {
			break
		}
	}
	if len(existing) == 0 || len(existing[len(existing)-1].Replicas) == 0 {
		return
	}
	last := rackOf[existing[len(existing)-1].Replicas[0]]
	if n := slices.Index(s.racks, last); n >= 0 {
		s.start = (n + 1) % len(s.racks)
	}
}

// next places one partition. There are at least factor brokers, one of them active.
func (s *stripes) next(factor int) []int32 {
	replicas := make([]int32, 0, factor)
	for _, r := range s.racks {
		r.active.round()
		r.fenced.round()
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
