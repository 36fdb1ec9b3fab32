package log

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"quorumlog/record"
)

// written is a record as it was written.
type written struct {
	record.Record
	txn    int   // number of its transaction, -1 for none
	marker bool  // it ends that
	seen   int64 // ms, when compaction first came by, 0 before
}

// modelTxn is a transaction of the model.
type modelTxn struct {
	producer int64
	first    int64 // offset
	last     int64 // of the marker, -1 while it is open
	abort    bool
}

// changes is a log of keyed records, and all that was ever written to it.
type changes struct {
	rnd     *rand.Rand
	now     int64
	dir     string
	opts    Options
	l       *Log
	m       model
	term    uint64
	records []written // by offset
	txns    []modelTxn
	open    map[int64]int // a producer's transaction
	seqs    map[int64]int32
	latest  map[int64]int64 // a producer's last batch: its base offset

	later []AbortedTransaction // since the last checkpoint, in the order of their markers

	producers *Producers
}

func newChanges(t testing.TB, seed uint64, dir string) *changes {
	c := &changes{rnd: rand.New(rand.NewPCG(seed, 7)), now: 1_700_000_000_000, dir: dir, m: model{first: 1}, term: 1,
		open: map[int64]int{}, seqs: map[int64]int32{}, latest: map[int64]int64{}, producers: NewProducers(nil)}
	c.opts = testOptions()
	c.opts.SegmentBytes = 1500
	c.opts.Now = func() time.Time { return time.UnixMilli(c.now) }
	c.l = mustOpen(t, dir, c.opts)
	return c
}

func (c *changes) append(t testing.TB, kind Kind, data []byte) {
	t.Helper()
	e := c.m.add(c.term, kind, data)
	if err := c.l.Append([]Entry{e}); err != nil {
		t.Fatal(err)
	}
	if kind == KindData {
		c.producers.Apply(record.Batch(e.Data))
	}
}

// grow appends n entries of all sorts.
func (c *changes) grow(t testing.TB, n int) {
	t.Helper()
	for range n {
		c.now += 1000
		switch r := c.rnd.IntN(100); {
		case r < 4:
			c.append(t, Kind(2+c.rnd.IntN(4)), []byte("payload"))
		case r < 7:
			c.term++
			c.append(t, KindNoop, nil)
		case r < 25:
			c.endTransaction(t)
		default:
			c.produce(t)
		}
	}
	if err := c.l.Sync(); err != nil {
		t.Fatal(err)
	}
}

func (c *changes) produce(t testing.TB) {
	opts := record.BuilderOptions{Codec: record.Codec(c.rnd.IntN(5))}
	id, txn := int64(c.rnd.IntN(12))-4, -1
	if id >= 0 {
		opts.Producer = &record.Producer{ID: id, Sequence: c.seqs[id]}
		if opts.Transactional = id >= 4; opts.Transactional {
			if _, there := c.open[id]; !there {
				c.open[id] = len(c.txns)
				c.txns = append(c.txns, modelTxn{id, c.m.next, -1, false})
			}
			txn = c.open[id]
		}
		c.latest[id] = c.m.next
	}
	w := record.NewBuilder(opts)
	for range 1 + c.rnd.IntN(4) {
		r := record.Record{Offset: c.m.next + int64(w.Len()), Timestamp: c.now + int64(c.rnd.IntN(3000)), Key: fmt.Append(nil, "key", c.rnd.IntN(9))}
		if c.rnd.IntN(4) > 0 {
			r.Value = bytes.Repeat([]byte{byte(c.rnd.IntN(256))}, c.rnd.IntN(60))
		}
		if c.rnd.IntN(40) == 0 {
			r.Key = nil
		}
		w.Add(r)
		c.records = append(c.records, written{Record: r, txn: txn})
	}
	if id >= 0 {
		c.seqs[id] += int32(w.Len())
	}
	c.append(t, KindData, w.Build())
}

