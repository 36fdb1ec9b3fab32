package log

import (
	"fmt"
	"math"
	"os"
)

// mapSlack is the room that the active segment's mapping has beyond segment.bytes: a segment
// may exceed its limit by one batch. It is also the largest batch that can be appended.
const mapSlack = 256 << 20

// mustRoll reports whether n more bytes belong in a new segment. A segment without offsets
// never rolls: its successor would have the same name.
func (l *Log) mustRoll(s *segment, n int) bool {
	if s.nextOffset.Load() == s.baseOffset {
		return false
	}
	first := s.firstAppend.Load()
	return s.size.Load()+int64(n) > l.segmentBytes.Load() ||
		s.entries.Load() >= maxSegmentEntries ||
		s.nextOffset.Load()-s.baseOffset > math.MaxInt32 ||
		first > 0 && l.opts.Now().UnixMilli()-first >= l.segmentMs.Load()
}

// roll seals the active segment and begins another; the caller holds mu.
func (l *Log) roll() (*segment, error) {
	old := l.active()
	h, err := old.acquire()
	if err != nil {
		return nil, err
	}
	defer old.release(h)
	next, err := l.create(old.nextOffset.Load(), segmentHeader{old.nextIndex(), old.lastTerm(h)})
	if err != nil {
		return nil, err
	}
	if err := old.seal(h); err != nil {
		next.remove()
		return nil, err
	}
	l.publish(append(l.list()[:len(l.list()):len(l.list())], next))
	return next, nil
}

// seal gives back preallocated space. Whether the data is durable is still the next Sync's.
func (s *segment) seal(h *handle) error {
	if err := h.file.Truncate(s.size.Load()); err != nil {
		return err
	}
	s.allocated = s.size.Load()
	s.sealed.Store(true)
	if err := s.writeTimes(); err != nil {
		return fmt.Errorf("time index: %w", err)
	}
	return nil
}

// create makes a segment's files, durable in their directory, and returns it unpublished.
func (l *Log) create(base int64, hdr segmentHeader) (*segment, error) {
	s := newSegment(l.dir, base, hdr)
	s.files.cache = l.opts.Files
	s.mapSize = l.segmentBytes.Load() + mapSlack
	if err := s.createFiles(hdr); err != nil {
		s.remove()
		return nil, err
	}
	h, err := s.acquire()
	if err != nil {
		s.remove()
		return nil, err
	}
	defer s.release(h)
	d, err := os.Open(l.dir)
	if err == nil {
		err = l.opts.Syncer.Sync(h.file, d)
		d.Close()
	}
	if err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (s *segment) createFiles(hdr segmentHeader) error {
	// What an earlier, unfinished attempt left behind holds nothing that was acknowledged.
	os.Remove(s.path(indexSuffix))
	f, err := os.OpenFile(s.path(dataSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := allocate(f, 0, minStep); err != nil {
		return err
	}
	s.allocated = minStep
	_, err = f.WriteAt(hdr.append(nil, s.baseOffset), 0)
	return err
}

// TruncateSuffix removes the entry at Raft index from and everything after it. It belongs to
// the writer, and returns when the removal is durable: removed entries cannot come back.
func (l *Log) TruncateSuffix(from uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(); err != nil {
		return err
	}
	segs := l.list()
	if from > l.active().nextIndex() || from < segs[0].baseIndex {
		return fmt.Errorf("truncate %s at entry %d: %w", l.dir, from, ErrNotFound)
	}
	keep := len(segs)
	for keep > 1 && segs[keep-1].baseIndex >= from {
		keep--
	}
	for _, s := range segs[keep:] {
		if err := s.remove(); err != nil {
			l.failed = err
			return fmt.Errorf("%w: %w", ErrFailed, err)
		}
	}
	l.publish(segs[:keep:keep])
	if err := l.truncateActive(int(from - l.active().baseIndex)); err != nil {
		l.failed = err
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return nil
}

// truncateActive keeps the first n entries of the last segment, which becomes active.
func (l *Log) truncateActive(n int) error {
	s := l.active()
	h, err := s.reactivate(l.segmentBytes.Load())
	if err != nil {
		return err
	}
	defer s.release(h)
	if n < int(s.entries.Load()) {
		x := h.index.at(n)
		s.cut(n, int64(x.pos), s.baseOffset+int64(x.rel))
	}
	e := l.epochs.Load().truncated(s.nextOffset.Load(), s.lastTerm(h))
	l.epochs.Store(&e)
	// Stale batches after the new end could be taken for its continuation by a later recovery:
	// they are wiped, durably, before anything is written there.
	if err := zeroRange(h.file, s.size.Load(), s.allocated-s.size.Load()); err != nil {
		return err
	}
	return l.opts.Syncer.Sync(h.file)
}

// reactivate makes a sealed segment writable again and returns its files.
func (s *segment) reactivate(limit int64) (*handle, error) {
	if s.sealed.Load() {
		s.loadTimes()
		s.files.reset()
		s.sealed.Store(false)
		s.mapSize = max(limit, s.size.Load()) + mapSlack
	}
	h, err := s.acquire()
	if err != nil {
		return nil, err
	}
	st, err := h.file.Stat()
	if err != nil {
		s.release(h)
		return nil, err
	}
	s.allocated = st.Size()
	return h, nil
}

// cut forgets all but the first n entries, which end at position size and offset next.
func (s *segment) cut(n int, size, next int64) {
	s.entries.Store(int64(n))
	s.size.Store(size)
	s.nextOffset.Store(next)
	hidden := *s.hidden.Load()
	for len(hidden) > 0 && int(hidden[len(hidden)-1]) >= n {
		hidden = hidden[:len(hidden)-1]
	}
	hidden = hidden[:len(hidden):len(hidden)]
	s.hidden.Store(&hidden)
	s.truncateTimes(n)
	times := *s.times.Load()
	if len(times) == 0 {
		s.maxTimestamp.Store(-1)
	}
}
