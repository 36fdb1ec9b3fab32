package log

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"

	"github.com/edsrzf/mmap-go"
)

// Files bounds, for a whole node, how many segments have their files open and mapped. Segments
// not used for a while are closed first; one that is being read stays open until it is let go.
//
// Lock order: a segment's slot, then Files. Files are opened under the slot's lock alone, so a
// slow disk holds up those who want the same segment and nobody else.
type Files struct {
	mu   sync.Mutex
	max  int
	open *list.List  // of *handle, newest or recently spared first
	full atomic.Bool // more are open than that: all were in use when the last one was opened

	vacating vacating

	allocate       func(f *os.File, off, n int64) error // a test may run out of space
	smallIndexData int64                                // a test may have no index in memory
}

// DefaultOpenSegments is the bound when none is given: two descriptors and two mappings each.
const DefaultOpenSegments = 4096

// NewFiles returns a cache of at most max open segments; 0 means DefaultOpenSegments.
func NewFiles(max int) *Files {
	if max <= 0 {
		max = DefaultOpenSegments
	}
	return &Files{max: max, open: list.New(), allocate: allocate, smallIndexData: smallIndexData}
}

// handle is one segment's open files: the data file for writing and sendfile, a read-only
// mapping of it, and the index. Users hold references.
type handle struct {
	file  *os.File
	data  mmap.MMap
	index *index
	terms termStarts // of a compacted segment

	slot *fileSlot
	free func()        // gives one reference back; made once, so that handing it out costs nothing
	refs int           // guarded by slot.mu; the slot itself holds one
	used atomic.Bool   // since the cache last looked for something to close
	elem *list.Element // guarded by Files.mu
}

func (h *handle) close() {
	h.data.Unmap()
	h.index.close()
	h.file.Close()
}

// fileSlot is a segment's place for its handle.
type fileSlot struct {
	cache *Files
	mu    sync.Mutex
	h     *handle
	gone  error // why there are no files any more
	// mapSize is how much of the data file to map: a sealed segment as it is (0), the active one
	// at its largest, once.
	mapSize int64
	// verified says that the index has been compared with its checksum, or was made here.
	verified bool
}

var errSegmentRemoved = errors.New("segment was removed")

// acquire returns the segment's open files, opening them where needed. The caller must release.
func (s *segment) acquire() (*handle, error) {
	f := &s.files
	f.mu.Lock()
	if f.gone != nil {
		f.mu.Unlock()
		return nil, f.gone
	}
	h := f.h
	if h != nil {
		h.refs++
		f.mu.Unlock()
		if !h.used.Load() {
			h.used.Store(true)
		}
		return h, nil
	}
	h, err := s.openFiles()
	if err != nil {
		f.mu.Unlock()
		return nil, err
	}
	full := f.hold(h)
	f.mu.Unlock()
	if full {
		f.cache.evict()
	}
	return h, nil
}

// acquireNew is acquire for a segment whose files are to be made.
func (s *segment) acquireNew(hdr segmentHeader) (*handle, error) {
	file, err := s.createFile(hdr)
	if err != nil {
		return nil, err
	}
	f := &s.files
	f.mu.Lock()
	h, err := s.mapFiles(file, true)
	if err != nil {
		f.mu.Unlock()
		return nil, err
	}
	h.index.writeHeader(s.baseIndex)
	full := f.hold(h)
	f.mu.Unlock()
	if full {
		f.cache.evict()
	}
	return h, nil
}

// hold puts opened files in their place, with a reference for the caller, who holds mu; it
// reports whether there are too many now.
func (f *fileSlot) hold(h *handle) (full bool) {
	h.slot, h.refs, f.h = f, 2, h
	h.free = func() { f.release(h) }
	return f.cache.add(h)
}

func (f *fileSlot) release(h *handle) {
	f.mu.Lock()
	h.refs--
	last, idle := h.refs == 0, h.refs == 1
	f.mu.Unlock()
	switch {
	case last:
		h.close()
	case idle && f.cache.full.Load():
		f.closeIdle(h)
	}
}

// forget lets go of the open files; whoever holds them keeps them. The caller holds f.mu and
// closes the handle returned, if any.
func (f *fileSlot) forget() *handle {
	h := f.h
	if h == nil {
		return nil
	}
	f.h = nil
	f.cache.remove(h)
	if h.refs--; h.refs > 0 {
		return nil
	}
	return h
}

// drop lets go of the segment's files for good: acquire will return why.
func (f *fileSlot) drop(why error) {
	f.mu.Lock()
	f.gone = why
	h := f.forget()
	f.mu.Unlock()
	if h != nil {
		h.close()
	}
}

// removed reports whether the segment's files are no longer the log's.
func (s *segment) removed() bool {
	s.files.mu.Lock()
	defer s.files.mu.Unlock()
	return errors.Is(s.files.gone, errSegmentRemoved)
}

