package log

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"quorumlog/record"
)

// model is what a log should hold: the entries, and the rules, in the simplest form.
type model struct {
	first   uint64 // Raft index of entries[0]
	entries []Entry
	next    int64 // offset
}

// batchOf returns a batch of n records, unnumbered.
func batchOf(n, size int, ts int64) record.Batch {
	w := record.NewBuilder(record.BuilderOptions{})
	for i := range n {
		w.Add(record.Record{Timestamp: ts + int64(i), Value: bytes.Repeat([]byte{byte(ts)}, size)})
	}
	return w.Build()
}

func (m *model) nextIndex() uint64 { return m.first + uint64(len(m.entries)) }

func (m *model) lastTerm() uint64 {
	if len(m.entries) == 0 {
		return 1
	}
	return m.entries[len(m.entries)-1].Term
}

// add makes an entry for the log and remembers what should become of it.
func (m *model) add(term uint64, kind Kind, data []byte) Entry {
	e := Entry{Index: m.nextIndex(), Term: term, Kind: kind, Data: data}
	kept := e
	kept.Data = bytes.Clone(data)
	if kind == KindData {
		b := record.Batch(kept.Data)
		b.SetBaseOffset(m.next)
		b.SetLeaderEpoch(int32(term))
		m.next = b.NextOffset()
	}
	m.entries = append(m.entries, kept)
	return e
}

func (m *model) truncate(from uint64) {
	for m.nextIndex() > from {
		e := m.entries[len(m.entries)-1]
		if e.Kind == KindData {
			m.next = record.Batch(e.Data).BaseOffset()
		}
		m.entries = m.entries[:len(m.entries)-1]
	}
}

// verify compares the log with the model's entries, and its reads with theirs.
func (m *model) verify(l *Log) error {
	if l.LastIndex() != m.nextIndex()-1 || l.NextOffset() != m.next {
		return fmt.Errorf("the log ends at entry %d, offset %d; want %d, %d", l.LastIndex(), l.NextOffset(), m.nextIndex()-1, m.next)
	}
	var want []byte
	for i, e := range m.entries {
		if idx := m.first + uint64(i); idx >= l.FirstIndex() {
			got, release, err := l.Entry(idx)
			if err != nil {
				return err
			}
			same := got.Index == idx && got.Term == e.Term && got.Kind == e.Kind && bytes.Equal(got.Data, e.Data)
			release()
			if !same {
				return fmt.Errorf("entry %d: got %+v, want %+v", idx, got, e)
			}
		}
		if e.Kind == KindData && record.Batch(e.Data).LastOffset() >= l.StartOffset() {
			want = append(want, e.Data...)
		}
	}
	var got []byte
	if err := l.Batches(l.StartOffset(), l.NextOffset(), func(b record.Batch) bool {
		got = append(got, b...)
		return true
	}); err != nil {
		return err
	}
	if !bytes.Equal(got, want) {
		return fmt.Errorf("reading gives %d bytes, want %d", len(got), len(want))
	}
	return m.verifyIndexes(l)
}

// verifyIndexes compares every segment's index with one rebuilt from its data.
func (m *model) verifyIndexes(l *Log) error {
	for _, s := range l.list() {
		h, err := s.acquire()
		if err != nil {
			return err
		}
		err = func() error {
			pos, next, term := s.headerSize, s.baseOffset, s.prevTerm
			for i := range int(s.entries.Load()) {
				b, kind, why := s.nextWhole(h.data[pos:s.size.Load()], next, term)
				if why != "" {
					return errors.New(why)
				}
				term = uint64(b.LeaderEpoch())
				if want := (slot{uint32(pos), uint32(b.BaseOffset() - s.baseOffset), uint32(term), kind}); h.index.at(i) != want {
					return fmt.Errorf("%s: record %d is %v, want %v", s.path(indexSuffix), i, h.index.at(i), want)
				}
				pos += int64(len(b))
				if kind == KindData {
					next = b.NextOffset()
				}
			}
			if s.compacted {
				b, kind, why := s.nextWhole(h.data[pos:s.size.Load()], next, term)
				if kind != kindMap {
					return fmt.Errorf("%s: %v at its end, %s", s.path(dataSuffix), kind, why)
				}
				pos, term = pos+int64(len(b)), uint64(b.LeaderEpoch())
			}
			if pos != s.size.Load() || next != s.nextOffset.Load() || term != s.endTerm {
				return fmt.Errorf("%s ends at byte %d, offset %d, term %d; the segment says %d, %d, %d", s.path(dataSuffix), pos, next, term, s.size.Load(), s.nextOffset.Load(), s.endTerm)
			}
			if got := h.index.checksum(int(s.entries.Load())); got != s.indexCRC {
				return fmt.Errorf("%s: checksum %x, the segment says %x", s.path(indexSuffix), got, s.indexCRC)
			}
			return nil
		}()
		h.free()
		if err != nil {
			return err
		}
	}
	return nil
}

