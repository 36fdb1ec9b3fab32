package log

import (
	"bytes"
	"sync"
	"testing"
	"time"
)

const day = 24 * 3600 * 1000

// aged is a log of five sealed segments and an active one, whose records are of days 1 to 6.
func aged(t testing.TB, now *int64) *Log {
	t.Helper()
	o := testOptions()
	o.Now = func() time.Time { return time.UnixMilli(*now) }
	o.SegmentBytes = 1000
	l := mustOpen(t, memoryDir(t), o)
	t.Cleanup(func() { l.Close() })
	m := &model{first: 1}
	for d := range int64(6) {
		if err := l.Append([]Entry{m.add(1, KindData, batchOf(1, 850, (d+1)*day))}); err != nil {
			t.Fatal(err)
		}
	}
	if l.Segments() != 6 {
		t.Fatalf("%d segments", l.Segments())
	}
	return l
}

func TestRetention(t *testing.T) {
	one := aged(t, new(int64)).list()[0].size.Load()
	for name, c := range map[string]struct {
		now        int64
		r          Retention
		committed  int64
		checkpoint uint64
		start      int64 // the log start set before
		want       int64 // log start afterwards
	}{
		"nothing is old":               {7 * day, Retention{7 * day, -1}, 6, 6, 0, 0},
		"two days are":                 {9*day + 1, Retention{7 * day, -1}, 6, 6, 0, 2},
		"not on the very hour":         {9 * day, Retention{7 * day, -1}, 6, 6, 0, 1},
		"everything is":                {99 * day, Retention{7 * day, -1}, 6, 6, 0, 6},
		"not what is uncommitted":      {99 * day, Retention{7 * day, -1}, 3, 6, 0, 3},
		"not what no checkpoint knows": {99 * day, Retention{7 * day, -1}, 6, 2, 0, 2},
		"the clock went back":          {0, Retention{7 * day, -1}, 6, 6, 0, 0},
		"far before all records":       {-99 * day, Retention{day, -1}, 6, 6, 0, 0},
		"no limit":                     {99 * day, Retention{-1, -1}, 6, 6, 0, 0},
		"too much by one":              {0, Retention{-1, 5 * one}, 6, 6, 0, 1},
		"too much by less":             {0, Retention{-1, 5*one + 1}, 6, 6, 0, 0},
		"below the log start":          {0, Retention{-1, -1}, 6, 6, 3, 3},
	} {
		now := c.now
		l := aged(t, &now)
		if err := l.WriteCheckpoint(Checkpoint{Index: c.checkpoint}); err != nil {
			t.Fatal(err)
		}
		l.SetStart(c.start)
		freed, err := l.Retain(c.r, c.committed)
		if err != nil || l.StartOffset() != c.want || freed != c.want*one {
			t.Errorf("%s: the log starts at %d, want %d; %d bytes freed, %v", name, l.StartOffset(), c.want, freed, err)
		}
		if first := l.FirstIndex(); first != uint64(c.want)+1 {
			t.Errorf("%s: first index %d", name, first)
		}
	}
}

func TestReadersKeepTheFilesOfARemovedSegment(t *testing.T) {
	now := int64(99 * day)
	l := aged(t, &now)
	v, err := l.Read(0, 6, 1<<20, true)
	if err != nil {
		t.Fatal(err)
	}
	defer v.Release()
	want := bytes.Clone(v.Sections[0].Mem)
	if err := l.WriteCheckpoint(Checkpoint{Index: 6}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Retain(Retention{day, -1}, 6); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(want))
	if _, err := v.Sections[0].File.ReadAt(got, v.Sections[0].Off); err != nil || !bytes.Equal(got, want) || !bytes.Equal(v.Sections[0].Mem, want) {
		t.Errorf("%v", err)
	}
}

func TestSegmentsRollByTheTimeBetweenRecords(t *testing.T) {
	now := int64(100 * day)
	o := testOptions()
	o.SegmentMs, o.Now = day, func() time.Time { return time.UnixMilli(now) }
	l := mustOpen(t, memoryDir(t), o)
	defer l.Close()
	m := &model{first: 1}
	for _, c := range []struct {
		clock, ts int64
		segments  int
	}{
		{0, 50 * day, 1},
		{10 * day, 50*day + 1, 1}, // a clock that jumps rolls nothing
		{-99 * day, 51 * day, 1},  // just a day later
		{0, 51*day + 1, 2},        // more
		{0, 10 * day, 2},          // an old record
		{0, 53 * day, 3},
	} {
		now += c.clock
		if err := l.Append([]Entry{m.add(1, KindData, batchOf(1, 10, c.ts))}); err != nil {
			t.Fatal(err)
		}
		if l.Segments() != c.segments {
			t.Errorf("timestamp %d: %d segments, want %d", c.ts, l.Segments(), c.segments)
		}
	}
}

