package log

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// flip damages a byte of a batch's content.
func flip(t *testing.T, path string, at int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[at] ^= 1
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestACutLogOpensWithWhatWasWholeBeforeTheDamage(t *testing.T) {
	st := store(t, 20)
	paths, err := segmentPaths(st.dir)
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d segments, %v", len(paths), err)
	}
	before := map[uint64]string{}
	last, at := uint64(0), int64(0)
	batches, _ := Inspect(st.dir)
	for s := range batches {
		if s.Kind != KindSegment {
			before[s.Index] = string(s.Batch)
		}
		if s.Path == paths[1] && s.Kind == KindData {
			last, at = s.Index-1, s.Position+int64(len(s.Batch))-1 // the last batch of the second file
		}
	}
	flip(t, paths[1], at)
	cut, _, err := FindCut(st.dir)
	if err != nil || cut == nil {
		t.Fatalf("%+v, %v", cut, err)
	}
	if cut.Path != paths[1] || len(cut.Dropped) != len(paths)-2 || cut.LastEntry != last || cut.Bytes == 0 || cut.Known <= cut.EndOffset || !strings.Contains(cut.Problem, "bad CRC") {
		t.Errorf("cut %+v", cut)
	}
	if err := cut.Make("1"); err != nil {
		t.Fatal(err)
	}
	l, c, err := Open(st.dir, testOptions())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if l.LastIndex() != last || c == nil || c.Index > last || l.NextOffset() != cut.EndOffset {
		t.Errorf("ends at %d, offset %d, checkpoint %+v", l.LastIndex(), l.NextOffset(), c)
	}
	batches, ended := Inspect(st.dir)
	for s := range batches {
		if s.Kind != KindSegment && before[s.Index] != string(s.Batch) {
			t.Errorf("entry %d has changed", s.Index)
		}
	}
	if err := ended(); err != nil {
		t.Error(err)
	}
	aside, _ := filepath.Glob(filepath.Join(st.dir, "*.cut-1"))
	if len(aside) != 1+len(cut.Dropped) {
		t.Errorf("set aside %v", aside)
	}
}

func TestALogThatEndsBeforeItsCheckpointIsCutToWhatThereIs(t *testing.T) {
	st := store(t, 30)
	path := filepath.Join(st.dir, st.last)
	if err := os.Truncate(path, st.ends[len(st.ends)-2]); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(st.dir, testOptions()); !errors.Is(err, ErrCorrupt) {
		t.Fatalf("open: %v", err)
	}
	cut, _, err := FindCut(st.dir)
	if err != nil || cut == nil || cut.Bytes != 0 || len(cut.Dropped) != 0 || cut.Known <= cut.EndOffset {
		t.Fatalf("cut %+v, %v", cut, err)
	}
	if err := cut.Make("1"); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, st.dir, testOptions())
	defer l.Close()
	if l.LastIndex() != cut.LastEntry {
		t.Errorf("ends at %d, want %d", l.LastIndex(), cut.LastEntry)
	}
}

func TestAWholeLogIsNotCut(t *testing.T) {
	st := store(t, 20)
	if cut, damaged, err := FindCut(st.dir); cut != nil || len(damaged) > 0 || err != nil {
		t.Errorf("cut %+v, %v, %v", cut, damaged, err)
	}
	paths, _ := segmentPaths(st.dir)
	flip(t, paths[0], 0)
	if _, _, err := FindCut(st.dir); !errors.Is(err, ErrNothingWhole) {
		t.Errorf("nothing whole: %v", err)
	}
}