// readsAgree compares one read with what the model says about it.
func (m *model) readsAgree(l *Log, from, limit int64, max int, oneAtLeast bool) error {
	v, err := l.Read(from, limit, max, oneAtLeast)
	if from < l.StartOffset() || from > m.next {
		if !errors.Is(err, ErrOutOfRange) {
			return fmt.Errorf("read at %d of [%d,%d]: %v", from, l.StartOffset(), m.next, err)
		}
		return nil
	}
	if err != nil {
		return err
	}
	defer v.Release()
	next, n := from, 0
	for _, sec := range v.Sections {
		for rest := sec.Mem; len(rest) > 0; {
			var b record.Batch
			if b, rest, err = record.Split(rest); err != nil {
				return err
			}
			if n == 0 && (b.BaseOffset() > next || b.LastOffset() < next) || n > 0 && b.BaseOffset() != next {
				return fmt.Errorf("read at %d: batch [%d,%d] where %d was due", from, b.BaseOffset(), b.LastOffset(), next)
			}
			if b.LastOffset() >= limit {
				return fmt.Errorf("read at %d below %d: batch up to %d", from, limit, b.LastOffset())
			}
			next, n = b.NextOffset(), n+1
		}
	}
	if n > 0 && v.Next != next {
		return fmt.Errorf("read at %d ends at %d, says %d", from, next, v.Next)
	}
	if v.Size > max && !(oneAtLeast && n == 1) {
		return fmt.Errorf("read at %d: %d bytes where %d are allowed", from, v.Size, max)
	}
	for _, e := range m.entries { // is there a batch it should have found?
		if e.Kind != KindData || n > 0 {
			continue
		}
		if b := record.Batch(e.Data); b.LastOffset() >= from && b.BaseOffset() <= from && b.LastOffset() < limit && (oneAtLeast || len(b) <= max) {
			return fmt.Errorf("read at %d below %d of %d bytes found nothing", from, limit, max)
		}
	}
	return nil
}

// testOptions are of logs whose segments and indexes in memory are small.
func testOptions() Options {
	files := NewFiles(0)
	files.smallIndexData = 1 << 10
	return Options{Files: files, SegmentBytes: 4 << 10, Now: func() time.Time { return time.UnixMilli(1_700_000_000_000) }}
}

func mustOpen(t testing.TB, dir string, o Options) *Log {
	t.Helper()
	l, _, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Any order of operations leaves the log as the model says. The seed is printed with a failure.
func TestLogBehavesLikeTheModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	for round := range uint64(12) {
		dir := memoryDir(t)
		if round == 0 {
			dir = t.TempDir()
		}
		if err := runModel(dir, seed+round, 250); err != nil {
			t.Fatalf("seed %d: %v", seed+round, err)
		}
	}
}

func runModel(dir string, seed uint64, steps int) error {
	rnd := rand.New(rand.NewPCG(seed, 1))
	o := testOptions()
	o.Files = NewFiles(2)
	o.Files.smallIndexData = int64(seed % 3 * 1000)
	l, _, err := Open(dir, o)
	if err != nil {
		return err
	}
	defer func() {
		if l != nil {
			l.Close()
		}
	}()
	m := &model{first: 1}
	committed := uint64(0) // Raft index: nothing at or below it is truncated
	term := uint64(1)
	hw := func() int64 {
		next := int64(0)
		for i, e := range m.entries {
			if m.first+uint64(i) <= committed && e.Kind == KindData {
				next = record.Batch(e.Data).NextOffset()
			}
		}
		return next
	}
	for step := range steps {
		switch op := rnd.IntN(20); {
		case op < 9:
			var es []Entry
			for range 1 + rnd.IntN(5) {
				if rnd.IntN(6) == 0 {
					term += uint64(rnd.IntN(2))
					es = append(es, m.add(term, KindNoop+Kind(rnd.IntN(4)), make([]byte, rnd.IntN(20))))
				} else {
					es = append(es, m.add(term, KindData, batchOf(1+rnd.IntN(4), rnd.IntN(300), rnd.Int64N(1e12))))
				}
			}
			err = l.Append(es)
		case op < 11:
			err = l.Sync()
		case op < 13:
			committed += uint64(rnd.Int64N(int64(m.nextIndex() - committed)))
		case op < 15:
			from := committed + 1 + uint64(rnd.Int64N(int64(m.nextIndex()-committed)))
			m.truncate(from)
			term++
			err = l.TruncateSuffix(from)
		case op == 15:
			if e := hw(); e > 0 {
				l.SetStart(rnd.Int64N(e + 1))
			}
		case op == 16:
			err = l.WriteCheckpoint(Checkpoint{Index: committed, StartOffset: l.StartOffset()})
		case op == 17:
			_, err = l.Retain(Retention{Ms: -1, Bytes: int64(8<<10 + rnd.IntN(20<<10))}, hw())
		case op == 18:
			start := l.StartOffset()
			l.Close()
			if l, _, err = Open(dir, o); err == nil && l.StartOffset() < start {
				l.SetStart(start) // the state machine replays it
			}
		default:
			err = l.WriteCheckpoint(Checkpoint{Index: committed, StartOffset: l.StartOffset()})
			for k := 0; k < 20 && err == nil; k++ {
				err = m.readsAgree(l, rnd.Int64N(m.next+2), rnd.Int64N(m.next+3), rnd.IntN(3000), rnd.IntN(2) == 0)
			}
		}
		if err == nil && step%5 == 0 {
			err = m.verify(l)
		}
		if err != nil {
			return fmt.Errorf("step %d: %w", step, err)
		}
	}
	return m.verify(l)
}

