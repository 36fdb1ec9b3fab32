package log

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quorumlog/internal/durable"
)

// Recovery says what opening a log found and did.
type Recovery struct {
	Scanned   int64 // bytes read because no checkpoint vouched for them
	Cut       int64 // bytes of a torn or garbage tail that were cut off
	CutReason string
	Dropped   int // whole segments dropped after a cut
}

// Recovered returns what opening found.
func (l *Log) Recovered() Recovery { return l.recovery }

// Open opens or creates the log in dir. It trusts what the checkpoint vouches for, reads the
// data after it batch by batch, cuts the log at the last whole one, and rebuilds every index
// record that it read past. The checkpoint is nil for a log without one. ErrCorrupt is returned,
// and nothing deleted, when the log ends before the checkpoint's commit index, or in a segment
// that was once wholly on disk.
func Open(dir string, opts Options) (*Log, *Checkpoint, error) {
	opts.setDefaults()
	if err := settleInstall(dir); err != nil {
		return nil, nil, err
	}
	way, err := makeDirs(dir)
	if err != nil {
		return nil, nil, err
	}
	c, err := readCheckpoint(dir)
	if errors.Is(err, errCheckpoint) {
		opts.Logger.Warn("checkpoint cannot be read; the log is read from its beginning", "dir", dir, "err", err)
		c, err = nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	l := &Log{dir: dir, opts: opts}
	if c == nil { // else the way to it was made durable before
		l.unsettled = way
	}
	l.segmentBytes.Store(opts.SegmentBytes)
	l.segmentMs.Store(opts.SegmentMs)
	l.epochs.Store(&epochs{})
	l.publish(nil)
	if err := l.recover(c); err != nil {
		l.dropFiles()
		return nil, nil, err
	}
	if l.recovery.Scanned > 0 && l.unsettled == nil {
		l.unsettled = []string{dir}
	}
	return l, c, nil
}

func (l *Log) recover(c *Checkpoint) error {
	bases, err := l.dataFiles()
	if err != nil {
		return err
	}
	known := map[int64]segmentState{}
	if c != nil {
		for _, st := range c.Segments {
			known[st.BaseOffset] = st
		}
		e := epochs(c.Epochs)
		l.epochs.Store(&e)
		l.start.Store(c.StartOffset)
		l.clean.Store(c.CleanOffset)
		l.checkpointed.Store(c.Index)
	}
	for i, base := range bases {
		if l.covers(base) {
			if err := l.removeFiles(base); err != nil {
				return err
			}
			continue
		}
		st, vouched := known[base]
		why, err := l.recoverSegment(base, st, vouched, bases[i+1:])
		if err != nil {
			return err
		}
		if why != "" {
			// Whether it may be cut off is decided before anything is.
			if err := l.cutAfter(c, bases[i:], why); err != nil {
				return err
			}
			break
		}
	}
	l.adoptAborted(c)
	return l.finish(c)
}

// finish makes the last segment active and checks the outcome against the checkpoint.
func (l *Log) finish(c *Checkpoint) error {
	if len(l.list()) == 0 {
		if c != nil && c.Index > 0 {
			return corrupt(l.dir, "no segment files, but entries up to %d were committed", c.Index)
		}
		return l.begin(0, segmentHeader{baseIndex: 1})
	}
	if err := l.reaches(c); err != nil {
		return err
	}
	if first := l.list()[0].baseOffset; l.start.Load() < first {
		l.start.Store(first)
	}
	if s := l.active(); s.compacted { // which cannot be written to
		return l.begin(s.nextOffset.Load(), segmentHeader{baseIndex: s.nextIndex(), prevTerm: s.endTerm})
	}
	return l.resumeActive()
}

// begin makes the segment that is to be written. It is durable with its first entry.
func (l *Log) begin(base int64, hdr segmentHeader) error {
	s, h, err := l.create(base, hdr)
	if err != nil {
		return err
	}
	h.free()
	l.publish(append(l.list(), s))
	if l.unsettled == nil {
		l.unsettled = []string{l.dir}
	}
	return nil
}

// reaches checks that the log holds all that the checkpoint knows to be committed.
func (l *Log) reaches(c *Checkpoint) error {
	if c == nil || len(l.list()) > 0 && l.LastIndex() >= c.Index {
		return nil
	}
	last := uint64(0)
	if len(l.list()) > 0 {
		last = l.LastIndex()
	}
	return corrupt(l.dir, "the log ends at entry %d, but entries up to %d were committed (%s)", last, c.Index, l.recovery.CutReason)
}

// resumeActive makes the last segment writable and wipes what lies beyond its end, durably, so
// that no stale batch can ever be taken for the log's continuation.
func (l *Log) resumeActive() error {
	s := l.active()
	s.jitter = l.newJitter()
	e := l.epochs.Load().truncated(s.nextOffset.Load(), s.endTerm)
	l.epochs.Store(&e)
	if s.allocated > 0 && !s.sealed.Load() { // and seen to be clean
		return nil
	}
	h, err := s.reactivate(l.segmentBytes.Load())
	if err != nil {
		return err
	}
	defer h.free()
	end := s.size.Load()
	clean, err := zeroFrom(h.file, end, s.allocated)
	if clean || err != nil {
		return err
	}
	if err := zeroRange(h.file, end, s.allocated-end); err != nil {
		return err
	}
	return l.opts.Syncer.Sync(h.file)
}

// covers reports whether a segment's file is one that compaction has merged into the segment before
// it, and not yet deleted.
func (l *Log) covers(base int64) bool {
	segs := l.list()
	return len(segs) > 0 && segs[len(segs)-1].compacted && base < segs[len(segs)-1].nextOffset.Load()
}

// removeFiles deletes a segment's files that do not belong to the log.
func (l *Log) removeFiles(base int64) error {
	s := newSegment(l.dir, base, segmentHeader{})
	s.files.cache = l.opts.Files
	return errors.Join(s.remove(), durable.Dir(l.dir))
}

// dataFiles lists the base offsets of the directory's segments, ascending, and removes what an
// interrupted removal or compaction left of others, and files that were never finished.
func (l *Log) dataFiles() ([]int64, error) {
	files, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, err
	}
	var bases []int64
	for _, f := range files {
		if base, ok := parseStem(f.Name()); ok {
			bases = append(bases, base)
		}
	}
	slices.Sort(bases)
	for _, f := range files {
		name := f.Name()
		if strings.HasSuffix(name, abortedSuffix+newSuffix) {
			os.Remove(filepath.Join(l.dir, name))
			continue
		}
		ext := filepath.Ext(name)
		if ext == stagedSuffix {
			os.Remove(filepath.Join(l.dir, name))
		}
		if ext != indexSuffix && ext != timeSuffix && ext != abortedSuffix {
			continue
		}
		base, ok := parseStem(strings.TrimSuffix(name, ext) + dataSuffix)
		if _, found := slices.BinarySearch(bases, base); ok && !found {
			os.Remove(filepath.Join(l.dir, name))
		}
	}
	return bases, nil
}

