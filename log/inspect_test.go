package log

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"quorumlog/record"
)

func TestInspectSeesWhatIsStoredAndChangesNothing(t *testing.T) {
	st := store(t, 0)
	o := testOptions()
	o.SegmentBytes = 1200
	l := mustOpen(t, st.dir, o) // a broker has it open
	defer l.Close()
	before := snapshot(t, st.dir)
	seq, errf := Inspect(st.dir)
	segments, n := 0, 0
	for s := range seq {
		if s.Kind == KindSegment {
			segments++
			continue
		}
		e := st.m.entries[n]
		want := e.Data
		got := []byte(s.Batch)
		if s.Kind != KindData {
			got = s.Payload
		}
		if s.Index != e.Index || s.Kind != e.Kind || !bytes.Equal(got, want) {
			t.Fatalf("entry %d: %v of %d", e.Index, s.Kind, s.Index)
		}
		n++
	}
	if err := errf(); err != nil || n != len(st.m.entries) || segments != l.Segments() {
		t.Errorf("%d entries in %d segments, %v", n, segments, err)
	}
	if !bytes.Equal(before, snapshot(t, st.dir)) {
		t.Error("the directory changed")
	}
	seq, errf = Inspect(filepath.Join(st.dir, st.last))
	n = 0
	for range seq {
		n++
	}
	if errf() != nil || n != len(st.ends) {
		t.Errorf("one file: %d batches, %v", n, errf())
	}
}

// snapshot is all that the directory holds.
func snapshot(t *testing.T, dir string) []byte {
	var all []byte
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, f.Name()...), b...)
	}
	return all
}

func TestInspectNamesTheFirstProblem(t *testing.T) {
	st := store(t, 0)
	n := len(st.ends)
	for name, c := range map[string]struct {
		change func([]byte) []byte
		at     int64
	}{
		"bad CRC":    {func(b []byte) []byte { b[st.ends[n-1]-1] ^= 1; return b }, st.ends[n-2]},
		"torn batch": {func(b []byte) []byte { return b[:st.ends[n-1]-1] }, st.ends[n-2]},
		"garbage":    {func(b []byte) []byte { return append(b[:st.ends[n-1]], bytes.Repeat([]byte{7}, 99)...) }, st.ends[n-1]},
		"header":     {func(b []byte) []byte { b[70] ^= 1; return b }, 0},
	} {
		dir := st.copyOf(t)
		damage(t, filepath.Join(dir, st.last), c.change)
		seq, errf := Inspect(dir)
		for range seq {
		}
		var p *Problem
		if !errors.As(errf(), &p) || p.Position != c.at || filepath.Base(p.Path) != st.last {
			t.Errorf("%s: %v, want byte %d", name, errf(), c.at)
		}
	}
	dir := st.copyOf(t)
	files, _ := filepath.Glob(filepath.Join(dir, "*"+dataSuffix))
	os.Remove(files[1])
	seq, errf := Inspect(dir)
	for range seq {
	}
	var p *Problem
	if !errors.As(errf(), &p) || p.Path != files[2] {
		t.Errorf("a missing segment: %v", errf())
	}
	if _, errf := Inspect(filepath.Join(dir, "none")); errf() != nil {
		t.Error("an error before the walk")
	}
}

func FuzzNextWhole(f *testing.F) {
	b := batchOf(2, 5, 9)
	b.SetBaseOffset(4)
	b.SetLeaderEpoch(1)
	f.Add([]byte(b), int64(4), uint64(1))
	f.Add(appendControl(nil, 4, 2, controlKind+int16(KindNoop), []byte("x")), int64(4), uint64(1))
	f.Add(make([]byte, 100), int64(0), uint64(0))
	f.Fuzz(func(t *testing.T, p []byte, next int64, term uint64) {
		b, kind, why := nextWhole(p, next, term, false)
		if why != "" {
			return
		}
		if !b.ValidCRC() || b.BaseOffset() != next || uint64(b.LeaderEpoch()) < term || kind == KindData && b.NextOffset() <= next {
			t.Fatalf("%v accepted: %x", kind, []byte(b))
		}
	})
}

func FuzzControl(f *testing.F) {
	f.Add(appendControl(nil, 4, 2, controlKind+int16(KindConfiguration), []byte("members")))
	f.Add(segmentHeader{7, 3, false}.append(nil, 12))
	f.Fuzz(func(t *testing.T, p []byte) {
		b, _, err := record.Split(p)
		if err != nil {
			return
		}
		typ, payload, err := parseControl(b)
		if err == nil && !bytes.Contains(b, payload) {
			t.Fatal("a payload from elsewhere")
		}
		if err == nil && typ >= 0 {
			again := appendControl(nil, b.BaseOffset(), uint64(uint32(b.LeaderEpoch())), typ, payload)
			if typ2, payload2, err := parseControl(again); err != nil || typ2 != typ || !bytes.Equal(payload, payload2) {
				t.Fatalf("%d %x became %d %x, %v", typ, payload, typ2, payload2, err)
			}
		}
		parseSegmentHeader(b)
	})
}

func FuzzCheckpoint(f *testing.F) {
	f.Add(frameCheckpoint(checkpointFormat, []byte(`{"index":3}`)), false)
	f.Add([]byte(`{"index":3,"segments":[{"hidden":[1]}]}`), true)
	f.Fuzz(func(t *testing.T, p []byte, frame bool) {
		if frame {
			p = frameCheckpoint(checkpointFormat, p)
		}
		if c, err := parseCheckpoint(p); (c == nil) == (err == nil) {
			t.Fatal(c, err)
		}
	})
}

func FuzzTimes(f *testing.F) {
	f.Add(encodeTimes([]timeEntry{{5, 0}, {9, 3}}), int64(4))
	f.Fuzz(func(t *testing.T, p []byte, n int64) {
		last := int64(-1)
		for _, e := range decodeTimes(p, n) {
			if e.timestamp <= last || int64(e.ordinal) >= n {
				t.Fatal(e)
			}
			last = e.timestamp
		}
	})
}