func TestReadsAtEveryOffsetAndLimit(t *testing.T) {
	for _, hidden := range []string{"first", "last", "between", "none"} {
		t.Run(hidden, func(t *testing.T) {
			o := testOptions()
			o.SegmentBytes = 600
			l := mustOpen(t, t.TempDir(), o)
			defer l.Close()
			m := &model{first: 1}
			if err := m.readsAgree(l, 0, 0, 100, true); err != nil {
				t.Error(err)
			}
			var es []Entry
			for i := range 8 {
				if hidden == "first" && i == 0 || hidden == "between" {
					es = append(es, m.add(uint64(1+i), KindNoop, nil))
				}
				es = append(es, m.add(uint64(1+i), KindData, batchOf(1+i%3, 40, 5)))
			}
			if hidden == "last" {
				es = append(es, m.add(9, KindBarrier, nil))
			}
			if err := l.Append(es); err != nil {
				t.Fatal(err)
			}
			for from := range m.next + 2 {
				for limit := range m.next + 2 {
					for _, max := range []int{0, 120, 121, 400, 1 << 20} {
						for _, one := range []bool{true, false} {
							if err := m.readsAgree(l, from, limit, max, one); err != nil {
								t.Fatal(err)
							}
						}
					}
				}
			}
			l.SetStart(2) // inside of the second batch
			if err := m.verify(l); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestEntriesThatDoNotContinueAreRefused(t *testing.T) {
	l := mustOpen(t, t.TempDir(), testOptions())
	defer l.Close()
	b := batchOf(1, 1, 1)
	b.SetBaseOffset(7)
	for name, es := range map[string][]Entry{
		"index":   {{Index: 2, Term: 1, Kind: KindData, Data: batchOf(1, 1, 1)}},
		"offset":  {{Index: 1, Term: 1, Kind: KindData, Data: b}},
		"gap":     {{Index: 1, Term: 1, Kind: KindNoop}, {Index: 3, Term: 1, Kind: KindNoop}},
		"nothing": {{Index: 1, Term: 1, Kind: KindData, Data: []byte{1, 2}}},
	} {
		if err := l.Append(es); !errors.Is(err, ErrMismatch) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if l.LastIndex() != 0 {
		t.Error("something was appended")
	}
}

func TestFullDiskLeavesTheLogAsItWas(t *testing.T) {
	full := false
	o := testOptions()
	o.SegmentBytes = 1 << 20
	o.Files.allocate = func(f *os.File, off, n int64) error {
		if full {
			return fmt.Errorf("no space left")
		}
		return allocate(f, off, n)
	}
	dir := t.TempDir()
	l := mustOpen(t, dir, o)
	m := &model{first: 1}
	if err := l.Append([]Entry{m.add(1, KindData, batchOf(1, 100, 1))}); err != nil {
		t.Fatal(err)
	}
	l.SetLimits(20<<10, 0)
	var es []Entry // fits the space that is left, then needs a segment
	for range 30 {
		es = append(es, Entry{Index: m.nextIndex() + uint64(len(es)), Term: 1, Kind: KindData, Data: batchOf(1, 1000, 2)})
	}
	full = true
	for _, n := range []int{18, 30} {
		if err := l.Append(es[:n]); err == nil || errors.Is(err, ErrFailed) {
			t.Fatalf("%d entries: %v", n, err)
		}
		if err := m.verify(l); err != nil {
			t.Fatal(err)
		}
		for i := range es {
			es[i].Data = batchOf(1, 1000, 2)
		}
	}
	full = false
	for range 30 {
		if err := l.Append([]Entry{m.add(1, KindData, batchOf(1, 1000, 3))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(l.Sync(), m.verify(l), l.Close()); err != nil {
		t.Fatal(err)
	}
	l = mustOpen(t, dir, o)
	defer l.Close()
	if err := m.verify(l); err != nil {
		t.Error(err)
	}
}

func batchFrom(b []byte) record.Batch { return record.Batch(b) }
