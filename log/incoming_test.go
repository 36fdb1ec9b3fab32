package log

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// sender is a log of several segments, and a description of it as of a committed entry.
func sender(t *testing.T, index uint64) (*Log, *model, *Checkpoint) {
	t.Helper()
	st := store(t, 0)
	o := testOptions()
	o.SegmentBytes = 1200
	l := mustOpen(t, st.dir, o)
	t.Cleanup(func() { l.Close() })
	c := &Checkpoint{Index: index, Producers: []ProducerState{{ID: 7}}}
	var err error
	if c.Term, err = l.Term(index); err != nil {
		t.Fatal(err)
	}
	if err := l.Describe(c); err != nil {
		t.Fatal(err)
	}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if c, err = DecodeCheckpoint(b); err != nil {
		t.Fatal(err)
	}
	m := &model{first: 1, entries: bytesClone(st.m.entries), next: st.m.next}
	m.truncate(index + 1)
	return l, m, c
}

// receiver is another replica's log with the first n entries of the model, then others of its own.
func receiver(t *testing.T, m *model, n int, divergent int) (*Log, *model) {
	t.Helper()
	o := testOptions()
	o.SegmentBytes = 1200
	l := mustOpen(t, filepath.Join(memoryDir(t), "p"), o)
	t.Cleanup(func() { l.Close() })
	mine := &model{first: 1}
	for i := range n {
		e := m.entries[i]
		data := bytes.Clone(e.Data)
		if e.Kind == KindData {
			e.Data = data
		}
		if err := l.Append([]Entry{e}); err != nil {
			t.Fatal(err)
		}
		mine.entries, mine.next = append(mine.entries, m.entries[i]), l.NextOffset()
	}
	for range divergent {
		if err := l.Append([]Entry{mine.add(3, KindData, batchOf(1, 30, 77))}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Sync(); err != nil {
		t.Fatal(err)
	}
	return l, mine
}

// ship sends what is missing, and returns how many bytes that were.
func ship(t *testing.T, from *Log, c *Checkpoint, in *Incoming, own *Log) (sent int64) {
	t.Helper()
	missing, err := in.Missing(own)
	if err != nil {
		t.Fatal(err)
	}
	for i, p := range c.Parts() {
		if missing[i] == p.Size {
			continue
		}
		f, err := from.OpenPart(p)
		if err != nil {
			t.Fatal(err)
		}
		if err := in.Write(i, missing[i], io.NewSectionReader(f, missing[i], p.Size-missing[i])); err != nil {
			t.Fatal(err)
		}
		f.Close()
		sent += p.Size - missing[i]
	}
	return sent
}

func total(c *Checkpoint) (n int64) {
	for _, p := range c.Parts() {
		n += p.Size
	}
	return n
}

// installed opens the directory, which must hold what the model says, and goes on appending.
func installed(t *testing.T, dir string, m *model, c *Checkpoint) {
	t.Helper()
	o := testOptions()
	o.SegmentBytes = 1200
	l, got, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil || got.Index != c.Index || len(got.Producers) != 1 || l.Recovered().Scanned > 0 {
		t.Errorf("checkpoint %+v, %d bytes read", got, l.Recovered().Scanned)
	}
	if err := errors.Join(m.verify(l), m.verifyIndexes(l), l.Close()); err != nil {
		t.Fatal(err)
	}
	again := &model{first: 1, entries: bytesClone(m.entries), next: m.next}
	recovers(t, dir, again)
}

func TestReceivedLogTakesThePlaceOfAnyOther(t *testing.T) {
	for name, c := range map[string]struct {
		index     uint64
		have, own int
		fewer     bool
	}{
		"empty":                      {28, 0, 0, false},
		"behind":                     {28, 16, 0, true},
		"in the middle of a segment": {23, 3, 0, false},
		"divergent and longer":       {28, 16, 40, true},
		"ends with a segment":        {30, 0, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			from, m, cp := sender(t, c.index)
			own, _ := receiver(t, m, c.have, c.own)
			in, err := Receive(own.Dir(), cp, own.opts)
			if err != nil {
				t.Fatal(err)
			}
			if sent := ship(t, from, cp, in, own); (sent < total(cp)) != c.fewer {
				t.Errorf("%d bytes sent of %d", sent, total(cp))
			}
			own.Close()
			if err := in.Install(own); err != nil {
				t.Fatal(err)
			}
			installed(t, own.Dir(), m, cp)
		})
	}
}

func TestInterruptedTransferGoesOnWhereItStopped(t *testing.T) {
	from, m, cp := sender(t, 28)
	own, _ := receiver(t, m, 0, 0)
	in, err := Receive(own.Dir(), cp, own.opts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := in.Missing(own); err != nil {
		t.Fatal(err)
	}
	var sent int64
	for i, p := range cp.Parts()[:2] {
		f, err := from.OpenPart(p)
		if err != nil {
			t.Fatal(err)
		}
		n := p.Size
		if i == 1 {
			n = p.Size / 2
		}
		if err := in.Write(i, 0, io.NewSectionReader(f, 0, n)); (err == nil) != (i == 0) {
			t.Fatal(err)
		}
		sent += n
		f.Close()
	}
	in.Close()
	if in, err = Receive(own.Dir(), cp, own.opts); err != nil {
		t.Fatal(err)
	}
	rest := ship(t, from, cp, in, own)
	if rest < total(cp)-sent || rest > total(cp)-sent+300 { // a batch was cut
		t.Errorf("%d bytes in the second attempt, %d of %d were there", rest, sent, total(cp))
	}
	own.Close()
	if err := in.Install(own); err != nil {
		t.Fatal(err)
	}
	installed(t, own.Dir(), m, cp)
}

func TestDamageOnTheWayIsNoticed(t *testing.T) {
	from, m, cp := sender(t, 28)
	own, _ := receiver(t, m, 0, 0)
	p := cp.Parts()[0]
	f, err := from.OpenPart(p)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	good, err := io.ReadAll(io.NewSectionReader(f, 0, p.Size))
	if err != nil {
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
			t.Fatalf("byte %d was changed, and it was accepted", at)
		}
		if err := in.Discard(); err != nil {
			t.Fatal(err)
		}
	}
}

var errCrash = errors.New("crash")

func TestCrashAtEveryStepOfAnInstallLeavesOneWholeLog(t *testing.T) {
	from, m, cp := sender(t, 28)
	finished := false
	for at := 0; !finished; at++ {
		own, mine := receiver(t, m, 16, 3)
		in, err := Receive(own.Dir(), cp, own.opts)
		if err != nil {
			t.Fatal(err)
		}
		ship(t, from, cp, in, own)
		n, name := 0, ""
		in.step = func(op string) error {
			if n++; n > at {
				name = op
				return errCrash
			}
			return nil
		}
		own.Close()
		err = in.Install(own)
		finished = err == nil
		if err != nil && !errors.Is(err, errCrash) {
			t.Fatal(err)
		}
		l, c, err := Open(own.Dir(), own.opts)
		if err != nil {
			t.Fatalf("crash before %q (%d): %v", name, at, err)
		}
		if c != nil {
			l.Close()
			installed(t, own.Dir(), m, cp)
		} else if err := errors.Join(mine.verify(l), mine.verifyIndexes(l)); err != nil {
			t.Fatalf("crash before %q: %v", name, err)
		} else { // the old log: another attempt ends well
			if in, err = Receive(own.Dir(), cp, l.opts); err != nil {
				t.Fatal(err)
			}
			if sent := ship(t, from, cp, in, l); sent != 0 {
				t.Errorf("crash before %q: %d bytes sent again", name, sent)
			}
			l.Close()
			if err := in.Install(l); err != nil {
				t.Fatal(err)
			}
			installed(t, own.Dir(), m, cp)
		}
		if left, _ := filepath.Glob(own.Dir() + ".*"); len(left) > 0 {
			t.Errorf("crash before %q: left behind %q", name, left)
		}
	}
}

func TestReceivedFilesAloneAreNoLog(t *testing.T) {
	from, m, cp := sender(t, 28)
	own, _ := receiver(t, m, 0, 0)
	in, err := Receive(own.Dir(), cp, own.opts)
	if err != nil {
		t.Fatal(err)
	}
	ship(t, from, cp, in, own)
	in.step = func(op string) error {
		if op == "move the old log away" {
			return errCrash
		}
		return nil
	}
	own.Close()
	if err := in.Install(own); !errors.Is(err, errCrash) {
		t.Fatal(err)
	}
	// The log itself is lost afterwards. It may have acknowledged more than was received.
	if err := os.RemoveAll(own.Dir()); err != nil {
		t.Fatal(err)
	}
	l := mustOpen(t, own.Dir(), own.opts)
	defer l.Close()
	if l.LastIndex() != 0 {
		t.Errorf("the log has %d entries", l.LastIndex())
	}
}

func FuzzDecodeCheckpoint(f *testing.F) {
	for _, c := range []Checkpoint{
		{Index: 3, Term: 1, Segments: []segmentState{{BaseIndex: 1, Entries: 3, Size: 500, NextOffset: 2, LastTerm: 1}}},
		{Index: 5, Term: 2, Segments: []segmentState{{BaseIndex: 1, Entries: 3, Size: 500, NextOffset: 2, LastTerm: 1}, {BaseOffset: 2, BaseIndex: 4, PrevTerm: 1, Entries: 2, Size: 300, NextOffset: 4, LastTerm: 2}}},
	} {
		b, err := c.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[16:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := DecodeCheckpoint(frameCheckpoint(checkpointFormat, body))
		if err != nil {
			return
		}
		for _, p := range c.Parts() {
			if p.Size <= 0 || p.BaseOffset < 0 {
				t.Errorf("part %+v", p)
			}
		}
	})
}
