package log

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"

	"quorumlog/record"
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
// record that it read past. The checkpoint is nil for a log without one. ErrCorrupt is returned
// when the log ends before the checkpoint's commit index.
func Open(dir string, opts Options) (*Log, *Checkpoint, error) {
	opts.setDefaults()
	if err := os.MkdirAll(dir, 0o755); err != nil {
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
	l.segmentBytes.Store(opts.SegmentBytes)
	l.segmentMs.Store(opts.SegmentMs)
	l.epochs.Store(&epochs{})
	l.publish(nil)
	if err := l.recover(c); err != nil {
		l.closeSegments()
		return nil, nil, err
	}
	return l, c, nil
}

func (l *Log) closeSegments() {
	for _, s := range l.list() {
		s.files.drop()
	}
}

func (l *Log) recover(c *Checkpoint) error {
	bases, err := dataFiles(l.dir)
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
	}
	for i, base := range bases {
		st, trusted := known[base]
		whole, err := l.recoverSegment(base, st, trusted, i == len(bases)-1)
		if err != nil {
			return err
		}
		if !whole {
			if err := l.dropAfter(bases[i+1:]); err != nil {
				return err
			}
			break
		}
	}
	return l.finish(c)
}

// finish makes the last segment active and checks the outcome against the checkpoint.
func (l *Log) finish(c *Checkpoint) error {
	if len(l.list()) == 0 {
		if c != nil && c.Index > 0 {
			return corrupt(l.dir, "no segment files, but entries up to %d were committed", c.Index)
		}
		s, err := l.create(0, segmentHeader{baseIndex: 1})
		if err != nil {
			return err
		}
		l.publish([]*segment{s})
		return nil
	}
	if c != nil && l.LastIndex() < c.Index {
		return corrupt(l.dir, "the log ends at entry %d, but entries up to %d were committed (%s)", l.LastIndex(), c.Index, l.recovery.CutReason)
	}
	if first := l.list()[0].baseOffset; l.start.Load() < first {
		l.start.Store(first)
	}
	return l.resumeActive()
}

// resumeActive makes the last segment writable and wipes what lies beyond its end, so that no
// stale batch can ever be taken for the log's continuation.
func (l *Log) resumeActive() error {
	s := l.active()
	s.loadTimes()
	h, err := s.reactivate(l.segmentBytes.Load())
	if err != nil {
		return err
	}
	defer s.release(h)
	e := l.epochs.Load().truncated(s.nextOffset.Load(), s.lastTerm(h))
	l.epochs.Store(&e)
	if s.allocated > s.size.Load() {
		return zeroRange(h.file, s.size.Load(), s.allocated-s.size.Load())
	}
	return nil
}

// dataFiles lists the base offsets of a directory's segments, ascending.
func dataFiles(dir string) ([]int64, error) {
	files, err := os.ReadDir(dir)
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
	return bases, nil
}

// recoverSegment opens one segment and adds it to the list. It reports whether the segment is
// whole: false means the log ends in it.
func (l *Log) recoverSegment(base int64, st segmentState, trusted, last bool) (bool, error) {
	s := newSegment(l.dir, base, segmentHeader{})
	s.files.cache = l.opts.Files
	size, err := fileSize(s.path(dataSuffix))
	if err != nil {
		return false, err
	}
	hdr, err := s.readHeader()
	if errors.Is(err, ErrFormat) {
		return false, fmt.Errorf("%s: %w", s.path(dataSuffix), err)
	}
	if err != nil || !l.continues(base, hdr) {
		l.note(size, fmt.Sprintf("%s does not continue the log", s.path(dataSuffix)))
		return false, s.remove()
	}
	s.baseIndex, s.prevTerm = hdr.baseIndex, hdr.prevTerm
	if trusted && st.BaseIndex == s.baseIndex && st.Size <= size && validIndex(s.path(indexSuffix), s.baseIndex, int(st.Entries)) {
		s.adopt(st)
	}
	l.publish(append(l.list(), s))
	if !last && s.size.Load() == size {
		s.sealed.Store(true)
		s.mapSize = size
		return true, nil
	}
	s.mapSize = max(size, l.segmentBytes.Load()) + mapSlack
	if err := l.scan(s, size); err != nil {
		return false, err
	}
	if last {
		return true, nil
	}
	whole := s.size.Load() == size
	s.sealed.Store(whole)
	return whole, nil
}