func (c *changes) endTransaction(t testing.TB) {
	for id, n := range c.open { // any
		x := &c.txns[n]
		x.last, x.abort = c.m.next, c.rnd.IntN(2) == 0
		w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id, Sequence: -1}, Transactional: true, Control: true})
		typ := record.ControlCommit
		if x.abort {
			typ = record.ControlAbort
		}
		w.Add(record.Record{Timestamp: c.now, Key: binary.BigEndian.AppendUint16([]byte{0, 0}, uint16(typ)), Value: []byte{0, 0, 0, 0, 0, 1}})
		c.records = append(c.records, written{Record: record.Record{Offset: c.m.next, Timestamp: c.now}, txn: n, marker: true})
		delete(c.open, id)
		c.append(t, KindData, w.Build())
		if x.abort {
			c.later = append(c.later, AbortedTransaction{ProducerID: id, First: x.first, Last: x.last, Stable: c.stable()})
		}
		return
	}
}

// stable is the last stable offset.
func (c *changes) stable() int64 {
	limit := c.m.next
	for _, n := range c.open {
		limit = min(limit, c.txns[n].first)
	}
	return limit
}

func (c *changes) aborted(t testing.TB, from int64) []AbortedTransaction {
	t.Helper()
	stored, err := c.l.Aborted(from, c.m.next)
	if err != nil {
		t.Fatal(err)
	}
	return MergeAborted(stored, c.later)
}

const testRetention = 60_000

func (c *changes) options(t testing.TB) Compaction {
	t.Helper()
	return Compaction{Limit: c.stable(), DeleteRetention: testRetention, MapBytes: 1 << 20, Producers: c.producers.Snapshot(), Aborted: c.aborted(t, 0)}
}

func (c *changes) checkpoint(t testing.TB) {
	t.Helper()
	c.checkpointAt(t, c.l.LastIndex())
}

// checkpointAt writes a checkpoint for a committed entry.
func (c *changes) checkpointAt(t testing.TB, last uint64) {
	t.Helper()
	term, err := c.l.Term(last)
	if err == nil {
		err = c.l.WriteCheckpoint(Checkpoint{Index: last, Term: term, Producers: c.producers.Snapshot(), Aborted: c.later})
	}
	if err != nil {
		t.Fatal(err)
	}
	c.later = nil
}

// compact compacts all that may be, between two checkpoints.
func (c *changes) compact(t testing.TB) Compacted {
	t.Helper()
	c.checkpoint(t)
	done, err := c.l.Compact(c.options(t))
	if err != nil {
		t.Fatal(err)
	}
	c.came()
	c.checkpoint(t)
	return done
}

// came notes which records compaction may have seen by now.
func (c *changes) came() {
	for i := range c.records {
		if c.records[i].seen == 0 && c.records[i].Offset < c.stable() {
			c.records[i].seen = c.now
		}
	}
}

// read returns what a reader from an offset on sees.
func (c *changes) read(from int64) (got []written, heads map[int64]int32, err error) {
	heads = map[int64]int32{}
	next := from
	err = c.l.Batches(from, c.l.NextOffset(), func(b record.Batch) bool {
		if b.LastOffset() < next && err == nil {
			err = fmt.Errorf("a batch that ends at %d for a reader at %d", b.LastOffset(), next)
		}
		next = b.NextOffset()
		heads[b.BaseOffset()] = b.LastSequence()
		records, errf := b.Records(1 << 20)
		for r := range records {
			got = append(got, written{Record: record.Record{Offset: r.Offset, Timestamp: r.Timestamp, Key: bytes.Clone(r.Key), Value: bytes.Clone(r.Value)}, marker: b.IsControl()})
			if r.Key != nil && r.Value != nil && len(r.Value) == 0 {
				got[len(got)-1].Value = []byte{}
			}
		}
		err = errors.Join(err, errf())
		return true
	})
	if err == nil && next != c.l.NextOffset() {
		err = fmt.Errorf("reading from %d ends at %d, the log at %d", from, next, c.l.NextOffset())
	}
	return got, heads, err
}

// verify compares what readers see with what was written.
func (c *changes) verify(t testing.TB) error {
	t.Helper()
	for _, from := range []int64{0, c.m.next / 3, c.m.next - 1, c.rnd.Int64N(c.m.next), c.rnd.Int64N(c.m.next)} {
		if err := c.verifyFrom(t, max(from, 0)); err != nil {
			return fmt.Errorf("from offset %d: %w", from, err)
		}
	}
	if err := c.verifyEntries(); err != nil {
		return err
	}
	if err := c.verifyTimes(); err != nil {
		return err
	}
	if err := c.verifyInspect(); err != nil {
		return err
	}
	return c.m.verifyIndexes(c.l)
}