// remap closes the segment's files so that the next acquire maps that much of the data.
func (f *fileSlot) remap(size int64) {
	f.mu.Lock()
	f.mapSize = size
	h := f.forget()
	f.mu.Unlock()
	if h != nil {
		h.close()
	}
}

// closeIdle closes h unless somebody uses it.
func (f *fileSlot) closeIdle(h *handle) {
	f.mu.Lock()
	var idle *handle
	if f.h == h && h.refs == 1 {
		idle = f.forget()
	} else {
		f.cache.spare(h)
	}
	f.mu.Unlock()
	if idle != nil {
		idle.close()
	}
}

// add lists an opened handle and reports whether there are too many now.
func (c *Files) add(h *handle) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	h.elem = c.open.PushFront(h)
	return c.count()
}

func (c *Files) remove(h *handle) {
	c.mu.Lock()
	c.open.Remove(h.elem)
	h.elem = nil
	c.count()
	c.mu.Unlock()
}

// count notes whether too many are open; the caller holds mu.
func (c *Files) count() (full bool) {
	full = c.open.Len() > c.max
	c.full.Store(full)
	return full
}

func (c *Files) spare(h *handle) {
	c.mu.Lock()
	if h.elem != nil {
		c.open.MoveToFront(h.elem)
	}
	c.mu.Unlock()
}

// evict closes segments until the bound is kept, or everything open is in use.
func (c *Files) evict() {
	for tries := 2 * c.Open(); tries > 0; tries-- {
		h := c.oldest()
		if h == nil {
			return
		}
		if h.used.Swap(false) {
			c.spare(h)
		} else {
			h.slot.closeIdle(h)
		}
	}
}

// oldest returns what to close next, nil while the bound is kept.
func (c *Files) oldest() *handle {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.open.Len() <= c.max {
		return nil
	}
	return c.open.Back().Value.(*handle)
}

// Open is the number of segments whose files are open.
func (c *Files) Open() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.open.Len()
}

// openFiles is called with the slot's lock held.
func (s *segment) openFiles() (*handle, error) {
	f, err := os.OpenFile(s.path(dataSuffix), os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	return s.mapFiles(f, false)
}

// mapFiles maps the data file and opens the index. It closes the file when it fails.
func (s *segment) mapFiles(f *os.File, fresh bool) (_ *handle, err error) {
	defer func() {
		if err != nil {
			f.Close()
		}
	}()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if st.Size() < s.size.Load() {
		return nil, corrupt(f.Name(), "%d bytes, %d were written", st.Size(), s.size.Load())
	}
	size, capacity := s.files.mapSize, maxSegmentEntries
	if s.sealed.Load() {
		size, capacity = st.Size(), int(s.entries.Load())
	}
	data, err := mmap.MapRegion(f, int(max(size, 1)), mmap.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	h := &handle{file: f, data: data}
	entries := int(s.entries.Load())
	if h.index, err = openIndex(s.path(indexSuffix), fresh, entries, s.size.Load(), capacity, s.files.cache); err != nil {
		data.Unmap()
		return nil, err
	}
	if !s.files.verified || h.index.volatile() {
		if err = s.verifyIndex(h); err != nil {
			data.Unmap()
			h.index.close()
			return nil, err
		}
		s.files.verified = true
	}
	if s.span > 0 && h.terms == nil {
		m, err := s.entryMap(h)
		if err != nil {
			data.Unmap()
			h.index.close()
			return nil, err
		}
		h.terms = m.terms
	}
	return h, nil
}

// verifyIndex compares the index with what the checkpoint says of it, and makes
// it anew from the data where it differs.
func (s *segment) verifyIndex(h *handle) error {
	n := int(s.entries.Load())
	if h.index.holds(n) && h.index.checksum(n) == s.indexCRC {
		return nil
	}
	if err := h.index.reserve(n, s.size.Load()); err != nil {
		return err
	}
	h.index.writeHeader(s.baseIndex)
	pos, next, term := s.headerSize, s.baseOffset, s.prevTerm
	for i := range n {
		b, kind, why := s.nextWhole(h.data[pos:s.size.Load()], next, term)
		if why != "" {
			return corrupt(s.path(dataSuffix), "entry %d at byte %d: %s", s.baseIndex+uint64(i), pos, why)
		}
		term = uint64(b.LeaderEpoch())
		h.index.put(i, slot{uint32(pos), uint32(b.BaseOffset() - s.baseOffset), uint32(term), kind})
		pos += int64(len(b))
		if kind == KindData {
			next = b.NextOffset()
		}
	}
	if s.span > 0 { // else the map is still to come
		m, err := s.entryMap(h)
		if err != nil {
			return err
		}
		m.number(h.index)
	}
	return nil
}
