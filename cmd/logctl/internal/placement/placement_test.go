package placement

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

// world is a cluster that a seed makes.
type world struct {
	brokers    []Broker
	partitions []Partition
}

// newWorld has 1 to 8 brokers in at most racks racks, and up to 40 partitions placed anyhow.
func newWorld(seed uint64, racks int) world {
	rnd := rand.New(rand.NewPCG(seed, 1))
	var w world
	n := 1 + rnd.IntN(8)
	for i := range n {
		w.brokers = append(w.brokers, Broker{int32(i * 3), fmt.Sprint(rnd.IntN(racks))})
	}
	for i := range rnd.IntN(40) {
		p := Partition{Topic: fmt.Sprint("t", i%3), Number: int32(i / 3)}
		for _, b := range rnd.Perm(n)[:1+rnd.IntN(min(n, 4))] {
			if rnd.IntN(3) == 0 && b > n/2 { // leave some brokers with less
				b = rnd.IntN(n/2 + 1)
			}
			if id := w.brokers[b].ID; !slices.Contains(p.Replicas, id) {
				p.Replicas = append(p.Replicas, id)
			}
		}
		w.partitions = append(w.partitions, p)
	}
	return w
}

func (w world) rack(id int32) string {
	i := slices.IndexFunc(w.brokers, func(b Broker) bool { return b.ID == id })
	return w.brokers[i].Rack
}

func (w world) diversity(replicas []int32) int {
	seen := map[string]bool{}
	for _, id := range replicas {
		seen[w.rack(id)] = true
	}
	return len(seen)
}

// after applies moves, and checks what holds for every plan: it names partitions that are there
// as they are, keeps how many replicas each has, uses brokers that are there, and none twice.
func (w world) after(t *testing.T, moves []Move) []Partition {
	t.Helper()
	out := slices.Clone(w.partitions)
	for _, m := range moves {
		i := slices.IndexFunc(out, func(p Partition) bool { return p.Topic == m.Topic && p.Number == m.Number })
		if i < 0 || !slices.Equal(out[i].Replicas, m.From) || slices.Equal(m.From, m.To) || len(m.From) != len(m.To) {
			t.Fatalf("move %+v does not fit", m)
		}
		out[i].Replicas = m.To
		sorted := slices.Sorted(slices.Values(m.To))
		if len(slices.Compact(sorted)) != len(m.To) {
			t.Fatalf("move %+v has a broker twice", m)
		}
		for _, id := range m.Added() {
			if !slices.ContainsFunc(w.brokers, func(b Broker) bool { return b.ID == id }) {
				t.Fatalf("move %+v to a broker that is not there", m)
			}
		}
	}
	return out
}

func counts(w world, partitions []Partition) (load, leads map[int32]int) {
	load, leads = map[int32]int{}, map[int32]int{}
	for _, b := range w.brokers {
		load[b.ID], leads[b.ID] = 0, 0
	}
	for _, p := range partitions {
		leads[p.Replicas[0]]++
		for _, id := range p.Replicas {
			load[id]++
		}
	}
	return load, leads
}

func gap(m map[int32]int) int {
	var v []int
	for _, n := range m {
		v = append(v, n)
	}
	return slices.Max(v) - slices.Min(v)
}

func copies(moves []Move) int {
	n := 0
	for _, m := range moves {
		n += len(m.Added())
	}
	return n
}

const seeds = 600

func each(t *testing.T, racks int, do func(t *testing.T, w world)) {
	for seed := range uint64(seeds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { do(t, newWorld(seed, racks)) })
	}
}

func TestSpreadIsEvenWithTheFewestCopies(t *testing.T) {
	each(t, 1, func(t *testing.T, w world) {
		moves, err := Spread(w.partitions, w.brokers)
		if err != nil {
			t.Fatal(err)
		}
		after := w.after(t, moves)
		load, leads := counts(w, after)
		if gap(load) > 1 {
			t.Errorf("replicas %v", load)
		}
		before, _ := counts(w, w.partitions)
		total, above, below := 0, 0, 0
		for _, n := range before {
			total += n
		}
		floor := total / len(w.brokers)
		ceil := (total + len(w.brokers) - 1) / len(w.brokers)
		for _, n := range before {
			above, below = above+max(0, n-ceil), below+max(0, floor-n)
		}
		if got := copies(moves); got != max(above, below) {
			t.Errorf("%d copies, and %d are enough", got, max(above, below))
		}
		for _, p := range after { // no single exchange makes leaders more even
			for _, id := range p.Replicas {
				if leads[p.Replicas[0]]-leads[id] >= 2 {
					t.Errorf("broker %d leads %d and could give %s-%d to %d, which leads %d", p.Replicas[0], leads[p.Replicas[0]], p.Topic, p.Number, id, leads[id])
				}
			}
		}
	})
}

func TestSpreadUsesAllRacksItCan(t *testing.T) {
	each(t, 3, func(t *testing.T, w world) {
		moves, err := Spread(w.partitions, w.brokers)
		if err != nil {
			t.Fatal(err)
		}
		racks := map[string]bool{}
		for _, b := range w.brokers {
			racks[b.Rack] = true
		}
		after := w.after(t, moves)
		for _, p := range after {
			if got, want := w.diversity(p.Replicas), min(len(racks), len(p.Replicas)); got != want {
				t.Errorf("%+v is in %d racks, and could be in %d", p, got, want)
			}
		}
		load, _ := counts(w, after)
		for _, p := range after { // no single move makes replicas more even
			for at, from := range p.Replicas {
				for _, to := range w.brokers {
					if load[from]-load[to.ID] < 2 || slices.Contains(p.Replicas, to.ID) {
						continue
					}
					other := slices.Clone(p.Replicas)
					other[at] = to.ID
					if w.diversity(other) >= w.diversity(p.Replicas) {
						t.Errorf("%+v could move from %d to %d: %v", p, from, to.ID, load)
					}
				}
			}
		}
	})
}