// recoverSegment opens one segment and adds it to the list, unless it does not continue what is
// there. It returns why the log ends in it, or before it; "" where the next one may follow.
func (l *Log) recoverSegment(base int64, st segmentState, vouched bool, later []int64) (why string, err error) {
	s := newSegment(l.dir, base, st.header())
	s.files.cache = l.opts.Files
	size, err := fileSize(s.path(dataSuffix))
	if err != nil {
		return "", err
	}
	if !vouched || st.Size != size {
		hdr, err := readHeader(s.path(dataSuffix), base)
		switch {
		case errors.Is(err, errControl):
			return fmt.Sprintf("%s has no valid header", s.path(dataSuffix)), nil
		case err != nil: // of another format, or it cannot be read now: no reason to drop it
			return "", fmt.Errorf("%s: %w", s.path(dataSuffix), err)
		}
		// A compacted file is always of another size than those before it: see Compact.
		if vouched = vouched && st.Size <= size && !st.compacted() && !hdr.compacted; !vouched {
			s = newSegment(l.dir, base, hdr)
			s.files.cache = l.opts.Files
		}
	}
	if !l.continues(s) {
		return fmt.Sprintf("%s does not continue the log", s.path(dataSuffix)), nil
	}
	s.files.verified = !vouched
	s.files.mapSize = max(size, l.segmentBytes.Load()) + mapSlack
	l.publish(append(l.list(), s))
	if vouched {
		s.adopt(st)
		if done, err := s.needsNoScan(size, len(later) == 0); done || err != nil {
			return "", err // its files are opened when they are needed
		}
	}
	why, err = l.scan(s, size)
	if s.compacted && err == nil {
		return "", s.closeRecovered(size, why)
	}
	if err != nil || len(later) == 0 {
		if why != "" && why != preallocated {
			l.note(size-s.size.Load(), why)
		}
		return "", err
	}
	return l.sealRecovered(s, size, why, later[0])
}

