package replication

import (
	"cmp"

	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"quorumlog/log"
	"quorumlog/record"
)

// readerView is what a replay of the whole log tells of its transactions, batch by batch.
type readerView struct {
	aborted []log.AbortedTransaction
	stable  int64
}

func viewOf(t *testing.T, p *Partition) (v readerView) {
	t.Helper()
	first, hw := map[int64]int64{}, p.HighWatermark()
	stable := func() int64 {
		low := hw
		for _, o := range first {
			low = min(low, o)
		}
		return low
	}
	err := p.Batches(p.StartOffset(), hw, func(b record.Batch) bool {
		id := b.ProducerID()
		begun, open := first[id]
		switch {
		case !b.IsTransactional():
		case !b.IsControl():
			if !open {
				first[id] = b.BaseOffset()
			}
		case open:
			m, err := record.ParseMarker(b)
			if err != nil {
				t.Fatal(err)
			}
			delete(first, id)
			if !m.Commit {
				v.aborted = append(v.aborted, log.AbortedTransaction{ProducerID: id, First: begun, Last: b.LastOffset(), Stable: min(stable(), b.NextOffset())})
			}
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	v.stable = stable()
	return v
}

// within are the transactions that a reader of [from, limit) has to know.
func (v readerView) within(from, limit int64) (out []log.AbortedTransaction) {
	for _, a := range v.aborted {
		if a.Last >= from && a.First < limit {
			out = append(out, a)
		}
	}
	slices.SortFunc(out, func(a, b log.AbortedTransaction) int { return cmp.Compare(a.First, b.First) })
	return out
}

// agrees compares what the partition says with what its batches say.
func (v readerView) agrees(t *testing.T, p *Partition, rnd *rand.Rand) {
	t.Helper()
	if p.LastStableOffset() != v.stable {
		t.Fatalf("stable below %d, by the log %d", p.LastStableOffset(), v.stable)
	}
	for range 30 {
		from := p.StartOffset() + rnd.Int64N(p.HighWatermark()-p.StartOffset()+1)
		limit := from + rnd.Int64N(p.HighWatermark()-from+1)
		got, err := p.Aborted(from, limit)
		if err != nil {
			t.Fatal(err)
		}
		if want := v.within(from, limit); !slices.Equal(got, want) {
			t.Fatalf("aborted in [%d,%d):\ngot  %+v\nwant %+v", from, limit, got, want)
		}
	}
}

// transacting writes transactions of some producers, all mixed.
type transacting struct {
	p     *Partition
	rnd   *rand.Rand
	epoch map[int64]int16
	seq   map[int64]int32
}

func newTransacting(p *Partition, rnd *rand.Rand) *transacting {
	return &transacting{p, rnd, map[int64]int16{}, map[int64]int32{}}
}

func (w *transacting) step(t *testing.T) {
	t.Helper()
	id := 10 + w.rnd.Int64N(6)
	switch w.rnd.IntN(8) {
	case 0:
		mustAppend(t, w.p, batchOf("of nobody"))
	case 1, 2:
		m := record.Marker{ProducerID: id, ProducerEpoch: w.epoch[id], Commit: w.rnd.IntN(3) == 0}
		version := int16(w.rnd.IntN(3))
		if version == 2 {
			m.ProducerEpoch++
			w.seq[id] = 0
		}
		settle(t, w.p.EndTransaction(m, version))
		w.epoch[id] = m.ProducerEpoch
	default:
		values := make([]string, 1+w.rnd.IntN(3))
		mustAppend(t, w.p, transactionalBatch(id, w.epoch[id], w.seq[id], values...))
		w.seq[id] += int32(len(values))
	}
}

func TestTransactionsOfCheckpointAndTailEqualThoseOfTheWholeLog(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	n := newNode(t, dir, 1)
	again := func() *Partition {
		t.Helper()
		p, err := n.OpenPartition(PartitionConfig{Group: "g-0", Dir: filepath.Join(dir, "p"), Voters: disks(n.ID), SegmentBytes: 3000})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		awaitLeading(t, p)
		return p
	}
	p := again()
	w := newTransacting(p, rnd)
	for round := range 8 {
		for range 80 {
			w.step(t)
			if rnd.IntN(25) == 0 {
				if err := p.Checkpoint(); err != nil {
					t.Fatal(err)
				}
			}
		}
		viewOf(t, p).agrees(t, p, rnd)
		before := viewOf(t, p)
		if rnd.IntN(2) == 0 {
			p.due.index, p.due.start = p.machine.appliedIndex(), p.StartOffset() // Close finds nothing to write
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if rnd.IntN(4) == 0 {
			damageIndexes(t, p.Dir(), rnd)
		}
		p = again()
		w.p = p
		if want := replayed(t, p); !reflect.DeepEqual(p.Producers(), want) {
			t.Fatalf("round %d: checkpoint and tail give\n%+v, the whole log\n%+v", round, p.Producers(), want)
		}
		if after := viewOf(t, p); !reflect.DeepEqual(after, before) {
			t.Fatalf("round %d: the log was\n%+v, is\n%+v", round, before, after)
		}
		viewOf(t, p).agrees(t, p, rnd)
	}
}

// damageIndexes cuts, deletes or overwrites a part of some index of aborted transactions.
func damageIndexes(t *testing.T, dir string, rnd *rand.Rand) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.txn"))
	if err != nil || len(paths) == 0 {
		return
	}
	path := paths[rnd.IntN(len(paths))]
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch i := rnd.IntN(len(b)); rnd.IntN(3) {
	case 0:
		err = os.Remove(path)
	case 1:
		err = os.WriteFile(path, b[:i], 0o644)
	default:
		b[i] ^= 1
		err = os.WriteFile(path, b, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestNewReplicaGetsTheIndexOfAbortedTransactions(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, 4*time.Second)
	lead := c.leader()
	w := newTransacting(lead, rnd)
	for range 100 {
		w.step(t)
	}
	fill(t, lead, 21) // an old transaction or more may stay open
	for range 100 {
		w.step(t)
	}
	c.settled()
	c.addNode(4)
	four := c.start(4)
	c.reconciled(disks(1, 2, 3, 4))
	c.settled()
	eventually(t, "the same producers", func() bool { return reflect.DeepEqual(four.Producers(), lead.Producers()) })
	viewOf(t, four).agrees(t, four, rnd)
	c.stop(4)
	four = c.start(4)
	c.settled()
	viewOf(t, four).agrees(t, four, rnd)
}

func TestTransactionsAreKnownWhereAFailedLogIsReopened(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	p := alone(t)
	w := newTransacting(p, rnd)
	for i := range 120 {
		if i == 60 { // half of them are in the log's own files, the others only in the table
			if err := p.Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
		w.step(t)
	}
	mustAppend(t, p, batchOf("last"))
	before, view := p.inst.Load(), viewOf(t, p)
	breakLog(t, p)
	if _, err := outcome(t, p.Append(batchOf("fails"))); err == nil {
		t.Fatal("acknowledged by a failing disk")
	}
	await(t, p, "another instance that leads", func() bool { return p.inst.Load() != before && p.State().Leading })
	if after := viewOf(t, p); !reflect.DeepEqual(after, view) {
		t.Fatalf("the log was\n%+v, is\n%+v", view, after)
	}
	view.agrees(t, p, rnd)
	for range 60 {
		w.step(t)
	}
	if err := p.Checkpoint(); err != nil {
		t.Fatal(err)
	}
	viewOf(t, p).agrees(t, p, rnd)
}

func TestAnotherLeaderKnowsTheTransactionsThatAreOpen(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, 4*time.Second)
	w := newTransacting(c.leader(), rnd)
	for range 4 {
		for range 40 {
			w.step(t)
		}
		c.settled()
		for _, p := range c.running() {
			eventually(t, "a replica that has applied all", func() bool { return p.HighWatermark() == w.p.HighWatermark() })
			viewOf(t, p).agrees(t, p, rnd)
		}
		if err := w.p.TransferLeadership(-1); err != nil {
			t.Fatal(err)
		}
		w.p = c.leader()
	}
}
