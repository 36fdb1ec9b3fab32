package log

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"sync/atomic"

	"quorumlog/record"
)

// Suffixes of a segment's files; the stem is its base offset in 20 digits.
const (
	dataSuffix  = ".log"
	indexSuffix = ".index"
	timeSuffix  = ".time"
)

// maxSegmentEntries bounds a segment's index mapping; a fuller segment rolls.
const maxSegmentEntries = 16 << 20

// segment is a run of consecutive Raft entries in one data file. The log's writer alone changes
// it; what readers may see is published by the atomics, entries last.
type segment struct {
	dir        string
	baseOffset int64
	baseIndex  uint64 // Raft index of the first entry
	prevTerm   uint64 // term of the entry before the first
	files      fileSlot
	sealed     atomic.Bool

	entries      atomic.Int64 // Raft entries
	size         atomic.Int64 // bytes of data, header included; the file may be preallocated further
	nextOffset   atomic.Int64
	maxTimestamp atomic.Int64 // ms; -1 while there is none
	firstAppend  atomic.Int64 // wall clock ms of the first data append, for segment.ms; 0 while empty

	// hidden lists the ordinals of entries that occupy no offset: fetches step over them.
	hidden atomic.Pointer[[]uint32]
	times  atomic.Pointer[[]timeEntry]

	flushed atomic.Int64 // entries whose index records are known to be durable

	headerSize int64
	allocated  int64 // bytes preallocated in the data file (active segment only)
	mapSize    int64
}

func newSegment(dir string, baseOffset int64, h segmentHeader) *segment {
	s := &segment{dir: dir, baseOffset: baseOffset, baseIndex: h.baseIndex, prevTerm: h.prevTerm}
	s.headerSize = int64(len(h.append(nil, baseOffset)))
	s.size.Store(s.headerSize)
	s.nextOffset.Store(baseOffset)
	s.maxTimestamp.Store(-1)
	s.hidden.Store(&[]uint32{})
	s.times.Store(&[]timeEntry{})
	return s
}

func (s *segment) path(suffix string) string {
	return filepath.Join(s.dir, segmentStem(s.baseOffset)+suffix)
}

func segmentStem(base int64) string { return fmt.Sprintf("%020d", base) }

// parseStem returns the base offset that a data file is named for.
func parseStem(name string) (int64, bool) {
	if len(name) != 20+len(dataSuffix) || filepath.Ext(name) != dataSuffix {
		return 0, false
	}
	n, err := strconv.ParseInt(name[:20], 10, 64)
	return n, err == nil && n >= 0
}

// nextIndex is the Raft index after the last entry.
func (s *segment) nextIndex() uint64 { return s.baseIndex + uint64(s.entries.Load()) }

// lastTerm is the term of the last entry, or of the one before the segment.
func (s *segment) lastTerm(h *handle) uint64 {
	if n := s.entries.Load(); n > 0 {
		return uint64(h.index.at(int(n - 1)).term)
	}
	return s.prevTerm
}

// end returns where entry i ends in the data file.
func (s *segment) end(h *handle, i, entries int) int64 {
	if i+1 < entries {
		return int64(h.index.at(i + 1).pos)
	}
	return s.size.Load()
}

// batch returns the stored bytes of entry i. They stay valid while h is held.
func (s *segment) batch(h *handle, i int) (record.Batch, slot, error) {
	entries := int(s.entries.Load())
	if i < 0 || i >= entries {
		return nil, slot{}, fmt.Errorf("%s: entry %d of %d: %w", s.path(dataSuffix), i, entries, ErrNotFound)
	}
	x := h.index.at(i)
	end := s.end(h, i, entries)
	if int64(x.pos)+record.HeaderSize > end || end > s.mapSize {
		return nil, slot{}, corrupt(s.path(indexSuffix), "entry %d lies at [%d,%d)", i, x.pos, end)
	}
	return record.Batch(h.data[x.pos:end]), x, nil
}

// find returns the first entry, of those given, whose last offset is at least offset: the one
// that holds it, or the next that occupies any.
func (s *segment) find(h *handle, offset int64, entries int) int {
	rel := uint32(offset - s.baseOffset)
	// The entry before the first one that begins beyond offset.
	i := sort.Search(entries, func(i int) bool { return h.index.at(i).rel > rel }) - 1
	return max(i, 0)
}

// ordinalAtPos returns the number of entries that begin before file position pos.
func (s *segment) ordinalAtPos(h *handle, pos int64, entries int) int {
	return sort.Search(entries, func(i int) bool { return int64(h.index.at(i).pos) >= pos })
}

func (s *segment) addHidden(i uint32) {
	old := *s.hidden.Load()
	grown := append(slices.Clip(old), i)
	s.hidden.Store(&grown)
}

// remove deletes the segment's files. A reader that holds them keeps them until it lets go.
func (s *segment) remove() error {
	s.files.drop()
	var first error
	for _, suffix := range []string{dataSuffix, indexSuffix, timeSuffix} {
		if err := os.Remove(s.path(suffix)); err != nil && !os.IsNotExist(err) && first == nil {
			first = err
		}
	}
	return first
}
