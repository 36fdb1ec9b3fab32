package log

import (
	"errors"
	"fmt"
	"os"
	"sort"

	"quorumlog/record"
)

// Section is a run of whole batches that lie together in one file. Mem is the same bytes as the
// file's [Off, Off+len(Mem)).
type Section struct {
	File *os.File
	Off  int64
	Mem  []byte
}

// View is what a read found. It keeps the segment's files open until Release.
type View struct {
	Sections []Section
	Size     int   // bytes in all sections
	Next     int64 // the offset after the last batch

	h *handle
}

// Release lets go of the files; the sections must not be used afterwards.
func (v *View) Release() {
	if v.h != nil {
		v.h.free()
		v.h, v.Sections = nil, nil
	}
}

// Read returns whole batches from the one that holds offset, below limit, and of at most
// maxBytes; where the first batch alone is larger it is returned if oneAtLeast is set. The
// first batch may begin before offset: consumers skip what they did not ask for. A read ends
// with its segment. At the limit the view is empty.
func (l *Log) Read(offset, limit int64, maxBytes int, oneAtLeast bool) (View, error) {
	for {
		v, err := l.readFrom(l.list(), offset, limit, maxBytes, oneAtLeast)
		if !errors.Is(err, errSegmentRemoved) {
			return v, err
		} // by retention, a truncation or compaction, after the list was taken
	}
}

func (l *Log) readFrom(segs []*segment, offset, limit int64, maxBytes int, oneAtLeast bool) (View, error) {
	if start, end := l.start.Load(), segs[len(segs)-1].nextOffset.Load(); offset < start || offset > end {
		return View{}, fmt.Errorf("offset %d is not in [%d, %d]: %w", offset, start, end, ErrOutOfRange)
	}
	for k := segmentOfOffset(segs, offset); k < len(segs) && offset < limit; k++ {
		v, err := segs[k].read(max(offset, segs[k].baseOffset), limit, maxBytes, oneAtLeast)
		if err != nil {
			return View{}, err
		}
		if v.h != nil {
			return v, nil
		}
		if segs[k].nextOffset.Load() > offset {
			break // the batch is there, but does not fit
		}
	}
	return View{Next: offset}, nil
}

// segmentOfOffset returns the last segment that begins at or before offset.
func segmentOfOffset(segs []*segment, offset int64) int {
	return max(sort.Search(len(segs), func(i int) bool { return segs[i].baseOffset > offset })-1, 0)
}

func (s *segment) read(offset, limit int64, maxBytes int, oneAtLeast bool) (View, error) {
	entries := int(s.entries.Load()) // which the files hold that are acquired now
	h, err := s.acquire()
	if err != nil {
		return View{}, err
	}
	first := s.find(h, offset, entries)
	last := s.lastBelow(h, limit, entries)
	for first < last && (s.isHidden(first) || s.next(h, first, entries) <= offset) {
		first++
	}
	if first < last {
		start := int64(h.index.at(first).pos)
		// Entries that end within maxBytes: those that begin there, less one that is cut off.
		fit := s.ordinalAtPos(h, start+int64(maxBytes)+1, last)
		if fit == last && s.end(h, last-1, entries)-start > int64(maxBytes) || fit < last {
			fit--
		}
		last = fit
		if last <= first && oneAtLeast {
			last = first + 1
		}
	}
	if first >= last {
		h.free()
		return View{}, nil
	}
	v := View{h: h}
	s.addSections(&v, first, last, entries)
	return v, nil
}

// lastBelow returns the number of entries that lie wholly below the offset limit.
func (s *segment) lastBelow(h *handle, limit int64, entries int) int {
	rel := limit - s.baseOffset
	if rel <= 0 {
		return 0
	}
	n := sort.Search(entries, func(i int) bool { return int64(h.index.at(i).rel) >= rel })
	// A batch that straddles the limit is not below it.
	if n > 0 && s.next(h, n-1, entries) > limit {
		n--
	}
	return n
}

// next returns the offset after entry i. For the last of the entries it comes from the batch:
// the segment may have grown since they were counted; so it does where the next one may be missing.
func (s *segment) next(h *handle, i, entries int) int64 {
	if i+1 < entries && !s.compacted {
		return s.baseOffset + int64(h.index.at(i+1).rel)
	}
	x := h.index.at(i)
	if x.kind != KindData || int64(x.pos)+record.HeaderSize > int64(len(h.data)) {
		return s.baseOffset + int64(x.rel)
	}
	return s.baseOffset + int64(x.rel) + int64(record.Batch(h.data[x.pos:]).LastOffsetDelta()) + 1
}

// addSections lists the batches of entries [first, last), stepping over hidden ones.
func (s *segment) addSections(v *View, first, last, entries int) {
	hidden := *s.hidden.Load()
	k := sort.Search(len(hidden), func(i int) bool { return int(hidden[i]) >= first })
	for from := first; from < last; {
		to := last
		for k < len(hidden) && int(hidden[k]) < from {
			k++
		}
		if k < len(hidden) && int(hidden[k]) < last {
			to = int(hidden[k])
		}
		if to > from {
			lo, hi := int64(v.h.index.at(from).pos), s.end(v.h, to-1, entries)
			v.Sections = append(v.Sections, Section{v.h.file, lo, v.h.data[lo:hi:hi]})
			v.Size += int(hi - lo)
		}
		from = to + 1
	}
	v.Next = s.next(v.h, last-1, entries)
}

func (s *segment) isHidden(i int) bool {
	hidden := *s.hidden.Load()
	k := sort.Search(len(hidden), func(k int) bool { return int(hidden[k]) >= i })
	return k < len(hidden) && int(hidden[k]) == i
}

// Batches calls yield for every data batch in [from, limit), in order, until it returns false.
// The batch is valid only during the call.
func (l *Log) Batches(from, limit int64, yield func(record.Batch) bool) error {
	const chunk = 1 << 20
	for from < limit {
		v, err := l.Read(from, limit, chunk, true)
		if err != nil {
			return err
		}
		if v.Size == 0 {
			return nil
		}
		for _, sec := range v.Sections {
			for rest := sec.Mem; len(rest) > 0; {
				var b record.Batch
				if b, rest, err = record.Split(rest); err != nil {
					v.Release()
					return err
				}
				if !yield(b) {
					v.Release()
					return nil
				}
			}
		}
		from = v.Next
		v.Release()
	}
	return nil
}