// One writer appends, truncates, rolls and retains while readers read what is committed, with
// too few open files for all.
func TestReadersRaceWithTheWriter(t *testing.T) {
	now := int64(0)
	o := testOptions()
	o.Files = NewFiles(1)
	o.SegmentBytes = 2000
	o.Now = func() time.Time { return time.UnixMilli(now) }
	l := mustOpen(t, memoryDir(t), o)
	defer l.Close()
	m := &model{first: 1}
	var wg sync.WaitGroup
	var mu sync.Mutex
	committed, done := int64(0), false
	state := func() (int64, bool) { mu.Lock(); defer mu.Unlock(); return committed, done }
	for r := range 4 {
		wg.Go(func() {
			for {
				hw, done := state()
				from := l.StartOffset()
				if r%2 == 0 {
					from = max(from, hw-20)
				}
				v, err := l.Read(from, hw, 700+r*500, true)
				if err == nil {
					for _, s := range v.Sections {
						for rest := s.Mem; len(rest) > 0; {
							b := batchFrom(rest)
							n := int(b.LastOffset() - b.BaseOffset())
							size := 12 + int(rest[8])<<24 + int(rest[9])<<16 + int(rest[10])<<8 + int(rest[11])
							if b = b[:size]; !b.ValidCRC() || b.LastOffset() >= hw || n < 0 {
								t.Errorf("batch up to %d below %d, CRC valid %v", b.LastOffset(), hw, b.ValidCRC())
							}
							rest = rest[size:]
						}
					}
					v.Release()
				} else if from >= l.StartOffset() {
					t.Error(err)
				}
				if _, err := l.OffsetForTimestamp(5, hw); err != nil {
					t.Error(err)
				}
				if i := l.LastIndex(); i > l.FirstIndex() {
					if _, release, err := l.Entry(l.FirstIndex()); err == nil {
						release()
					}
				}
				if done {
					return
				}
			}
		})
	}
	fail := func(err error) {
		if err != nil {
			t.Error(err)
		}
	}
	for i := range 400 {
		var es []Entry
		for range 3 {
			es = append(es, m.add(uint64(1+i/50), KindData, batchOf(2, 100, int64(i))))
		}
		es = append(es, m.add(uint64(1+i/50), KindNoop, nil))
		fail(l.Append(es))
		if i%10 == 9 {
			from := m.nextIndex() - 6
			if record := m.entries[len(m.entries)-6]; record.Kind == KindData && batchFrom(record.Data).BaseOffset() >= committed {
				m.truncate(from)
				fail(l.TruncateSuffix(from))
			}
		}
		mu.Lock()
		committed = max(committed, m.next-10)
		mu.Unlock()
		if i%100 == 99 {
			fail(l.Sync())
			fail(l.WriteCheckpoint(Checkpoint{Index: m.nextIndex() - 20}))
			_, err := l.Retain(Retention{-1, 20_000}, committed-50)
			fail(err)
		}
	}
	mu.Lock()
	done = true
	mu.Unlock()
	wg.Wait()
	if n := o.Files.Open(); n > 2 {
		t.Errorf("%d segments open", n)
	}
	fail(m.verify(l))
}

func TestSegmentsThatWereAllInUseAreClosedWhenTheyAreLetGo(t *testing.T) {
	st := store(t, 20)
	o := testOptions()
	o.Files = NewFiles(1)
	l := mustOpen(t, st.dir, o)
	defer l.Close()
	segs := l.list()
	var held []*handle
	for _, s := range segs[:3] {
		h, err := s.acquire()
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, h)
	}
	if n := o.Files.Open(); n < 3 {
		t.Fatalf("%d segments open, 3 are in use", n)
	}
	for _, h := range held {
		h.free()
	}
	if n := o.Files.Open(); n > 1 {
		t.Errorf("%d segments open", n)
	}
}