func (c *changes) verifyFrom(t testing.TB, from int64) error {
	got, heads, err := c.read(from)
	if err != nil {
		return err
	}
	there := map[int64]bool{}
	last := int64(-1)
	for _, r := range got {
		want := c.records[r.Offset]
		if r.Offset <= last || r.Timestamp != want.Timestamp || r.marker != want.marker ||
			!r.marker && (!bytes.Equal(r.Key, want.Key) || !bytes.Equal(r.Value, want.Value) || (r.Value == nil) != (want.Value == nil)) {
			return fmt.Errorf("read %+v after %d, want %+v", r, last, want)
		}
		last = r.Offset
		there[r.Offset] = true
	}
	for i := from; i < c.m.next; i++ {
		if !there[i] && !c.mayBeGone(i) {
			return fmt.Errorf("offset %d is missing: %+v", i, c.records[i])
		}
		if r := c.records[i]; there[i] && !r.marker && r.txn >= 0 && c.txns[r.txn].last >= 0 && !there[c.txns[r.txn].last] {
			return fmt.Errorf("offset %d is there, the marker of its transaction at %d is not", i, c.txns[r.txn].last)
		}
	}
	if err := c.verifyAborted(got, there, from, c.aborted(t, from)); err != nil {
		return err
	}
	for id, base := range c.latest {
		if seq, ok := heads[base]; !ok && base >= from || ok && seq != c.seqs[id]-1 {
			return fmt.Errorf("the last batch of producer %d at %d is missing, or has another sequence: %d, want %d", id, base, seq, c.seqs[id]-1)
		}
	}
	return nil
}

// verifyAborted checks what a reader of committed transactions is told: of every one that was
// aborted and has records left, and of none without its marker, as that ends it for the reader.
func (c *changes) verifyAborted(got []written, there map[int64]bool, from int64, aborted []AbortedTransaction) error {
	for _, a := range aborted {
		if a.Last >= from && !there[a.Last] {
			return fmt.Errorf("the transaction %+v has no marker", a)
		}
	}
	for _, r := range got {
		want := c.records[r.Offset]
		if want.marker || want.txn < 0 || !c.txns[want.txn].abort {
			continue
		}
		if x := c.txns[want.txn]; !slices.ContainsFunc(aborted, func(a AbortedTransaction) bool {
			return a.ProducerID == x.producer && a.First <= r.Offset && r.Offset <= a.Last
		}) {
			return fmt.Errorf("offset %d belongs to an aborted transaction of producer %d that is not told of", r.Offset, x.producer)
		}
	}
	return nil
}

// mayBeGone reports whether compaction may have removed the record at an offset.
func (c *changes) mayBeGone(offset int64) bool {
	r := c.records[offset]
	expired := r.seen > 0 && c.now >= r.seen+testRetention
	switch {
	case r.seen == 0:
		return false
	case r.marker:
		return expired
	case r.Key == nil || r.txn >= 0 && c.txns[r.txn].abort || r.Value == nil && expired:
		return true
	}
	return c.superseded(r, c.m.next)
}

// superseded reports whether a later record below an offset has the key, and compaction may have
// seen it.
func (c *changes) superseded(r written, below int64) bool {
	for _, x := range c.records[r.Offset+1:] {
		if x.seen > 0 && x.Offset < below && !x.marker && bytes.Equal(x.Key, r.Key) && (x.txn < 0 || !c.txns[x.txn].abort) {
			return true
		}
	}
	return false
}

// verifyClean checks that below an offset nothing is left that compaction should have removed.
func (c *changes) verifyClean(below int64) error {
	got, _, err := c.read(0)
	if err != nil {
		return err
	}
	for _, r := range got {
		if want := c.records[r.Offset]; r.Offset < below && !r.marker && (c.superseded(want, below) || want.Key == nil || want.txn >= 0 && c.txns[want.txn].abort) {
			return fmt.Errorf("offset %d is still there: %+v", r.Offset, want)
		}
	}
	return nil
}

