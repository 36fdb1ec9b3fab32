package log

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// stored is a log on disk with several segments, terms and hidden entries, and its model.
type stored struct {
	dir    string
	m      *model
	last   string  // data file of the last segment
	ends   []int64 // where each of its entries ends, the header first
	before int     // entries in earlier segments
}

// memoryDir is a directory in memory where there is one: thousands of crashes are to be tried.
func memoryDir(t testing.TB) string {
	dir, err := os.MkdirTemp("/dev/shm", "log-test-*") //nolint:usetesting // t.TempDir lies on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// store writes such a log; the checkpoint, if any, is of entry `checkpoint`.
func store(t testing.TB, checkpoint uint64) *stored {
	t.Helper()
	dir := memoryDir(t)
	o := testOptions()
	o.SegmentBytes = 1200
	l := mustOpen(t, dir, o)
	m := &model{first: 1}
	for i := range 30 {
		term := uint64(1 + i/7)
		e := m.add(term, KindData, batchOf(1+i%3, 20+i, int64(1000+i)))
		if i%7 == 0 {
			m.truncate(e.Index)
			e = m.add(term, KindNoop, nil)
		}
		if err := l.Append([]Entry{e}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if checkpoint > 0 {
		if err := l.WriteCheckpoint(Checkpoint{Index: checkpoint}); err != nil {
			t.Fatal(err)
		}
	}
	s := l.active()
	st := &stored{dir: dir, m: m, last: filepath.Base(s.path(dataSuffix)), ends: []int64{s.headerSize}, before: int(s.baseIndex - 1)}
	h, err := s.acquire()
	if err != nil {
		t.Fatal(err)
	}
	n := int(s.entries.Load())
	for i := range n {
		st.ends = append(st.ends, s.end(h, i, n))
	}
	h.free()
	if len(l.list()) < 3 || n < 4 {
		t.Fatalf("%d segments, %d entries in the last", len(l.list()), n)
	}
	l.Close()
	return st
}

// copyOf clones the directory as a crash would leave it.
func (st *stored) copyOf(t testing.TB) string {
	dir := memoryDir(t)
	if err := os.CopyFS(dir, os.DirFS(st.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

// upTo is the model of a log that was cut at a position of the last data file.
func (st *stored) upTo(pos int64) *model {
	m := &model{first: 1, entries: bytesClone(st.m.entries), next: st.m.next}
	n := st.before
	for i := 1; i < len(st.ends); i++ {
		if st.ends[i] <= pos {
			n++
		}
	}
	m.truncate(uint64(n) + 1)
	return m
}

func bytesClone(es []Entry) []Entry { return append([]Entry(nil), es...) }

// recovers opens the directory, which must give what the model says, and goes on appending.
func recovers(t *testing.T, dir string, m *model) bool {
	t.Helper()
	o := testOptions()
	o.SegmentBytes = 1200
	l, _, err := Open(dir, o)
	if err != nil {
		t.Error(err)
		return false
	}
	err = m.verify(l)
	for range 3 {
		if err == nil {
			err = l.Append([]Entry{m.add(9, KindData, batchOf(2, 30, 5000))})
		}
	}
	if err = errors.Join(err, l.Sync(), m.verify(l), l.Close()); err != nil {
		t.Error(err)
		return false
	}
	l = mustOpen(t, dir, o)
	defer l.Close()
	if err := m.verify(l); err != nil {
		t.Errorf("opened again: %v", err)
		return false
	}
	return true
}

func damage(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o644); err != nil {
		t.Fatal(err)
	}
}

// cutOrCorrupt opens a log whose last file was damaged at a byte: it must come back up to the
// last whole batch before, unless the checkpoint knows of more.
func (st *stored) cutOrCorrupt(t *testing.T, committed uint64, at int64, change func([]byte) []byte) {
	t.Helper()
	dir := st.copyOf(t)
	damage(t, filepath.Join(dir, st.last), change)
	m := st.upTo(at)
	if m.nextIndex()-1 < committed {
		o := testOptions()
		o.SegmentBytes = 1200
		if _, _, err := Open(dir, o); !errors.Is(err, ErrCorrupt) {
			t.Fatalf("byte %d: opened below the commit index: %v", at, err)
		}
		return
	}
	if !recovers(t, dir, m) {
		t.Fatalf("byte %d", at)
	}
}

func (st *stored) inEpoch(at int64) bool {
	for _, start := range st.ends {
		if at >= start+12 && at < start+16 {
			return true
		}
	}
	return false
}

func TestDataFileCutAtEveryByte(t *testing.T) {
	for _, committed := range []uint64{0, 10, 28} {
		st := store(t, committed)
		from, to := st.ends[len(st.ends)-3], st.ends[len(st.ends)-1]
		for at := from; at < to; at++ {
			st.cutOrCorrupt(t, committed, at, func(b []byte) []byte { return b[:at] })
		}
	}
}

func TestDataFileGarbledAtEveryByte(t *testing.T) {
	for _, committed := range []uint64{0, 10} {
		st := store(t, committed)
		from, to := st.ends[len(st.ends)-3], st.ends[len(st.ends)-1]
		for at := from; at < to; at++ {
			if !st.inEpoch(at) { // a higher leader epoch looks as good as the true one: no CRC covers it
				st.cutOrCorrupt(t, committed, at, func(b []byte) []byte { b[at] ^= 0x10; return b })
			}
		}
		for at := from; at < to; at += 17 {
			st.cutOrCorrupt(t, committed, at, func(b []byte) []byte { clear(b[at:]); return b })
			st.cutOrCorrupt(t, committed, at, func(b []byte) []byte { return append(b[:at], bytes.Repeat([]byte{0xa5}, 100)...) })
		}
	}
}

func TestStaleBatchesBeyondTheEndNeverComeBack(t *testing.T) {
	st := store(t, 10)
	n := len(st.ends)
	// The second last batch is lost; the last one still stands behind, and a new batch of just
	// the size of the lost one will be followed by it.
	dir := st.copyOf(t)
	damage(t, filepath.Join(dir, st.last), func(b []byte) []byte { clear(b[st.ends[n-3]:st.ends[n-2]]); return b })
	m := st.upTo(st.ends[n-3])
	lost := st.m.entries[len(m.entries)]
	o := testOptions()
	o.SegmentBytes = 1200
	l := mustOpen(t, dir, o)
	again := bytes.Clone(lost.Data)
	if err := l.Append([]Entry{m.add(lost.Term, lost.Kind, again)}); err != nil {
		t.Fatal(err)
	}
	l.Close()
	l = mustOpen(t, dir, o)
	defer l.Close()
	if err := m.verify(l); err != nil {
		t.Error(err)
	}
}

func TestDamagedIndexIsMadeAnew(t *testing.T) {
	for _, committed := range []uint64{0, 15, 30} {
		st := store(t, committed)
		files, _ := filepath.Glob(filepath.Join(st.dir, "*"+indexSuffix))
		if len(files) == 0 {
			t.Fatal("no index is in a file")
		}
		for _, f := range files {
			name := filepath.Base(f)
			try := func(change func(path string)) {
				t.Helper()
				dir := st.copyOf(t)
				change(filepath.Join(dir, name))
				if !recovers(t, dir, st.upTo(1<<40)) {
					t.FailNow()
				}
			}
			try(func(p string) { os.Remove(p) })
			for at := 0; at < indexHeaderSize+10*indexEntrySize; at += 5 {
				try(func(p string) { damage(t, p, func(b []byte) []byte { b[at] ^= 0x41; return b }) })
			}
			for _, at := range []int{0, 1, 15, 16, 17, 40, 4000} {
				try(func(p string) { os.Truncate(p, int64(at)) })
			}
		}
	}
}

func TestDamagedTimeIndexChangesNoAnswer(t *testing.T) {
	st := store(t, 30)
	for _, change := range []func([]byte) []byte{
		func([]byte) []byte { return nil },
		func(b []byte) []byte { return bytes.Repeat([]byte{0xff}, len(b)) },
		func(b []byte) []byte { b[len(b)-1] ^= 1; return b },
		func(b []byte) []byte { return b[:len(b)-5] },
	} {
		dir := st.copyOf(t)
		files, _ := filepath.Glob(filepath.Join(dir, "*"+timeSuffix))
		for _, f := range files {
			damage(t, f, change)
		}
		l := mustOpen(t, dir, testOptions())
		for ts := int64(1000); ts < 1035; ts++ {
			got, err := l.OffsetForTimestamp(ts, l.NextOffset())
			if err != nil {
				t.Fatal(err)
			}
			if want := st.m.offsetForTimestamp(ts); got.Offset != want {
				t.Errorf("timestamp %d is at %d, want %d", ts, got.Offset, want)
			}
		}
		l.Close()
	}
}

func (m *model) offsetForTimestamp(ts int64) int64 {
	for _, e := range m.entries {
		if e.Kind != KindData {
			continue
		}
		b := batchFrom(e.Data)
		records, _ := b.Records(1 << 20)
		for r := range records {
			if r.Timestamp >= ts {
				return r.Offset
			}
		}
	}
	return -1
}

func TestDamagedOrOldCheckpoint(t *testing.T) {
	st := store(t, 15)
	size := 0
	damage(t, filepath.Join(st.dir, checkpointFile), func(b []byte) []byte { size = len(b); return b })
	for at := 0; at < size; at += 11 {
		if at >= 4 && at < 6 {
			continue // the format: refused, below
		}
		dir := st.copyOf(t)
		damage(t, filepath.Join(dir, checkpointFile), func(b []byte) []byte { b[at] ^= 4; return b })
		if !recovers(t, dir, st.upTo(1<<40)) {
			t.Fatalf("byte %d", at)
		}
	}
	dir := st.copyOf(t)
	damage(t, filepath.Join(dir, checkpointFile), func(b []byte) []byte { b[5] = 9; return b })
	if _, _, err := Open(dir, testOptions()); !errors.Is(err, ErrFormat) {
		t.Errorf("a newer format: %v", err)
	}
	if dir = st.copyOf(t); os.Remove(filepath.Join(dir, checkpointFile)) != nil || !recovers(t, dir, st.upTo(1<<40)) {
		t.Error("without a checkpoint")
	}
}

func TestHalfCreatedSegmentIsDropped(t *testing.T) {
	for _, checkpoint := range []uint64{0, 20, 30} {
		testHalfCreatedSegment(t, store(t, checkpoint))
	}
}

func testHalfCreatedSegment(t *testing.T, st *stored) {
	hdr := segmentHeader{baseIndex: st.m.nextIndex(), prevTerm: st.m.lastTerm()}.append(nil, st.m.next)
	zeros := make([]byte, 16<<10)
	garbled := bytes.Clone(hdr)
	garbled[70] ^= 1
	for name, content := range map[string][]byte{
		"no bytes": {}, "zeros": zeros, "part of a header": hdr[:40], "only a header": hdr,
		"header and space": append(bytes.Clone(hdr), zeros...), "bad header": append(garbled, zeros...),
	} {
		dir := st.copyOf(t)
		if err := os.WriteFile(filepath.Join(dir, segmentStem(st.m.next)+dataSuffix), content, 0o644); err != nil {
			t.Fatal(err)
		}
		if !recovers(t, dir, st.upTo(1<<40)) {
			t.Error(name)
		}
	}
}

func TestDamageInAnEarlierSegmentIsNeverCutOff(t *testing.T) {
	st := store(t, 0) // no checkpoint at all: everything is read
	files, _ := filepath.Glob(filepath.Join(st.dir, "*"+dataSuffix))
	for _, f := range files[:len(files)-1] {
		for name, change := range map[string]func([]byte) []byte{
			"bit":    func(b []byte) []byte { b[len(b)-10] ^= 1; return b },
			"cut":    func(b []byte) []byte { return b[:len(b)-10] },
			"header": func(b []byte) []byte { b[65] ^= 1; return b },
		} {
			dir := st.copyOf(t)
			damage(t, filepath.Join(dir, filepath.Base(f)), change)
			before, _ := os.ReadDir(dir)
			if _, _, err := Open(dir, testOptions()); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s of %s: %v", name, filepath.Base(f), err)
			}
			if after, _ := os.ReadDir(dir); len(after) < len(before) {
				t.Errorf("%s: files were deleted", name)
			}
		}
	}
}

func TestSpaceNotGivenBackAtASealIsNoCut(t *testing.T) {
	st := store(t, 5)
	files, _ := filepath.Glob(filepath.Join(st.dir, "*"+dataSuffix))
	for _, f := range files[:len(files)-1] {
		dir := st.copyOf(t)
		damage(t, filepath.Join(dir, filepath.Base(f)), func(b []byte) []byte { return append(b, make([]byte, 5000)...) })
		if !recovers(t, dir, st.upTo(1<<40)) {
			t.Error(filepath.Base(f))
		}
	}
}

// A checkpoint must say nothing of entries that may still be replaced.
func TestCheckpointThenTruncationThenCrash(t *testing.T) {
	dir := t.TempDir()
	l := mustOpen(t, dir, testOptions())
	m := &model{first: 1}
	for range 6 {
		if err := l.Append([]Entry{m.add(1, KindData, batchOf(1, 50, 9_000_000))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.WriteCheckpoint(Checkpoint{Index: 3}); err != nil {
		t.Fatal(err)
	}
	m.truncate(4)
	if err := l.TruncateSuffix(4); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		if err := l.Append([]Entry{m.add(2, KindData, batchOf(3, 77, 7))}); err != nil {
			t.Fatal(err)
		}
	}
	l.Close()
	l = mustOpen(t, dir, testOptions())
	defer l.Close()
	if err := m.verify(l); err != nil {
		t.Error(err)
	}
	if e, end := l.EpochEnd(1); e != 1 || end != 3 {
		t.Errorf("epoch %d ends at %d", e, end)
	}
}
