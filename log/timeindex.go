package log

import (
	"encoding/binary"
	"hash/crc32"
	"os"
	"slices"
	"sort"
)

// The time index maps timestamps to entries, sparsely: a record says that the entry `ordinal` is
// the first of its segment to reach `timestamp`. Timestamps rise strictly from record to record.
// The active segment keeps its records in memory; they are written at a checkpoint and when it
// is sealed. Without the file a search is slower, never wrong.
//
//	header  16 bytes: "QLTM", format uint16, zero uint16, records uint32, CRC32C of the records uint32
//	record  12 bytes: timestamp int64 ms, entry's ordinal in the segment uint32
const (
	timeHeaderSize = 16
	timeEntrySize  = 12
	timeFormat     = 1
)

var timeMagic = [4]byte{'Q', 'L', 'T', 'M'}

// timeInterval is how much data lies between two records of the time index, bytes.
const timeInterval = 64 << 10

type timeEntry struct {
	timestamp int64
	ordinal   uint32
}

// noteTime records that entry `ordinal`, which begins at position pos, has this max timestamp.
func (s *segment) noteTime(timestamp int64, ordinal uint32, pos int64) {
	if timestamp <= s.maxTimestamp.Load() {
		return
	}
	s.maxTimestamp.Store(timestamp)
	times := s.timeEntries()
	if len(times) > 0 && int64(len(times)) > pos/timeInterval {
		return
	}
	grown := append(times, timeEntry{timestamp, ordinal}) // readers see only their own length
	s.times.Store(&grown)
}

// scanFrom returns the ordinal at which a search for the first record at or after timestamp
// may begin: everything before it is earlier.
func (s *segment) scanFrom(timestamp int64) int {
	times := s.timeEntries()
	i := sort.Search(len(times), func(i int) bool { return times[i].timestamp >= timestamp })
	if i == 0 {
		return 0
	}
	return int(times[i-1].ordinal)
}

// prefixMaxTimestamp is the largest timestamp of the first n entries, -1 for none.
func (s *segment) prefixMaxTimestamp(h *handle, n int) (int64, error) {
	times := s.timeEntries()
	newest, from := int64(-1), 0
	if k := sort.Search(len(times), func(i int) bool { return int(times[i].ordinal) >= n }); k > 0 {
		newest, from = times[k-1].timestamp, int(times[k-1].ordinal)
	}
	for i := from; i < n; i++ {
		b, x, err := s.batch(h, i)
		if err != nil {
			return -1, err
		}
		if x.kind == KindData {
			newest = max(newest, b.MaxTimestamp())
		}
	}
	return newest, nil
}

func (s *segment) truncateTimes(entries int) {
	times := s.timeEntries()
	n := sort.Search(len(times), func(i int) bool { return int(times[i].ordinal) >= entries })
	kept := slices.Clone(times[:n])
	s.times.Store(&kept)
}

func (s *segment) writeTimes() error {
	return os.WriteFile(s.path(timeSuffix), encodeTimes(s.timeEntries()), 0o644)
}

func encodeTimes(times []timeEntry) []byte {
	b := make([]byte, timeHeaderSize, timeHeaderSize+len(times)*timeEntrySize)
	for _, t := range times {
		b = binary.BigEndian.AppendUint64(b, uint64(t.timestamp))
		b = binary.BigEndian.AppendUint32(b, t.ordinal)
	}
	copy(b, timeMagic[:])
	binary.BigEndian.PutUint16(b[4:], timeFormat)
	binary.BigEndian.PutUint32(b[8:], uint32(len(times)))
	binary.BigEndian.PutUint32(b[12:], crc32.Checksum(b[timeHeaderSize:], castagnoli))
	return b
}

// timeEntries are the records, read from their file where recovery left that for later.
func (s *segment) timeEntries() []timeEntry {
	if p := s.times.Load(); p != nil {
		return *p
	}
	b, err := os.ReadFile(s.path(timeSuffix))
	times := []timeEntry{}
	if err == nil {
		times = decodeTimes(b, s.vouched)
	}
	s.times.CompareAndSwap(nil, &times)
	return *s.times.Load()
}

// decodeTimes returns the records of the first n entries; none of a file that is damaged.
func decodeTimes(b []byte, n int64) []timeEntry {
	times := []timeEntry{}
	if len(b) < timeHeaderSize || [4]byte(b[:4]) != timeMagic || binary.BigEndian.Uint16(b[4:]) != timeFormat {
		return times
	}
	body := b[timeHeaderSize:]
	if int64(len(body)) != int64(binary.BigEndian.Uint32(b[8:]))*timeEntrySize || crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[12:]) {
		return times
	}
	last := int64(-1)
	for ; len(body) > 0; body = body[timeEntrySize:] {
		t := timeEntry{int64(binary.BigEndian.Uint64(body)), binary.BigEndian.Uint32(body[8:])}
		if t.timestamp <= last || int64(t.ordinal) >= n {
			break
		}
		last = t.timestamp
		times = append(times, t)
	}
	return times
}
