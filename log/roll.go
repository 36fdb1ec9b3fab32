package log

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"

	"quorumlog/internal/durable"
	"quorumlog/record"
)

// mapSlack is the room that the active segment's mapping has beyond segment.bytes: a segment
// may exceed its limit by one batch. It is also the largest batch that can be appended.
const mapSlack = 256 << 20

// mustRoll reports whether the entry belongs in a new segment. A segment without offsets never
// rolls: its successor would have the same name.
func (l *Log) mustRoll(s *segment, e *Entry) bool {
	if s.nextOffset.Load() == s.baseOffset {
		return false
	}
	n := int64(len(e.Data))
	if e.Kind != KindData {
		n += controlOverhead
	}
	return s.size.Load()+n > l.segmentBytes.Load() ||
		s.entries.Load() >= maxSegmentEntries ||
		s.nextOffset.Load()-s.baseOffset > math.MaxInt32 ||
		l.tooOld(s, e)
}

// noteFirst remembers what segment.ms counts from, as Kafka does: the timestamp of the segment's
// first batch or, negated, the wall clock where that has none.
func (l *Log) noteFirst(s *segment, timestamp int64) {
	if s.firstAppend.Load() != 0 {
		return
	}
	if timestamp <= 0 {
		timestamp = -l.opts.Now().UnixMilli()
	}
	s.firstAppend.Store(timestamp)
}

// tooOld reports whether segment.ms lies between the segment's first batch and this one. Where
// batches have timestamps these decide, so a clock that jumps rolls nothing.
func (l *Log) tooOld(s *segment, e *Entry) bool {
	first, limit := s.firstAppend.Load(), l.segmentMs.Load()-s.jitter
	switch {
	case e.Kind != KindData || len(e.Data) < record.HeaderSize || first == 0:
		return false
	case first < 0:
		return l.opts.Now().UnixMilli()+first > limit
	}
	return record.Batch(e.Data).MaxTimestamp()-first > limit
}

func (l *Log) newJitter() int64 {
	if l.opts.SegmentJitterMs <= 0 {
		return 0
	}
	return rand.Int64N(min(l.opts.SegmentJitterMs, l.segmentMs.Load()))
}

// roll seals the active segment and begins another; the caller holds mu.
func (l *Log) roll() (*segment, error) {
	old := l.active()
	h, err := old.acquire()
	if err != nil {
		return nil, err
	}
	defer h.free()
	next, n, err := l.create(old.nextOffset.Load(), segmentHeader{baseIndex: old.nextIndex(), prevTerm: old.endTerm})
	if err != nil {
		return nil, err
	}
	// The file before is made durable with the new one: so whatever stands in a segment that has a
	// successor with entries was once on disk, and when it is not there any more it is damage, no
	// torn tail.
	err = l.opts.Syncer.sync([]*os.File{h.file, n.file}, []string{l.dir})
	n.free()
	if err != nil {
		next.remove()
		return nil, err
	}
	if err := old.seal(h); err != nil {
		next.remove()
		return nil, errors.Join(err, durable.Dir(l.dir))
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
	s.files.mu.Lock()
	s.files.verified = true
	s.sealed.Store(true)
	s.files.mu.Unlock()
	if err := s.writeTimes(); err != nil {
		return fmt.Errorf("time index: %w", err)
	}
	return nil
}

// create makes a segment's files and returns it unpublished, with the files, which the caller
// releases. They are not durable yet.
func (l *Log) create(base int64, hdr segmentHeader) (*segment, *handle, error) {
	s := newSegment(l.dir, base, hdr)
	s.files.cache, s.files.verified = l.opts.Files, true
	s.files.mapSize = l.segmentBytes.Load() + mapSlack
	s.jitter = l.newJitter()
	h, err := s.acquireNew(hdr)
	if err != nil {
		s.remove()
		return nil, nil, err
	}
	return s, h, nil
}

// createFile makes the data file. What an earlier, unfinished attempt left behind holds nothing
// that was acknowledged.
func (s *segment) createFile(hdr segmentHeader) (*os.File, error) {
	f, err := os.OpenFile(s.path(dataSuffix), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	if err = s.files.cache.allocate(f, 0, minStep); err == nil {
		s.allocated = minStep
		_, err = f.WriteAt(hdr.append(nil, s.baseOffset), 0)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// TruncateSuffix removes the entry at Raft index from and everything after it. It belongs to
// the writer, and returns when the removal is durable: removed entries cannot come back.
func (l *Log) TruncateSuffix(from uint64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(); err != nil {
		return err
	}
	return l.truncate(from)
}

// truncate is TruncateSuffix for who holds mu.
func (l *Log) truncate(from uint64) error {
	segs := l.list()
	if from > l.active().nextIndex() || from < segs[0].baseIndex || from < l.Dense() {
		return fmt.Errorf("truncate %s at entry %d: %w", l.dir, from, ErrNotFound)
	}
	keep := len(segs)
	for keep > 1 && segs[keep-1].baseIndex >= from && !segs[keep-2].compacted { // that is not written to again
		keep--
	}
	l.publish(segs[:keep:keep])
	// From the last one on, each durably, so that a crash never leaves a gap.
	for _, s := range slices.Backward(segs[keep:]) {
		if err := errors.Join(s.remove(), durable.Dir(l.dir)); err != nil {
			l.failed = err
			return fmt.Errorf("%w: %w", ErrFailed, err)
		}
	}
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
	defer h.free()
	if n < int(s.entries.Load()) {
		if err := s.cut(h, n); err != nil {
			return err
		}
	}
	e := l.epochs.Load().truncated(s.nextOffset.Load(), s.endTerm)
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
		h, err := s.acquire() // verifies the index
		if err != nil {
			return nil, err
		}
		h.free()
		s.sealed.Store(false)
		s.files.remap(max(limit, s.size.Load()) + mapSlack)
	}
	h, err := s.acquire()
	if err != nil {
		return nil, err
	}
	st, err := h.file.Stat()
	if err != nil {
		h.free()
		return nil, err
	}
	s.allocated = st.Size()
	return h, nil
}

// cut forgets all but the first n entries.
func (s *segment) cut(h *handle, n int) error {
	newest, err := s.prefixMaxTimestamp(h, n)
	if err != nil {
		return err
	}
	x := h.index.at(n)
	s.entries.Store(int64(n))
	s.size.Store(int64(x.pos))
	s.nextOffset.Store(s.baseOffset + int64(x.rel))
	s.maxTimestamp.Store(newest)
	s.flushed.Store(min(s.flushed.Load(), int64(n)))
	s.vouched = min(s.vouched, int64(n))
	s.indexCRC, s.endTerm = h.index.checksum(n), s.prevTerm
	if n > 0 {
		s.endTerm = uint64(h.index.at(n - 1).term)
	}
	if s.nextOffset.Load() == s.baseOffset {
		s.firstAppend.Store(0)
	}
	hidden := hiddenBelow(*s.hidden.Load(), n)
	s.hidden.Store(&hidden)
	s.truncateTimes(n)
	return nil
}

// hiddenBelow returns the ordinals below n; the result may be appended to.
func hiddenBelow(hidden []uint32, n int) []uint32 {
	for len(hidden) > 0 && int(hidden[len(hidden)-1]) >= n {
		hidden = hidden[:len(hidden)-1]
	}
	return slices.Clip(hidden)
}
