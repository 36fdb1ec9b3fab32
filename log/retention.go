package log

import (
	"errors"
	"os"
	"time"

	"quorumlog/internal/durable"
)

// Retention says what may be deleted: Kafka's retention.ms and retention.bytes, -1 for no limit.
type Retention struct {
	Ms    int64
	Bytes int64
}

// Retain deletes the oldest segments that lie wholly below committed and are below the log
// start, older than the retention time by their newest record, or more than the size limit
// needs; the log start moves with them. Only entries that the last checkpoint speaks of are
// deleted, because a restart replays the others: write one before. The active segment is sealed
// first when all there is has expired. It returns the bytes freed.
func (l *Log) Retain(r Retention, committed int64) (freed int64, err error) {
	doomed, err := l.unlist(r, committed)
	for _, s := range doomed {
		freed += s.size.Load()
		space := s.space()
		// From the first one on, each durably, so that a crash never leaves a gap.
		if e := errors.Join(s.remove(), durable.Dir(l.dir)); e != nil && err == nil {
			err = e
		}
		l.opts.Files.vacating.vacate(space)
	}
	return freed, err
}

// unlist takes the segments that may go off the list.
func (l *Log) unlist(r Retention, committed int64) ([]*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(); err != nil {
		return nil, err
	}
	now := l.opts.Now()
	segs := l.list()
	n := l.deletable(segs, r, committed, now)
	if last := len(segs) - 1; n == last && segs[n].nextOffset.Load() <= committed && segs[n].expired(r.Ms, now) {
		if _, err := l.roll(); err != nil {
			return nil, err
		}
		segs = l.list()
		n = l.deletable(segs, r, committed, now)
	}
	if n > 0 {
		l.setStart(segs[n].baseOffset)
		l.publish(segs[n:])
	}
	return segs[:n], nil
}

// deletable counts the leading segments that may go; the active one never does.
func (l *Log) deletable(segs []*segment, r Retention, committed int64, now time.Time) int {
	size := int64(0)
	for _, s := range segs {
		size += s.size.Load()
	}
	start := l.start.Load()
	n := 0
	for _, s := range segs[:len(segs)-1] {
		if s.nextOffset.Load() > committed || s.nextIndex() > l.checkpointed.Load()+1 {
			break
		}
		below := s.nextOffset.Load() <= start
		tooMuch := r.Bytes >= 0 && size-s.size.Load() >= r.Bytes
		if !below && !tooMuch && !s.expired(r.Ms, now) {
			break
		}
		size -= s.size.Load()
		n++
	}
	return n
}

// expired reports whether the newest record of the segment is older than ms. Records without a
// timestamp count from when the file was last written.
func (s *segment) expired(ms int64, now time.Time) bool {
	if ms < 0 || s.nextOffset.Load() == s.baseOffset {
		return false
	}
	newest := s.maxTimestamp.Load()
	if newest < 0 {
		st, err := os.Stat(s.path(dataSuffix))
		if err != nil {
			return false
		}
		newest = st.ModTime().UnixMilli()
	}
	return now.UnixMilli()-newest > ms
}
