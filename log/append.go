package log

import (
	"errors"
	"fmt"
	"math"
	"os"

	"quorumlog/record"
)

// ErrMismatch is returned when a batch that already has an offset does not continue the log:
// the replica has diverged and must stop.
var ErrMismatch = errors.New("batch does not continue the log")

// preallocation of the active data file: doubling steps, so that a small partition stays small.
const (
	minStep = 16 << 10
	maxStep = 16 << 20
)

// Append writes entries at the end, assigns offsets (and the entry's term as leader epoch) to
// batches that have none, and returns before they are durable: see Sync. Entries must continue
// the Raft log. On an error nothing was appended, unless the error wraps ErrFailed.
func (l *Log) Append(entries []Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(); err != nil {
		return err
	}
	if len(entries) == 0 {
		return nil
	}
	if first := l.active().nextIndex(); entries[0].Index != first {
		return fmt.Errorf("append entry %d to %s, which ends at %d: %w", entries[0].Index, l.dir, first-1, ErrMismatch)
	}
	for rest := entries; len(rest) > 0; {
		n, err := l.appendRun(rest)
		if err == nil {
			rest = rest[n:]
			continue
		}
		if len(rest) < len(entries) && l.failed == nil {
			if e := l.truncate(entries[0].Index); e != nil {
				err = errors.Join(err, e)
			}
		}
		return err
	}
	return nil
}

// unassigned marks the base offset of a batch that StoreLogs has yet to number.
const unassigned = -1

// appendRun appends as many entries as fit the active segment, at least one.
func (l *Log) appendRun(entries []Entry) (int, error) {
	s := l.active()
	if l.mustRoll(s, &entries[0]) {
		var err error
		if s, err = l.roll(); err != nil {
			return 0, err
		}
	}
	h, err := s.acquire()
	if err != nil {
		return 0, err
	}
	r := &l.run
	defer r.reset()
	if err = s.plan(r, entries, l.segmentBytes.Load()); err == nil {
		err = s.reserve(h, r, l.segmentBytes.Load())
	}
	if err != nil {
		h.free()
		return 0, err
	}
	if err := writev(h.file, s.size.Load(), r.bufs); err != nil {
		// Bytes beyond the published size are never read, and recovery cuts them.
		e := zeroRange(h.file, s.size.Load(), r.bytes)
		h.free()
		if e != nil {
			l.failed = err
			return 0, fmt.Errorf("%w: %w", ErrFailed, err)
		}
		return 0, err
	}
	l.commitRun(s, h, r)
	if n := len(l.unsynced); n > 0 && l.unsynced[n-1] == h {
		h.free() // one reference will do; Sync releases it
	} else {
		l.unsynced = append(l.unsynced, h)
	}
	return len(r.slots), nil
}

// run is a planned write: consecutive entries for one segment.
type run struct {
	bufs  [][]byte
	slots []slot
	ends  []int64 // next offset after each entry
	times []int64 // max timestamp of each, -1 for none
	bytes int64
}

// reset keeps the room and lets go of the batches.
func (r *run) reset() {
	clear(r.bufs[:cap(r.bufs)])
	r.bufs, r.slots, r.ends, r.times, r.bytes = r.bufs[:0], r.slots[:0], r.ends[:0], r.times[:0], 0
}

// plan numbers the entries and lays them out after the segment's end.
func (s *segment) plan(r *run, entries []Entry, limit int64) error {
	next, pos := s.nextOffset.Load(), s.size.Load()
	for i := range entries {
		e := &entries[i]
		if i > 0 && e.Index != entries[i-1].Index+1 {
			return fmt.Errorf("entry %d after %d: %w", e.Index, entries[i-1].Index, ErrMismatch)
		}
		b, err := encode(e, next)
		if err != nil {
			return err
		}
		if i > 0 && (pos+int64(len(b)) > limit || int(s.entries.Load())+i >= maxSegmentEntries || next-s.baseOffset > math.MaxInt32) {
			break
		}
		r.bufs = append(r.bufs, b)
		r.slots = append(r.slots, slot{uint32(pos), uint32(next - s.baseOffset), uint32(e.Term), e.Kind})
		ts := int64(-1)
		if e.Kind == KindData {
			next, ts = b.NextOffset(), b.MaxTimestamp()
		}
		r.ends, r.times = append(r.ends, next), append(r.times, ts)
		pos += int64(len(b))
	}
	r.bytes = pos - s.size.Load()
	return nil
}