func fileSize(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

func (s *segment) readHeader() (segmentHeader, error) {
	f, err := os.Open(s.path(dataSuffix))
	if err != nil {
		return segmentHeader{}, err
	}
	defer f.Close()
	b := make([]byte, s.headerSize)
	if _, err := f.ReadAt(b, 0); err != nil {
		return segmentHeader{}, err
	}
	batch, _, err := record.Split(b)
	if err != nil {
		return segmentHeader{}, err
	}
	if !batch.ValidCRC() || batch.BaseOffset() != s.baseOffset || !internal(batch) {
		return segmentHeader{}, errControl
	}
	return parseSegmentHeader(batch)
}

// continues reports whether a segment follows the ones recovered so far.
func (l *Log) continues(base int64, hdr segmentHeader) bool {
	segs := l.list()
	if len(segs) == 0 {
		return hdr.baseIndex > 0
	}
	p := segs[len(segs)-1]
	return p.nextOffset.Load() == base && p.nextIndex() == hdr.baseIndex
}

// adopt takes over what the checkpoint vouches for.
func (s *segment) adopt(st segmentState) {
	s.entries.Store(st.Entries)
	s.size.Store(st.Size)
	s.nextOffset.Store(st.NextOffset)
	s.maxTimestamp.Store(st.MaxTimestamp)
	s.firstAppend.Store(st.FirstAppend)
	s.flushed.Store(st.Entries)
	hidden := st.Hidden
	s.hidden.Store(&hidden)
	s.times.Store(nil) // read from their file when first needed
}

// scan reads the segment's data from its known end and indexes every whole batch.
func (l *Log) scan(s *segment, fileSize int64) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer s.release(h)
	if s.times.Load() == nil {
		s.loadTimes()
	}
	hist := *l.epochs.Load()
	term := s.lastTerm(h)
	reason := ""
	for pos := s.size.Load(); pos < fileSize; pos = s.size.Load() {
		b, kind, why := nextWhole(h.data[pos:fileSize], s.nextOffset.Load(), term)
		if why != "" {
			reason = why
			break
		}
		n := int(s.entries.Load())
		if err := h.index.reserve(n + 1); err != nil {
			return err
		}
		term = uint64(b.LeaderEpoch())
		h.index.put(n, slot{uint32(pos), uint32(s.nextOffset.Load() - s.baseOffset), uint32(term), kind})
		hist = hist.with(term, s.nextOffset.Load())
		if kind == KindData {
			s.noteTime(b.MaxTimestamp(), uint32(n), pos)
			s.nextOffset.Store(b.NextOffset())
			if s.firstAppend.Load() == 0 {
				s.firstAppend.Store(l.opts.Now().UnixMilli())
			}
		} else {
			s.addHidden(uint32(n))
		}
		l.recovery.Scanned += int64(len(b))
		s.size.Add(int64(len(b)))
		s.entries.Add(1)
	}
	l.epochs.Store(&hist)
	if reason != "" && reason != preallocated {
		l.note(fileSize-s.size.Load(), fmt.Sprintf("%s at byte %d: %s", s.path(dataSuffix), s.size.Load(), reason))
	}
	return nil
}

const preallocated = "zeros"

// nextWhole returns the batch at the start of b if it is whole and continues the log, else why
// not.
func nextWhole(b []byte, next int64, term uint64) (record.Batch, Kind, string) {
	if n := min(len(b), record.HeaderSize); bytes.Count(b[:n], []byte{0}) == n {
		return nil, 0, preallocated
	}
	batch, _, err := record.Split(b)
	switch {
	case err != nil:
		return nil, 0, err.Error()
	case batch.BaseOffset() != next:
		return nil, 0, fmt.Sprintf("offset %d where %d was due", batch.BaseOffset(), next)
	case batch.LeaderEpoch() < 0 || uint64(batch.LeaderEpoch()) < term:
		return nil, 0, fmt.Sprintf("leader epoch %d after %d", batch.LeaderEpoch(), term)
	case !batch.ValidCRC():
		return nil, 0, "bad CRC"
	}
	kind, _, err := entryKind(batch)
	if err != nil {
		return nil, 0, err.Error()
	}
	if kind == KindData && batch.LastOffsetDelta() < 0 {
		return nil, 0, "negative offset delta"
	}
	return batch, kind, ""
}

func (l *Log) note(cut int64, why string) {
	l.recovery.Cut += cut
	if l.recovery.CutReason == "" {
		l.recovery.CutReason = why
	}
	l.opts.Logger.Warn("log tail cut at the last whole batch", "dir", l.dir, "bytes", cut, "reason", why)
}

// dropAfter removes segments beyond a cut: what they hold was never acknowledged.
func (l *Log) dropAfter(bases []int64) error {
	for _, base := range bases {
		s := newSegment(l.dir, base, segmentHeader{})
		s.files.cache = l.opts.Files
		if size, err := fileSize(s.path(dataSuffix)); err == nil {
			l.note(size, fmt.Sprintf("%s lies beyond the cut", s.path(dataSuffix)))
		}
		if err := s.remove(); err != nil {
			return err
		}
		l.recovery.Dropped++
	}
	return nil
}
