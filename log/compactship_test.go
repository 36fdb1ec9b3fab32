package log

import (
	"bytes"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"quorumlog/record"
)

// described is a compacted log, and its description for another replica.
func described(t *testing.T) (*changes, *Checkpoint) {
	t.Helper()
	c := newChanges(t, 9, memoryDir(t))
	t.Cleanup(func() { c.l.Close() })
	c.grow(t, 150)
	c.compact(t)
	c.now += testRetention
	c.grow(t, 80)
	c.compact(t)
	cp := &Checkpoint{Index: c.l.LastIndex(), Producers: c.producers.Snapshot()}
	var err error
	if cp.Term, err = c.l.Term(cp.Index); err != nil {
		t.Fatal(err)
	}
	if err := c.l.Describe(cp); err != nil {
		t.Fatal(err)
	}
	b, err := cp.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if cp, err = DecodeCheckpoint(b); err != nil {
		t.Fatal(err)
	}
	if !cp.Segments[0].compacted() || cp.Segments[len(cp.Segments)-1].compacted() {
		t.Fatalf("segments %+v", cp.Segments)
	}
	return c, cp
}

func TestACompactedLogTravelsWhole(t *testing.T) {
	c, cp := described(t)
	own := mustOpen(t, filepath.Join(memoryDir(t), "p"), c.opts)
	in, err := Receive(own.Dir(), cp, own.opts)
	if err != nil {
		t.Fatal(err)
	}
	// The first segment comes in two attempts.
	if _, err := in.Missing(own); err != nil {
		t.Fatal(err)
	}
	f, err := c.l.OpenPart(cp.Parts()[0])
	if err != nil {
		t.Fatal(err)
	}
	half := make([]byte, cp.Parts()[0].Size/2)
	if _, err := f.ReadAt(half, 0); err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := in.Write(0, 0, bytes.NewReader(half)); err == nil {
		t.Fatal("half a segment was taken")
	}
	in.Close()
	if in, err = Receive(own.Dir(), cp, own.opts); err != nil {
		t.Fatal(err)
	}
	if sent := ship(t, c.l, cp, in, own); sent == total(cp) {
		t.Error("what was received before was sent again")
	}
	own.Close()
	if err := in.Install(own); err != nil {
		t.Fatal(err)
	}
	there := *c
	there.dir = own.Dir()
	there.l = mustOpen(t, own.Dir(), c.opts)
	if err := there.verify(t); err != nil || there.l.Recovered().Scanned > 0 || there.l.clean.Load() != c.l.clean.Load() {
		t.Fatalf("%v; %d bytes read", err, there.l.Recovered().Scanned)
	}
	there.m.entries = bytesClone(c.m.entries)
	there.grow(t, 50)
	there.compact(t)
	if err := there.verify(t); err != nil {
		t.Fatal(err)
	}
	there.l.Close()
}

func TestDamageToACompactedSegmentIsNoticed(t *testing.T) {
	c, cp := described(t)
	own := mustOpen(t, filepath.Join(memoryDir(t), "p"), c.opts)
	defer own.Close()
	p := cp.Parts()[0]
	f, err := c.l.OpenPart(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	good := make([]byte, p.Size)
	if _, err := f.ReadAt(good, 0); err != nil {
		t.Fatal(err)
	}
	for at := range good {
		in, err := Receive(own.Dir(), cp, own.opts)
		if err != nil {
			t.Fatal(err)
		}
		bad := bytes.Clone(good)
		bad[at] ^= 0x10
		if err := in.Write(0, 0, bytes.NewReader(bad)); err == nil {
			t.Fatalf("byte %d of %d was changed, and it was accepted", at, len(good))
		}
		if err := in.Discard(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestNothingIsCompactedWhileItIsSent(t *testing.T) {
	c := newChanges(t, 4, memoryDir(t))
	defer c.l.Close()
	c.grow(t, 100)
	c.checkpoint(t)
	release := c.l.Hold()
	if _, err := c.l.Compact(c.options(t)); !errors.Is(err, ErrHeld) {
		t.Errorf("compacted: %v", err)
	}
	o := c.options(t)
	release()
	begun := false
	o.step = func(op string) error { // somebody begins to send in the middle
		if !begun {
			begun, release = true, c.l.Hold()
		}
		return nil
	}
	if _, err := c.l.Compact(o); !errors.Is(err, ErrHeld) || c.l.list()[0].compacted {
		t.Errorf("compacted: %v", err)
	}
	release()
	c.compact(t)
	if err := c.verify(t); err != nil {
		t.Error(err)
	}
}

// A new leader may replace all that follows a compacted segment; that is never written to again.
func TestTruncationEndsAtACompactedSegment(t *testing.T) {
	c := newChanges(t, 8, memoryDir(t))
	c.grow(t, 100)
	for len(c.open) > 0 {
		c.endTransaction(t)
	}
	for c.l.active().baseIndex < c.l.LastIndex() {
		c.produceKey(t, "key3")
	}
	from := c.l.active().baseIndex // not committed yet
	c.checkpointAt(t, from-1)
	if _, err := c.l.Compact(c.options(t)); err != nil {
		t.Fatal(err)
	}
	c.came()
	c.checkpointAt(t, from-1)
	if segs := c.l.list(); !segs[len(segs)-2].compacted {
		t.Fatal("not all of it is compacted")
	}
	if err := c.l.TruncateSuffix(from); err != nil {
		t.Fatal(err)
	}
	if err := c.l.TruncateSuffix(from - 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("truncated into the compacted segment: %v", err)
	}
	c.m.truncate(from)
	c.records = c.records[:c.m.next]
	for i := range 2 {
		if err := c.verify(t); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		c.term++
		c.produceKey(t, "key1")
		c.reopen(t)
	}
	c.l.Close()
}

func TestReadersDoNotNoticeCompaction(t *testing.T) {
	c := newChanges(t, 2, memoryDir(t))
	defer c.l.Close()
	c.grow(t, 300)
	c.checkpoint(t)
	c.opts.Files.max = 2 // files are opened and closed all the time
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for i := range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				last := int64(-1)
				if err := c.l.Batches(int64(i*50), c.l.NextOffset(), func(b record.Batch) bool {
					if b.BaseOffset() <= last || !b.ValidCRC() {
						t.Errorf("batch at %d after %d", b.BaseOffset(), last)
						return false
					}
					last = b.LastOffset()
					return true
				}); err != nil || last != c.l.NextOffset()-1 {
					t.Errorf("reading ends at %d of %d: %v", last, c.l.NextOffset(), err)
					return
				}
				if _, err := c.l.OffsetForTimestamp(1_700_000_050_000, c.l.NextOffset()); err != nil {
					t.Error(err)
				}
				for index := c.l.FirstIndex(); index < c.l.LastIndex(); index += 17 {
					if term, err := c.l.Term(index); err != nil || term != c.m.entries[index-1].Term {
						t.Errorf("entry %d: term %d, %v", index, term, err)
					}
				}
			}
		})
	}
	for range 5 {
		o := c.options(t)
		if _, err := c.l.Compact(o); err != nil {
			t.Error(err)
		}
		c.came()
		c.checkpoint(t)
		c.l.clean.Store(0) // all over again
	}
	close(stop)
	readers.Wait()
	if err := c.verify(t); err != nil {
		t.Error(err)
	}
}