func TestSpreadTwiceIsSpreadOnce(t *testing.T) {
	each(t, 3, func(t *testing.T, w world) {
		moves, err := Spread(w.partitions, w.brokers)
		if err != nil {
			t.Fatal(err)
		}
		again, err := Spread(w.after(t, moves), w.brokers)
		if err != nil || len(again) > 0 {
			t.Errorf("%d moves after %d, %v", len(again), len(moves), err)
		}
	})
}

func TestDrainMovesWhatIsThereAndNothingElse(t *testing.T) {
	each(t, 3, func(t *testing.T, w world) {
		out := w.brokers[0].ID
		moves, err := Drain(w.partitions, nil, w.brokers, out)
		if slices.ContainsFunc(w.partitions, func(p Partition) bool {
			return len(p.Replicas) == len(w.brokers) && slices.Contains(p.Replicas, out)
		}) {
			if !errors.Is(err, ErrTooFew) {
				t.Fatalf("err %v", err)
			}
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range w.after(t, moves) {
			if slices.Contains(p.Replicas, out) {
				t.Errorf("%+v is still on %d", p, out)
			}
		}
		for _, m := range moves {
			if !slices.Equal(m.Removed(), []int32{out}) || len(m.Added()) != 1 || slices.Index(m.From, out) != slices.Index(m.To, m.Added()[0]) {
				t.Errorf("%+v moves more than it must", m)
			}
			best := 0
			for _, b := range w.brokers {
				if b.ID != out && !slices.Contains(m.From, b.ID) {
					other := slices.Clone(m.From)
					other[slices.Index(other, out)] = b.ID
					best = max(best, w.diversity(other))
				}
			}
			if w.diversity(m.To) < best {
				t.Errorf("%+v is in %d racks, and could be in %d", m, w.diversity(m.To), best)
			}
		}
	})
}

func TestDrainFillsTheEmptiest(t *testing.T) {
	brokers := []Broker{{1, ""}, {2, ""}, {3, ""}}
	var movable, fixed []Partition
	for i := range int32(6) {
		movable = append(movable, Partition{"t", i, []int32{1}})
		fixed = append(fixed, Partition{"f", i, []int32{2}})
	}
	moves, err := Drain(movable, fixed, brokers, 1)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range moves {
		if m.To[0] != 3 {
			t.Errorf("%+v: broker 2 has 6 already", m)
		}
	}
}

func TestReplacePutsTheHeirInPlace(t *testing.T) {
	brokers := []Broker{{2, ""}, {3, ""}, {4, ""}}
	moves, err := Replace([]Partition{{"t", 0, []int32{1, 2}}, {"t", 1, []int32{4, 1}}, {"t", 2, []int32{2, 3}}}, nil, brokers, 1, 4)
	if err != nil || len(moves) != 2 || !slices.Equal(moves[0].To, []int32{4, 2}) {
		t.Fatalf("%+v, %v", moves, err)
	}
	if to := moves[1].To; to[0] != 4 || to[1] != 3 {
		t.Errorf("where the heir is already: %v", to)
	}
	if _, err := Replace(nil, nil, brokers, 2, 9); !errors.Is(err, ErrUnknown) {
		t.Errorf("an heir that is not there: %v", err)
	}
}

func TestSpreadLeavesBrokersThatAreGone(t *testing.T) {
	moves, err := Spread([]Partition{{"t", 0, []int32{9, 1}}}, []Broker{{1, "a"}, {2, "b"}})
	if err != nil || len(moves) != 1 || !slices.Equal(slices.Sorted(slices.Values(moves[0].To)), []int32{1, 2}) {
		t.Errorf("%+v, %v", moves, err)
	}
	if _, err := Spread([]Partition{{"t", 0, []int32{1, 2, 3}}}, []Broker{{1, ""}, {2, ""}}); !errors.Is(err, ErrTooFew) {
		t.Errorf("err %v", err)
	}
}

func FuzzPlans(f *testing.F) {
	f.Add(uint64(1), uint8(2))
	f.Fuzz(func(t *testing.T, seed uint64, racks uint8) {
		w := newWorld(seed, 1+int(racks%4))
		if moves, err := Spread(w.partitions, w.brokers); err == nil {
			w.after(t, moves)
		}
		if moves, err := Drain(w.partitions, nil, w.brokers, w.brokers[0].ID); err == nil {
			w.after(t, moves)
		}
	})
}

func BenchmarkSpread(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	var brokers []Broker
	for i := range int32(12) {
		brokers = append(brokers, Broker{i, fmt.Sprint(i % 3)})
	}
	var partitions []Partition
	for i := range int32(10_000) {
		p := Partition{Topic: "t", Number: i}
		for _, id := range rnd.Perm(9)[:3] { // three brokers are new
			p.Replicas = append(p.Replicas, int32(id))
		}
		partitions = append(partitions, p)
	}
	for b.Loop() {
		if _, err := Spread(partitions, brokers); err != nil {
			b.Fatal(err)
		}
	}
}
