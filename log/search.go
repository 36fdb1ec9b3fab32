package log

import (
	"errors"

	"quorumlog/record"
)

// maxDecompressed bounds what a search by timestamp unpacks of one batch, bytes.
const maxDecompressed = 256 << 20

// TimestampOffset is the answer to a search by time.
type TimestampOffset struct {
	Offset    int64 // -1 when there is none
	Timestamp int64 // ms
	Epoch     int32
}

var noOffset = TimestampOffset{-1, -1, -1}

// OffsetForTimestamp returns the first record below limit whose timestamp (ms) is at least ts.
func (l *Log) OffsetForTimestamp(ts, limit int64) (TimestampOffset, error) {
	for {
		found, err := l.offsetForTimestamp(ts, limit)
		if !errors.Is(err, errSegmentRemoved) {
			return found, err
		} // by retention or compaction, after the list was taken
	}
}

func (l *Log) offsetForTimestamp(ts, limit int64) (TimestampOffset, error) {
	start := l.StartOffset()
	for _, s := range l.list() {
		if s.maxTimestamp.Load() < ts || s.nextOffset.Load() <= start {
			continue
		}
		found, err := s.searchTime(ts, start, limit)
		if err != nil || found.Offset >= 0 {
			return found, err
		}
	}
	return noOffset, nil
}

// MaxTimestamp returns the record below limit with the largest timestamp, the first of equals.
func (l *Log) MaxTimestamp(limit int64) (TimestampOffset, error) {
	for {
		found, err := l.findMaxTimestamp(limit)
		if !errors.Is(err, errSegmentRemoved) {
			return found, err
		}
	}
}

func (l *Log) findMaxTimestamp(limit int64) (TimestampOffset, error) {
	best := noOffset
	start := l.StartOffset()
	for _, s := range l.list() {
		if s.maxTimestamp.Load() <= best.Timestamp || s.nextOffset.Load() <= start {
			continue
		}
		largest, err := s.largestBatchTime(best.Timestamp, start, limit)
		if err != nil {
			return noOffset, err
		}
		if largest <= best.Timestamp {
			continue
		}
		if best, err = s.searchTime(largest, start, limit); err != nil {
			return noOffset, err
		}
	}
	return best, nil
}

func (s *segment) searchTime(ts, start, limit int64) (TimestampOffset, error) {
	entries := int(s.entries.Load())
	h, err := s.acquire()
	if err != nil {
		return noOffset, err
	}
	defer h.free()
	for i := s.scanFrom(ts); i < entries; i++ {
		b, x, err := s.batch(h, i)
		if err != nil {
			return noOffset, err
		}
		if x.kind != KindData || b.MaxTimestamp() < ts || b.LastOffset() < start {
			continue
		}
		if b.BaseOffset() >= limit {
			break
		}
		found, err := firstAtOrAfter(b, ts, start)
		if err != nil || found.Offset >= limit {
			return noOffset, err
		}
		if found.Offset >= 0 {
			return found, nil
		}
	}
	return noOffset, nil
}

func firstAtOrAfter(b record.Batch, ts, start int64) (TimestampOffset, error) {
	records, errf := b.Records(maxDecompressed)
	for r := range records {
		if r.Timestamp >= ts && r.Offset >= start {
			return TimestampOffset{r.Offset, r.Timestamp, b.LeaderEpoch()}, nil
		}
	}
	return noOffset, errf()
}

func (s *segment) largestBatchTime(above, start, limit int64) (int64, error) {
	entries := int(s.entries.Load())
	h, err := s.acquire()
	if err != nil {
		return -1, err
	}
	defer h.free()
	for i := s.scanFrom(above + 1); i < entries; i++ {
		b, x, err := s.batch(h, i)
		if err != nil {
			return -1, err
		}
		if b.BaseOffset() >= limit {
			break
		}
		if x.kind == KindData && b.LastOffset() >= start && b.NumRecords() > 0 {
			above = max(above, b.MaxTimestamp())
		}
	}
	return above, nil
}