// encode returns the stored form of an entry that begins at offset next.
func encode(e *Entry, next int64) (record.Batch, error) {
	if e.Kind != KindData {
		return appendControl(make([]byte, 0, controlOverhead+len(e.Data)), next, e.Term, controlKind+int16(e.Kind), e.Data), nil
	}
	b := record.Batch(e.Data)
	if len(b) < record.HeaderSize || len(b) > mapSlack || b.LastOffsetDelta() < 0 {
		return nil, fmt.Errorf("entry %d is not a batch that can be stored: %w", e.Index, ErrMismatch)
	}
	switch base := b.BaseOffset(); {
	case base == unassigned:
		b.SetBaseOffset(next)
		b.SetLeaderEpoch(int32(e.Term))
	case base != next || b.LeaderEpoch() != int32(e.Term):
		return nil, fmt.Errorf("entry %d has offset %d and epoch %d, the log continues at %d in epoch %d: %w",
			e.Index, base, b.LeaderEpoch(), next, e.Term, ErrMismatch)
	}
	return b, nil
}

// reserve makes sure of disk space for the run, in the data file and in the index.
func (s *segment) reserve(h *handle, r *run, limit int64) error {
	end := s.size.Load() + r.bytes
	if err := h.index.reserve(int(s.entries.Load())+len(r.slots), end); err != nil {
		return err
	}
	if end <= s.allocated {
		return nil
	}
	step := min(max(s.allocated, minStep), maxStep)
	target := max(end, min(s.allocated+step, limit))
	allocate := s.files.cache.allocate
	if err := allocate(h.file, s.allocated, target-s.allocated); err != nil {
		// Close to a full disk the step may not fit where the run itself does.
		if err := allocate(h.file, s.allocated, end-s.allocated); err != nil {
			return err
		}
		target = end
	}
	s.allocated = target
	return nil
}

// commitRun publishes a written run to readers, the entry count last.
func (l *Log) commitRun(s *segment, h *handle, r *run) {
	n := int(s.entries.Load())
	hist, grown := *l.epochs.Load(), false
	for i, x := range r.slots {
		s.put(h, n+i, x)
		if x.kind != KindData {
			s.addHidden(uint32(n + i))
		} else {
			l.noteFirst(s, r.times[i])
			s.noteTime(r.times[i], uint32(n+i), int64(x.pos))
		}
		if len(hist) == 0 || int32(x.term) > hist[len(hist)-1].Epoch {
			hist, grown = hist.with(uint64(x.term), s.baseOffset+int64(x.rel)), true
		}
	}
	if grown {
		now := hist // hist itself stays off the heap
		l.epochs.Store(&now)
	}
	s.size.Add(r.bytes)
	s.nextOffset.Store(r.ends[len(r.ends)-1])
	s.entries.Add(int64(len(r.slots)))
}

// Sync returns once everything appended before is durable, and everything that recovery has read
// or made. It belongs to the writer.
func (l *Log) Sync() error {
	l.mu.Lock()
	held, dirs, files := l.unsynced, l.unsettled, l.room.files
	l.unsynced, l.unsettled, l.room = l.room.held, nil, syncRoom{}
	err := l.check()
	if err == nil && dirs != nil && len(held) == 0 {
		var h *handle
		if h, err = l.active().acquire(); err == nil {
			held = append(held, h)
		} else {
			l.unsettled = dirs
		}
	}
	l.mu.Unlock()
	if len(held) == 0 {
		return err
	}
	if err == nil {
		for _, h := range held {
			files = append(files, h.file)
		}
		if err = l.opts.Syncer.sync(files, dirs); err != nil {
			// After a failed sync the kernel may have dropped the dirty pages: only a fresh
			// recovery knows what is on disk.
			l.fail(err)
			err = fmt.Errorf("%s: %w: %w", l.dir, ErrFailed, err)
		}
	}
	for _, h := range held {
		h.free()
	}
	clear(held)
	clear(files)
	l.mu.Lock()
	l.room = syncRoom{held[:0], files[:0]}
	l.mu.Unlock()
	return err
}

// syncRoom is memory that the next Sync uses again: there is one for almost every batch.
type syncRoom struct {
	held  []*handle
	files []*os.File
}

func (l *Log) fail(err error) {
	l.mu.Lock()
	if l.failed == nil {
		l.failed = err
	}
	l.mu.Unlock()
}
