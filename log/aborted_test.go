package log

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"quorumlog/record"
)

func transactional(id int64, n int) record.Batch {
	w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id, Sequence: -1}, Transactional: true})
	for range n {
		w.Add(record.Record{Timestamp: 50, Value: make([]byte, 40)})
	}
	return w.Build()
}

func abortion(id int64) record.Batch {
	return record.AppendMarker(nil, record.Marker{ProducerID: id}, 60)
}

// abortedLog is a closed log of several segments with aborted transactions, and those that its
// checkpoint speaks of.
func abortedLog(t *testing.T) (dir string, stored []AbortedTransaction) {
	t.Helper()
	dir = filepath.Join(memoryDir(t), "p")
	o := testOptions()
	o.SegmentBytes = 1200
	l := mustOpen(t, dir, o)
	table, index := NewProducers(nil), uint64(0)
	write := func(b record.Batch) {
		t.Helper()
		index++
		if err := l.Append([]Entry{{Index: index, Term: 1, Kind: KindData, Data: b}}); err != nil {
			t.Fatal(err)
		}
		if a, ok := table.Apply(b); ok {
			stored = append(stored, a)
		}
	}
	for i := range int64(12) {
		write(transactional(i%4, 2))
		write(batchOf(1, 30, 77))
		if i%2 == 1 {
			write(abortion((i + 1) % 4))
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	// In two steps, the first of which speaks of a part.
	half := len(stored) / 2
	for _, part := range [][]AbortedTransaction{stored[:half], stored[half:]} {
		c := Checkpoint{Index: index, Term: 1, Producers: table.Snapshot(), Aborted: part}
		if err := l.WriteCheckpoint(c); err != nil {
			t.Fatal(err)
		}
	}
	if l.Segments() < 4 {
		t.Fatalf("%d segments", l.Segments())
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, stored
}

// abortedAre opens the log and compares its aborted transactions.
func abortedAre(t *testing.T, dir string, want []AbortedTransaction) {
	t.Helper()
	o := testOptions()
	o.SegmentBytes = 1200
	l, _, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := l.Aborted(0, l.NextOffset())
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("got  %+v\nwant %+v", got, want)
	}
}

func TestIndexOfAbortedTransactionsSurvivesACutAtEveryByte(t *testing.T) {
	dir, stored := abortedLog(t)
	paths, err := filepath.Glob(filepath.Join(dir, "*"+abortedSuffix))
	if err != nil || len(paths) < 2 {
		t.Fatalf("%d indexes, %v", len(paths), err)
	}
	for _, path := range paths {
		whole, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		put := func(b []byte) {
			t.Helper()
			if err := os.WriteFile(path, b, 0o644); err != nil {
				t.Fatal(err)
			}
			abortedAre(t, dir, stored)
			if again, err := os.ReadFile(path); err != nil || !bytes.Equal(again[:len(whole)], whole) {
				t.Fatalf("made anew:\n%x, %v\nwas\n%x", again, err, whole)
			}
		}
		for n := range whole {
			put(whole[:n])
			flipped := bytes.Clone(whole)
			flipped[n] ^= 4
			if n != 4 && n != 5 { // the format's number: another version's file is refused
				put(flipped)
			}
			put(append(bytes.Clone(whole), whole[:n]...)) // of a checkpoint that was not finished
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		abortedAre(t, dir, stored)
	}
}

func TestIndexOfAnotherFormatIsRefused(t *testing.T) {
	dir, _ := abortedLog(t)
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+abortedSuffix))
	b, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	b[5]++
	if err := os.WriteFile(paths[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, dir, testOptions())
	defer l.Close()
	if _, err := l.Aborted(0, 100); !errors.Is(err, ErrFormat) {
		t.Errorf("%v", err)
	}
}

func TestAReaderLearnsOfTheAbortedTransactionsInItsOffsets(t *testing.T) {
	dir, stored := abortedLog(t)
	l := mustOpen(t, dir, testOptions())
	defer l.Close()
	for from := range l.NextOffset() {
		for limit := from; limit <= l.NextOffset(); limit++ {
			var want []AbortedTransaction
			for _, a := range stored {
				if a.Last >= from && a.First < limit {
					want = append(want, a)
				}
			}
			if got, err := l.Aborted(from, limit); err != nil || !slices.Equal(got, want) {
				t.Fatalf("in [%d,%d): %v\ngot  %+v\nwant %+v", from, limit, err, got, want)
			}
		}
	}
}

func TestAnIndexThatIsDamagedWhileItIsUsedIsMadeAnew(t *testing.T) {
	dir, stored := abortedLog(t)
	l := mustOpen(t, dir, testOptions())
	defer l.Close()
	for range 2 {
		if got, err := l.Aborted(0, l.NextOffset()); err != nil || !slices.Equal(got, stored) {
			t.Fatalf("%+v, %v", got, err)
		}
		paths, _ := filepath.Glob(filepath.Join(dir, "*"+abortedSuffix))
		for _, path := range paths {
			if err := os.Truncate(path, abortedHeaderSize+5); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRetentionRemovesAnIndexWithItsSegment(t *testing.T) {
	dir, stored := abortedLog(t)
	o := testOptions()
	o.SegmentBytes = 1200
	l := mustOpen(t, dir, o)
	start := stored[1].Last + 1
	l.SetStart(start)
	if _, err := l.Retain(Retention{-1, -1}, l.NextOffset()); err != nil {
		t.Fatal(err)
	}
	first := l.list()[0].baseOffset
	paths, _ := filepath.Glob(filepath.Join(dir, "*"+abortedSuffix))
	for _, path := range paths {
		if base, _ := parseStem(filepath.Base(path[:len(path)-len(abortedSuffix)]) + dataSuffix); base < first {
			t.Errorf("%s is still there", path)
		}
	}
	got, err := l.Aborted(start, l.NextOffset())
	if err = errors.Join(err, l.Close()); err != nil {
		t.Fatal(err)
	}
	for _, a := range stored {
		if a.Last >= start && !slices.Contains(got, a) {
			t.Errorf("%+v is not found any more", a)
		}
	}
}

func FuzzAborted(f *testing.F) {
	b := appendAbortedHeader(nil, 12)
	f.Add(b, int64(12), int64(1000))
	b = AbortedTransaction{5, 10, 17, 9}.append(b)
	f.Add(AbortedTransaction{6, 20, 27, 19}.append(b), int64(12), int64(1000))
	f.Fuzz(func(t *testing.T, b []byte, base, end int64) {
		n, last, err := scanRecords(bytes.NewReader(b), base, end)
		if err != nil && n > 0 || n > 0 && (last < base || last >= end) || n < 0 {
			t.Fatalf("%d records to offset %d: %v", n, last, err)
		}
		again := appendAbortedHeader(nil, base)
		for i := range n {
			a, err := decodeAborted(b[abortedHeaderSize+i*abortedSize:][:abortedSize])
			if err != nil {
				t.Fatal(err)
			}
			again = a.append(again)
		}
		if n > 0 && !bytes.HasPrefix(b, again) {
			t.Fatalf("%x is read as %x", b, again)
		}
	})
}

func TestIndexOfAbortedTransactionsTravelsWithTheSegments(t *testing.T) {
	dir, stored := abortedLog(t)
	o := testOptions()
	o.SegmentBytes = 1200
	from := mustOpen(t, dir, o)
	defer from.Close()
	c := &Checkpoint{Index: from.LastIndex(), Term: 1}
	if err := from.Describe(c); err != nil {
		t.Fatal(err)
	}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if c, err = DecodeCheckpoint(b); err != nil {
		t.Fatal(err)
	}
	own := mustOpen(t, filepath.Join(memoryDir(t), "p"), o)
	in, err := Receive(own.Dir(), c, own.opts)
	if err != nil {
		t.Fatal(err)
	}
	// One that is damaged on the way is refused.
	missing, err := in.Missing(own)
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(c.Parts(), func(p Part) bool { return p.Aborted })
	f, err := from.OpenPart(c.Parts()[i])
	if err != nil {
		t.Fatal(err)
	}
	whole := make([]byte, c.Parts()[i].Size)
	if _, err := io.ReadFull(f, whole); err != nil {
		t.Fatal(err)
	}
	f.Close()
	for n := range whole {
		bad := bytes.Clone(whole)
		bad[n] ^= 1
		if err := in.Write(i, missing[i], bytes.NewReader(bad)); err == nil {
			t.Fatalf("byte %d is wrong, and nobody minds", n)
		}
	}
	ship(t, from, c, in, own)
	own.Close()
	if err := in.Install(own); err != nil {
		t.Fatal(err)
	}
	abortedAre(t, own.Dir(), stored)
}
