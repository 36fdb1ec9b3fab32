package log

import (
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"testing"

	"quorumlog/record"
)

// vacated deletes a file of so many steps, with more done before its name goes, and returns the sizes
// that it had between the steps.
func vacated(t *testing.T, steps int, before func(path string) func(size int64)) (sizes []int64) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("files go at once here")
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, bytes.Repeat([]byte("x"), steps*vacateStep), 0o644); err != nil {
		t.Fatal(err)
	}
	look := before(path)
	files := openLarge(path)
	if len(files) != 1 {
		t.Fatal("not opened")
	}
	watch, done := files[0], make(chan struct{})
	v := &vacating{}
	v.rest = func() {
		st, err := watch.Stat()
		if err != nil {
			t.Error(err)
		}
		sizes = append(sizes, st.Size())
		look(st.Size())
		if st.Size() == 0 {
			close(done)
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	v.vacate(files)
	<-done
	return sizes
}

func TestDeletedFilesGoLittleByLittle(t *testing.T) {
	sizes := vacated(t, 6, func(string) func(int64) { return func(int64) {} })
	want := []int64{5 * vacateStep, 4 * vacateStep, 3 * vacateStep, 2 * vacateStep, vacateStep, 0}
	if !slices.Equal(sizes, want) {
		t.Errorf("sizes %v, want %v", sizes, want)
	}
}

func TestDeletedFilesStayWholeWhileTheyAreRead(t *testing.T) {
	rests := 0
	vacated(t, 6, func(path string) func(int64) {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return func(size int64) {
			if rests++; rests == 3 {
				f.Close()
			} else if rests < 3 && size != 6*vacateStep {
				t.Errorf("%d bytes while a reader has it open", size)
			}
		}
	})
	if rests < 3+6 {
		t.Errorf("%d rests", rests)
	}
}

func TestFilesWithAnotherNameAreNotVacated(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, make([]byte, 2*vacateWhole), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Link(path, path+"2"); err != nil {
		t.Fatal(err)
	}
	v := &vacating{}
	files := openLarge(path)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	v.vacate(files)
	if v.running || len(v.queue) > 0 {
		t.Error("it is being vacated")
	}
	if st, err := os.Stat(path + "2"); err != nil || st.Size() != 2*vacateWhole {
		t.Error(st, err)
	}
}

// Retention and compaction delete large segments while a view of them is held.
func TestViewsOfDeletedSegmentsStayWhole(t *testing.T) {
	o := testOptions()
	o.SegmentBytes = 6 << 20
	l := mustOpen(t, t.TempDir(), o)
	defer l.Close()
	w := record.NewBuilder(record.BuilderOptions{})
	w.Add(record.Record{Key: []byte("k"), Value: bytes.Repeat([]byte("v"), 1<<20)})
	batch := unnumbered(w.Build())
	for i := range uint64(14) {
		if err := l.Append([]Entry{{Index: i + 1, Term: 1, Kind: KindData, Data: slices.Clone(batch)}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	if err := l.WriteCheckpoint(Checkpoint{Index: 14, Term: 1}); err != nil {
		t.Fatal(err)
	}
	e, release, err := l.Entry(1)
	if err != nil {
		t.Fatal(err)
	}
	rested := make(chan struct{})
	once := 0
	l.opts.Files.vacating.rest = func() {
		if once++; once == 3 {
			close(rested)
		}
		runtime.Gosched()
	}
	freed, err := l.Retain(Retention{Ms: -1, Bytes: 1}, l.NextOffset())
	if err != nil || freed < 6<<20 {
		t.Fatal(freed, err)
	}
	<-rested
	if !record.Batch(e.Data).ValidCRC() {
		t.Error("the batch has changed under its reader")
	}
	release()
}
