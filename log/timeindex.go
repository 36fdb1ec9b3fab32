package log

import (
	"encoding/binary"
	"os"
	"slices"
	"sort"
)

// The time index maps timestamps to offsets, sparsely: a record says that the
// entry `ordinal` is the first of its segment to reach `timestamp`. Timestamps rise strictly from record to record. The active segment keeps its
// records in memory; they are written when it is sealed, and rebuilt from the data otherwise.
//
//	record  12 bytes: timestamp int64 ms, entry's ordinal in the segment uint32
const timeEntrySize = 12

// timeInterval is how much data lies between two records of the time index, bytes.
const timeInterval = 64 << 10

type timeEntry struct {
	timestamp int64
	ordinal   uint32
}

// noteTime records that entry `ordinal`, which ends at position end, has this max timestamp.
func (s *segment) noteTime(timestamp int64, ordinal uint32, end int64) {
	if timestamp <= s.maxTimestamp.Load() {
		return
	}
	s.maxTimestamp.Store(timestamp)
	times := *s.times.Load()
	if len(times) > 0 && int64(len(times)) > end/timeInterval {
		return
	}
	grown := append(times, timeEntry{timestamp, ordinal}) // readers see only their own length
	s.times.Store(&grown)
}

// scanFrom returns the ordinal at which a search for the first record at or after timestamp
// may begin: everything before it is earlier.
func (s *segment) scanFrom(timestamp int64) int {
	if s.times.Load() == nil {
		s.loadTimes()
	}
	times := *s.times.Load()
	i := sort.Search(len(times), func(i int) bool { return times[i].timestamp >= timestamp })
	if i == 0 {
		return 0
	}
	return int(times[i-1].ordinal)
}

func (s *segment) truncateTimes(entries int) {
	times := *s.times.Load()
	n := sort.Search(len(times), func(i int) bool { return int(times[i].ordinal) >= entries })
	kept := slices.Clone(times[:n])
	s.times.Store(&kept)
}

func (s *segment) writeTimes() error {
	times := *s.times.Load()
	b := make([]byte, 0, len(times)*timeEntrySize)
	for _, t := range times {
		b = binary.BigEndian.AppendUint64(b, uint64(t.timestamp))
		b = binary.BigEndian.AppendUint32(b, t.ordinal)
	}
	return os.WriteFile(s.path(timeSuffix), b, 0o644)
}

// loadTimes reads the time index that recovery left for later. A missing or odd file means a
// slower search, never a wrong one.
func (s *segment) loadTimes() {
	if s.times.Load() != nil {
		return
	}
	s.times.CompareAndSwap(nil, s.readTimes())
}

func (s *segment) readTimes() *[]timeEntry {
	b, err := os.ReadFile(s.path(timeSuffix))
	if err != nil || len(b)%timeEntrySize != 0 {
		return &[]timeEntry{}
	}
	times := make([]timeEntry, 0, len(b)/timeEntrySize)
	last := int64(-1)
	for ; len(b) > 0; b = b[timeEntrySize:] {
		t := timeEntry{int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[8:])}
		if t.timestamp <= last || int64(t.ordinal) >= s.entries.Load() {
			break
		}
		last = t.timestamp
		times = append(times, t)
	}
	return &times
}
