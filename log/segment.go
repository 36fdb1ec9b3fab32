package log

import (
	"fmt"
	"os"
	"path/filepath"
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
	// abortedSuffix is of the transactions that are aborted in the segment, where there are any.
	abortedSuffix = ".txn"
	// newSuffix is of a file that is yet to take another's place.
	newSuffix = ".new"
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
	compacted  bool   // it has lost batches, and does not change any more
	files      fileSlot
	sealed     atomic.Bool

	entries      atomic.Int64 // Raft entries; of a compacted segment those that are left
	size         atomic.Int64 // bytes of data, header included; the file may be preallocated further
	nextOffset   atomic.Int64
	maxTimestamp atomic.Int64 // ms; -1 while there is none
	firstAppend  atomic.Int64 // ms, what segment.ms counts from: see noteFirst; 0 while empty

	// hidden lists the ordinals of entries that occupy no offset: fetches step over them.
	hidden atomic.Pointer[[]uint32]
	times  atomic.Pointer[[]timeEntry]

	aborted abortedIndex

	flushed atomic.Int64 // entries whose index records are known to be durable

	headerSize int64
	allocated  int64  // bytes preallocated in the data file (active segment only)
	endTerm    uint64 // term of the last entry, or of the one before the segment
	indexCRC   uint32 // of the index's header and records so far
	vouched    int64  // entries that the checkpoint vouched for when the log was opened
	jitter     int64  // ms, taken off segment.ms

	span    int64  // Raft entries that a compacted segment stands for
	dataCRC uint32 // of a compacted segment's file, its entryMap excepted
}

func newSegment(dir string, baseOffset int64, h segmentHeader) *segment {
	s := &segment{dir: dir, baseOffset: baseOffset, baseIndex: h.baseIndex, prevTerm: h.prevTerm, compacted: h.compacted}
	s.endTerm, s.indexCRC = h.prevTerm, headerChecksum(h.baseIndex)
	s.headerSize = segmentHeaderSize
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
func (s *segment) nextIndex() uint64 { return s.baseIndex + uint64(s.raftEntries()) }

// raftEntries is the number of Raft entries that the segment stands for.
func (s *segment) raftEntries() int64 {
	if s.compacted {
		return s.span
	}
	return s.entries.Load()
}

// slotOf returns which index record is that of the segment's n-th Raft entry. Where compaction has
// removed that, it is the next one's, or the number of records.
func (s *segment) slotOf(h *handle, n int) (i int, there bool) {
	if !s.compacted {
		return n, true
	}
	entries := int(s.entries.Load())
	i = sort.Search(entries, func(i int) bool { return h.index.ordinal(i) >= n })
	return i, i < entries && h.index.ordinal(i) == n
}

// termOf is the term of the segment's n-th Raft entry.
func (s *segment) termOf(h *handle, n int) uint64 {
	if s.compacted {
		return h.terms.at(n)
	}
	return uint64(h.index.at(n).term)
}

// put writes the next index record, n, which is published by raising entries.
func (s *segment) put(h *handle, n int, x slot) {
	h.index.put(n, x)
	s.indexCRC = h.index.grown(s.indexCRC, n)
	s.endTerm = uint64(x.term)
}

// end returns where entry i, of those given, ends in the data file. The last one's end comes
// from its own header: the segment's size may have grown beyond it already.
func (s *segment) end(h *handle, i, entries int) int64 {
	if i+1 < entries {
		return int64(h.index.at(i + 1).pos)
	}
	pos := int64(h.index.at(i).pos)
	if pos+record.HeaderSize > min(s.size.Load(), int64(len(h.data))) {
		return pos
	}
	return pos + int64(record.Size(h.data[pos:]))
}

// batch returns the stored bytes of entry i. They stay valid while h is held.
func (s *segment) batch(h *handle, i int) (record.Batch, slot, error) {
	entries := int(s.entries.Load())
	if i < 0 || i >= entries {
		return nil, slot{}, fmt.Errorf("%s: entry %d of %d: %w", s.path(dataSuffix), i, entries, ErrNotFound)
	}
	x := h.index.at(i)
	end := s.end(h, i, entries)
	if int64(x.pos)+record.HeaderSize > end || end > int64(len(h.data)) || end > s.size.Load() {
		return nil, slot{}, corrupt(s.path(indexSuffix), "entry %d lies at [%d,%d)", i, x.pos, end)
	}
	b := record.Batch(h.data[x.pos:end:end])
	if b.BaseOffset() != s.baseOffset+int64(x.rel) || uint32(b.LeaderEpoch()) != x.term {
		return nil, slot{}, fmt.Errorf("%s: entry %d was replaced: %w", s.path(dataSuffix), i, ErrNotFound)
	}
	return b, x, nil
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

// sizeFrom is the bytes of the n-th Raft entry and those after it, 0 where the files cannot be
// opened.
func (s *segment) sizeFrom(n int) int64 {
	h, err := s.acquire()
	if err != nil {
		return 0
	}
	defer h.free()
	i, there := s.slotOf(h, n)
	if !there && i == int(s.entries.Load()) {
		return 0
	}
	return s.size.Load() - int64(h.index.at(i).pos)
}

func (s *segment) addHidden(i uint32) {
	grown := append(*s.hidden.Load(), i) // readers see only their own length
	s.hidden.Store(&grown)
}

// remove deletes the segment's files. A reader that holds them keeps them until it lets go.
func (s *segment) remove() error {
	s.files.drop(errSegmentRemoved)
	var first error
	for _, suffix := range []string{dataSuffix, indexSuffix, timeSuffix, abortedSuffix} {
		if err := os.Remove(s.path(suffix)); err != nil && !os.IsNotExist(err) && first == nil {
			first = err
		}
	}
	return first
}