// needsNoScan reports whether the file holds nothing but what the checkpoint vouched for.
func (s *segment) needsNoScan(size int64, active bool) (bool, error) {
	if !active || s.compacted {
		s.sealed.Store(s.size.Load() == size)
		return s.sealed.Load(), nil
	}
	f, err := os.Open(s.path(dataSuffix))
	if err != nil {
		return false, err
	}
	defer f.Close()
	clean, err := zeroFrom(f, s.size.Load(), size)
	if clean {
		s.allocated = size
	}
	return clean, err
}

// sealRecovered seals a segment that has a successor. Where the successor begins just at this
// one's end, whatever lies beyond that is preallocated space which was not given back.
func (l *Log) sealRecovered(s *segment, size int64, why string, next int64) (string, error) {
	if s.size.Load() < size {
		hdr, err := readHeader(filepath.Join(l.dir, segmentStem(next)+dataSuffix), next)
		if err != nil || !l.continues(newSegment(l.dir, next, hdr)) {
			return why, nil
		}
	}
	h, err := s.acquire()
	if err != nil {
		return "", err
	}
	defer h.free()
	return "", s.seal(h)
}

// closeRecovered seals a compacted segment that was scanned. It was on disk, whole, before it got
// its name.
func (s *segment) closeRecovered(size int64, why string) error {
	if s.size.Load() != size || s.span == 0 {
		return corrupt(s.path(dataSuffix), "compacted, and wrong from byte %d on: %s", s.size.Load(), why)
	}
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.free()
	return s.seal(h)
}

// continues reports whether a segment follows the ones recovered so far.
func (l *Log) continues(s *segment) bool {
	segs := l.list()
	if len(segs) == 0 {
		return s.baseIndex > 0
	}
	p := segs[len(segs)-1]
	return p.nextOffset.Load() == s.baseOffset && p.nextIndex() == s.baseIndex && p.endTerm == s.prevTerm
}

// adopt takes over what the checkpoint vouches for.
func (s *segment) adopt(st segmentState) {
	s.entries.Store(st.Entries)
	s.size.Store(st.Size)
	s.nextOffset.Store(st.NextOffset)
	s.maxTimestamp.Store(st.MaxTimestamp)
	s.firstAppend.Store(st.FirstAppend)
	s.flushed.Store(st.Entries)
	s.endTerm, s.indexCRC, s.vouched = st.LastTerm, st.IndexCRC, st.Entries
	s.span, s.dataCRC = st.Span, st.DataCRC
	hidden := st.Hidden
	s.hidden.Store(&hidden)
	s.times.Store(nil) // read from their file when first needed
}

func (l *Log) note(cut int64, why string) {
	l.recovery.Cut += cut
	if l.recovery.CutReason == "" {
		l.recovery.CutReason = why
	}
	l.opts.Logger.Warn("log tail cut at the last whole batch", "dir", l.dir, "bytes", cut, "reason", why)
}

// cutAfter ends the log before the segments given, of which the first may be in the list already
// and then ends it. They may go only if they hold nothing: a segment's successor is created when
// all of it is on disk, so entries beyond a cut mean damage.
func (l *Log) cutAfter(c *Checkpoint, bases []int64, why string) error {
	l.recovery.CutReason = why
	if err := l.reaches(c); err != nil {
		return err
	}
	segs := l.list()
	cut := len(segs) > 0 && segs[len(segs)-1].baseOffset == bases[0]
	if cut {
		bases = bases[1:]
	}
	for _, base := range bases {
		path := filepath.Join(l.dir, segmentStem(base)+dataSuffix)
		if empty, err := emptySegment(path); err != nil {
			return err
		} else if !empty {
			return corrupt(path, "it holds entries, but the log before it ends: %s", why)
		}
	}
	if cut {
		if size, err := fileSize(l.active().path(dataSuffix)); err == nil {
			l.note(size-l.active().size.Load(), why)
		}
	}
	for _, base := range slices.Backward(bases) {
		s := newSegment(l.dir, base, segmentHeader{})
		s.files.cache = l.opts.Files
		if size, err := fileSize(s.path(dataSuffix)); err == nil {
			l.note(size, why)
		}
		if err := errors.Join(s.remove(), durable.Dir(l.dir)); err != nil {
			return err
		}
		l.recovery.Dropped++
	}
	return nil
}
