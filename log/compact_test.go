package log

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quorumlog/internal/powerloss"
)

// Whatever was written, a reader from any offset sees after any number of compactions what it has
// to see, and the Raft side is as it was.
func TestCompactionKeepsWhatReadersNeed(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	for seed := first; seed < first+12; seed++ {
		c := newChanges(t, seed, memoryDir(t))
		for round := range 6 {
			c.grow(t, 20+c.rnd.IntN(120))
			o := c.options(t)
			if c.rnd.IntN(3) == 0 {
				c.now += testRetention
			}
			c.checkpoint(t)
			if _, err := c.l.Compact(o); err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
			c.came()
			if err := c.verify(t); err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
			if c.l.list()[0].compacted {
				if err := c.verifyClean(c.l.clean.Load()); err != nil {
					t.Fatalf("seed %d, round %d: %v", seed, round, err)
				}
			}
			if c.rnd.IntN(2) == 0 {
				c.reopen(t) // with the checkpoint from before
				if err := c.verify(t); err != nil {
					t.Fatalf("seed %d, round %d, opened again: %v", seed, round, err)
				}
			}
			c.checkpoint(t)
			if c.rnd.IntN(2) == 0 {
				c.reopen(t)
				if err := c.verify(t); err != nil || c.l.Recovered().Scanned > 0 {
					t.Fatalf("seed %d, round %d, opened with a checkpoint: %v, %d bytes read", seed, round, err, c.l.Recovered().Scanned)
				}
			}
			if c.rnd.IntN(3) == 0 {
				for _, s := range c.l.list() {
					os.Remove(s.path(indexSuffix))
					os.Remove(s.path(timeSuffix))
				}
				c.reopen(t)
				if err := c.verify(t); err != nil {
					t.Fatalf("seed %d, round %d, without indexes: %v", seed, round, err)
				}
			}
		}
		c.l.Close()
	}
}

func TestCompactionGoesOnWhereTheMapWasFull(t *testing.T) {
	c := newChanges(t, 1, memoryDir(t))
	for i := range 4000 {
		c.produceKey(t, fmt.Sprint(i*7919%2500))
	}
	c.checkpoint(t)
	passes := 0
	for more := true; more; passes++ {
		o := c.options(t)
		o.MapBytes = 1
		done, err := c.l.Compact(o)
		if err != nil {
			t.Fatal(err)
		}
		more = done.More
		c.came()
		if err := c.verify(t); err != nil {
			t.Fatalf("pass %d: %v", passes, err)
		}
		c.checkpoint(t)
	}
	if passes < 3 {
		t.Errorf("%d passes", passes)
	}
	got, _, err := c.read(0)
	if n := int64(len(got)) - (c.m.next - c.l.active().baseOffset); err != nil || n < 2000 || n > 2600 {
		t.Errorf("%d records are left, %v", n, err)
	}
}

func TestSmallSegmentsBecomeOne(t *testing.T) {
	c := newChanges(t, 3, memoryDir(t))
	c.grow(t, 400)
	for len(c.open) > 0 {
		c.endTransaction(t)
	}
	before := c.l.Segments()
	c.compact(t)
	for range 30 {
		c.produceKey(t, "key1")
	}
	c.compact(t)
	if err := c.verify(t); err != nil {
		t.Fatal(err)
	}
	if after := c.l.Segments(); after > before/2 {
		t.Errorf("%d segments of %d", after, before)
	}
	files, _ := filepath.Glob(filepath.Join(c.dir, "*"+dataSuffix))
	if len(files) != c.l.Segments() {
		t.Errorf("%d files for %d segments", len(files), c.l.Segments())
	}
}

// crashable is a log that waits for compaction, the same for every crash.
func crashable(t testing.TB, dir string) *changes {
	c := newChanges(t, 5, dir)
	c.grow(t, 40)
	c.compact(t)
	c.now += testRetention
	c.grow(t, 40)
	c.checkpoint(t)
	return c
}

func TestCrashAtEveryStepOfACompactionLosesNothing(t *testing.T) {
	for _, luck := range []powerloss.Luck{powerloss.All, powerloss.Some, powerloss.None} {
		finished := false
		for at := 0; !finished; at++ {
			root := memoryDir(t)
			disk := powerloss.New(root)
			c := crashable(t, filepath.Join(root, "topic", "0"))
			rnd := rand.New(rand.NewPCG(uint64(at), uint64(luck)))
			n, name := 0, ""
			o := c.options(t)
			o.step = func(op string) error {
				if n++; n <= at {
					return nil
				}
				name = strings.TrimPrefix(op, root)
				if err := disk.Cut(luck, rnd); err != nil {
					t.Fatal(err)
				}
				return errCrash
			}
			_, err := c.l.Compact(o)
			c.came()
			if finished = err == nil; !finished && !errors.Is(err, errCrash) {
				t.Fatal(err)
			}
			if finished {
				if err := disk.Cut(luck, rnd); err != nil {
					t.Fatal(err)
				}
			}
			c.l.Close()
			if err := disk.Restore(); err != nil {
				t.Fatal(err)
			}
			c.reopen(t)
			if err := c.verify(t); err != nil {
				t.Fatalf("luck %d, crash before %q (%d): %v", luck, name, at, err)
			}
			c.checkpoint(t)
			c.grow(t, 20)
			c.compact(t)
			if err := errors.Join(c.verify(t), c.verifyClean(c.l.clean.Load())); err != nil {
				t.Fatalf("luck %d, after a crash before %q (%d): %v", luck, name, at, err)
			}
			c.l.Close()
			if left, _ := filepath.Glob(filepath.Join(c.dir, "*"+stagedSuffix)); len(left) > 0 {
				t.Errorf("left behind %q", left)
			}
			disk.Close()
		}
	}
}

// A disk that is nearly full ends a compaction before it reads or writes more, and one that is full when it writes: what it
// has not come to stays as it was, and nothing is left behind.
func TestACompactionThatIsEndedLeavesTheOldSegments(t *testing.T) {
	errFull := errors.New("full")
	for _, when := range []string{"paced", "written"} {
		finished := false
		for at := 0; !finished; at++ {
			c := crashable(t, filepath.Join(memoryDir(t), "p"))
			n, o := 0, c.options(t)
			full := func() error {
				if n++; n <= at {
					return nil
				}
				return errFull
			}
			if when == "paced" {
				o.Pace = func(int) error { return full() }
			} else {
				o.step = func(op string) error {
					if strings.HasPrefix(op, "write ") {
						return full()
					}
					return nil
				}
			}
			_, err := c.l.Compact(o)
			c.came()
			if finished = err == nil; !finished && !errors.Is(err, errFull) {
				t.Fatal(err)
			}
			if left, _ := filepath.Glob(filepath.Join(c.dir, "*"+stagedSuffix)); len(left) > 0 {
				t.Errorf("%s, %d: left behind %q", when, at, left)
			}
			if err := c.verify(t); err != nil {
				t.Fatalf("%s, %d: %v", when, at, err)
			}
			c.checkpoint(t)
			c.grow(t, 20)
			c.compact(t)
			if err := errors.Join(c.verify(t), c.verifyClean(c.l.clean.Load())); err != nil {
				t.Fatalf("%s, %d, when there was room again: %v", when, at, err)
			}
			c.l.Close()
		}
	}
}