// verifyEntries compares the log's Raft side with the model.
func (c *changes) verifyEntries() error {
	if c.l.LastIndex() != c.m.nextIndex()-1 || c.l.NextOffset() != c.m.next {
		return fmt.Errorf("the log ends at entry %d, offset %d; want %d, %d", c.l.LastIndex(), c.l.NextOffset(), c.m.nextIndex()-1, c.m.next)
	}
	for i, want := range c.m.entries {
		index := uint64(i) + 1
		term, err := c.l.Term(index)
		if err != nil || term != want.Term {
			return fmt.Errorf("entry %d has term %d, %v; want %d", index, term, err, want.Term)
		}
		got, release, err := c.l.Entry(index)
		if err != nil {
			return err
		}
		err = sameEntry(got, want, index >= c.l.Dense())
		release()
		if err != nil {
			return fmt.Errorf("entry %d: %w", index, err)
		}
	}
	return nil
}

func sameEntry(got, want Entry, dense bool) error {
	switch {
	case got.Kind == KindRemoved && !dense && got.Term == want.Term && want.Kind != KindConfiguration && want.Kind != KindCommand:
		return nil
	case got.Kind != want.Kind || got.Term != want.Term || (dense || got.Kind != KindData) && !bytes.Equal(got.Data, want.Data):
		return fmt.Errorf("got %+v, want %+v", got, want)
	case got.Kind == KindData:
		if g, w := record.Batch(got.Data), record.Batch(want.Data); g.BaseOffset() != w.BaseOffset() || g.LastOffset() != w.LastOffset() {
			return fmt.Errorf("offsets %d to %d, want %d to %d", g.BaseOffset(), g.LastOffset(), w.BaseOffset(), w.LastOffset())
		}
	}
	return nil
}

func (c *changes) verifyTimes() error {
	got, _, err := c.read(0)
	if err != nil {
		return err
	}
	best := noOffset
	for _, r := range got {
		if r.Timestamp > best.Timestamp {
			best = TimestampOffset{Offset: r.Offset, Timestamp: r.Timestamp}
		}
	}
	if found, err := c.l.MaxTimestamp(c.m.next); err != nil || found.Offset != best.Offset {
		return fmt.Errorf("largest timestamp at %+v, %v; want %+v", found, err, best)
	}
	for range 20 {
		ts := 1_700_000_000_000 + c.rnd.Int64N(c.now-1_700_000_000_000)
		want := int64(-1)
		for _, r := range got {
			if r.Timestamp >= ts {
				want = r.Offset
				break
			}
		}
		if found, err := c.l.OffsetForTimestamp(ts, c.m.next); err != nil || found.Offset != want {
			return fmt.Errorf("time %d: %+v, %v; want %d", ts, found, err, want)
		}
	}
	return nil
}

func (c *changes) verifyInspect() error {
	indexes, err := CheckAborted(c.dir)
	if err != nil {
		return err
	}
	seq, errf := Inspect(c.dir)
	for s := range seq {
		indexes.See(s)
		if s.Kind == KindSegment {
			if !s.Batch.ValidCRC() {
				return fmt.Errorf("the header of %s is not shown as it is", s.Path)
			}
			continue
		}
		want := c.m.entries[s.Index-1]
		if s.Kind != want.Kind || uint64(s.Batch.LeaderEpoch()) != want.Term || s.Kind == KindData && s.Batch.BaseOffset() != record.Batch(want.Data).BaseOffset() {
			return fmt.Errorf("inspected entry %d is %v at offset %d, want %v", s.Index, s.Kind, s.Batch.BaseOffset(), want.Kind)
		}
	}
	damaged, err := indexes.Damaged()
	if len(damaged) > 0 {
		err = errors.Join(err, damaged[0])
	}
	return errors.Join(errf(), err)
}

// reopen opens the log again, as after a crash.
func (c *changes) reopen(t testing.TB) {
	t.Helper()
	c.l.Close()
	c.opts.Files, c.opts.Syncer = testOptions().Files, nil
	c.l = mustOpen(t, c.dir, c.opts)
}

// produceKey appends one record.
func (c *changes) produceKey(t testing.TB, key string) {
	t.Helper()
	c.now++
	w := record.NewBuilder(record.BuilderOptions{})
	r := record.Record{Offset: c.m.next, Timestamp: c.now, Key: []byte(key), Value: []byte("value")}
	w.Add(r)
	c.records = append(c.records, written{Record: r, txn: -1})
	c.append(t, KindData, w.Build())
}
