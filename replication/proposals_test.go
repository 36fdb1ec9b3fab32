package replication

import (
	"errors"
	"math"
	"testing"

	"quorumlog/log"
	"quorumlog/record"
)

func inflight(q *proposals, applied *log.Producers, b record.Batch) *Append {
	a := &Append{data: b, standing: q.standing(b.ProducerID(), applied).After(b)}
	q.push(a)
	return a
}

func TestTentativeTableKnowsBatchesInFlight(t *testing.T) {
	applied := log.NewProducers(nil)
	q := &proposals{maxBytes: 1 << 20}
	first := inflight(q, applied, idempotentBatch(7, 0, 0, "a", "b"))
	second := inflight(q, applied, idempotentBatch(7, 0, 2, "c"))

	for _, c := range []struct {
		name string
		b    record.Batch
		twin *Append
		err  error
	}{
		{"continues", idempotentBatch(7, 0, 3, "d"), nil, nil},
		{"repeats the newest", idempotentBatch(7, 0, 2, "c"), second, nil},
		{"repeats an older one", idempotentBatch(7, 0, 0, "a", "b"), first, nil},
		{"leaves a gap", idempotentBatch(7, 0, 4, "x"), nil, log.ErrOutOfOrderSequence},
		{"overlaps", idempotentBatch(7, 0, 1, "b", "c"), nil, log.ErrOutOfOrderSequence},
		{"newer epoch from the start", idempotentBatch(7, 1, 0, "x"), nil, nil},
		{"newer epoch in the middle", idempotentBatch(7, 1, 3, "x"), nil, log.ErrOutOfOrderSequence},
		{"another producer", idempotentBatch(8, 0, 5, "x"), nil, nil},
	} {
		twin, dup, err := q.check(c.b, applied)
		if twin != c.twin || dup != nil || !errors.Is(err, c.err) {
			t.Errorf("%s: twin %v, duplicate %v, error %v", c.name, twin, dup, err)
		}
	}
	inflight(q, applied, idempotentBatch(7, 1, 0, "x"))
	if _, _, err := q.check(idempotentBatch(7, 0, 3, "d"), applied); !errors.Is(err, log.ErrStaleEpoch) {
		t.Errorf("an older epoch than one in flight: %v", err)
	}
}

func TestTentativeTableFallsBackToTheAppliedOne(t *testing.T) {
	applied := log.NewProducers(nil)
	q := &proposals{maxBytes: 1 << 20}
	b := idempotentBatch(7, 0, math.MaxInt32, "a")
	inflight(q, applied, b)
	b.SetBaseOffset(41)
	applied.Apply(b)
	if q.pop(b) == nil {
		t.Fatal("the oldest proposal is not known by its data")
	}
	if _, dup, err := q.check(idempotentBatch(7, 0, math.MaxInt32, "a"), applied); err != nil || dup == nil || dup.Offset != 41 {
		t.Errorf("applied batch repeated: %v, %v", dup, err)
	}
	inflight(q, applied, idempotentBatch(7, 0, 0, "wrapped around"))
	if _, dup, err := q.check(idempotentBatch(7, 0, math.MaxInt32, "a"), applied); err != nil || dup == nil {
		t.Errorf("applied batch repeated behind one in flight: %v, %v", dup, err)
	}
	q.abandon()
	if _, _, err := q.check(idempotentBatch(7, 0, 1, "b"), applied); !errors.Is(err, log.ErrOutOfOrderSequence) {
		t.Errorf("after a failure the applied table decides alone: %v", err)
	}
	if len(q.queue) != 0 || q.bytes != 0 || len(q.producers) != 0 {
		t.Errorf("left over: %+v", q)
	}
}

func TestAShortQueueOfProposalsStaysInItsOwnMemory(t *testing.T) {
	q := &proposals{maxBytes: 1 << 20}
	room := make([]*Append, 10)
	for i := range room {
		room[i] = &Append{data: []byte{byte(i)}}
	}
	next := 0
	push := func() {
		q.push(room[next%len(room)])
		next++
	}
	push()
	push()
	if n := testing.AllocsPerRun(100, func() {
		push()
		if a := room[(next-3)%len(room)]; q.pop(a.data) != a {
			t.Fatal("not the oldest")
		}
	}); n != 0 {
		t.Errorf("%v allocations for each", n)
	}
	if len(q.queue) != 2 || q.queue[0] != room[(next-2)%len(room)] || q.queue[1] != room[(next-1)%len(room)] {
		t.Error("not what was pushed")
	}
	held := 0
	for _, a := range q.first {
		if a != nil {
			held++
		}
	}
	if held != 2 {
		t.Errorf("%d proposals are held, of 2 in the queue", held)
	}
}

func TestProposalsAreBoundedInNumberAndBytes(t *testing.T) {
	q := &proposals{maxBytes: 1000}
	if !q.room(5000) {
		t.Error("a batch larger than the bound must pass when alone")
	}
	b := batchOf("x")
	inflight(q, log.NewProducers(nil), b)
	if q.room(1000) || !q.room(1000-len(b)) {
		t.Error("bytes are not bounded")
	}
	q.maxBytes = 1 << 20
	for len(q.queue) < maxInflight {
		if !q.room(1) {
			t.Fatalf("no room after %d", len(q.queue))
		}
		inflight(q, log.NewProducers(nil), batchOf("x"))
	}
	if q.room(1) {
		t.Error("the number is not bounded")
	}
	if q.pop(batchOf("x")) != nil {
		t.Error("a batch of equal content from elsewhere was taken for the proposal")
	}
	for len(q.queue) > 0 {
		q.pop(q.queue[0].data)
	}
	if q.bytes != 0 {
		t.Errorf("%d bytes in flight of none", q.bytes)
	}
}

// Memory of an Append serves again only when nobody else may look at it.
func TestAppendServesAgainWhenItIsItsOwnersAlone(t *testing.T) {
	applied := log.NewProducers(nil)
	p := &Partition{}
	q := &p.proposals
	first, second := idempotentBatch(7, 0, 0, "a"), idempotentBatch(7, 0, 1, "b")
	a, b := inflight(q, applied, first), inflight(q, applied, second)
	a.given, b.given = true, true
	if a.Reset() {
		t.Fatal("in flight, and given out again")
	}
	if q.pop(first) != a {
		t.Fatal("not the oldest")
	}
	a.data = nil
	if a.Reset() {
		t.Fatal("about to be settled, and given out again")
	}
	if b.older != nil {
		t.Error("the next one of the producer still looks at it")
	}
	bell := make(chan struct{}, 1)
	a.bell, a.result = bell, AppendResult{BaseOffset: 5}
	a.settle()
	if len(bell) != 1 || !a.Known() {
		t.Error("nobody is told")
	}
	if !a.Reset() {
		t.Error("over, and not given out again")
	}
	if r, err := a.Result(); a.Known() || r != (AppendResult{}) || err != nil || a.bell != nil || a.done != nil || !a.Reset() {
		t.Errorf("begins with %+v, %v", r, err)
	}
	if twin, _, _ := q.check(second, applied); p.repeated(second, twin, nil) != b {
		t.Fatal("a batch that comes twice has an outcome of its own")
	}
	q.pop(second)
	b.data = nil
	b.settle()
	if b.Reset() {
		t.Error("somebody else waits for it, and it is given out again")
	}
	lost := &Append{given: true}
	fail([]*Append{lost}, ErrNotLeader)
	if lost.Reset() {
		t.Error("after an error Raft may hold it, and it is given out again")
	}
}

// A queue under load is never empty, and must neither grow with what has passed through it nor mix it up.
func TestQueueKeepsItsOrderAndItsMemory(t *testing.T) {
	q := &proposals{maxBytes: 1 << 20}
	applied := log.NewProducers(nil)
	next, oldest := 0, 0
	var all []record.Batch
	push := func() {
		all = append(all, idempotentBatch(int64(next), 0, 0, "a"))
		inflight(q, applied, all[next])
		next++
	}
	pop := func() {
		if q.pop(all[oldest]) == nil {
			t.Fatalf("%d is not the oldest of %d", oldest, len(q.queue))
		}
		oldest++
	}
	for range 100 {
		push()
	}
	for range 1000 {
		push()
		pop()
	}
	if len(q.queue) != 100 || len(q.space) > 256 {
		t.Errorf("%d in flight have room for %d", len(q.queue), len(q.space))
	}
	for oldest < next {
		pop()
	}
	if cap(q.space) > maxSpace {
		t.Errorf("an empty queue has room for %d", cap(q.space))
	}
	push()
	pop()
}
