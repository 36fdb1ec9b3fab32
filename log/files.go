package log

import (
	"container/list"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/edsrzf/mmap-go"
)

// Files bounds, for a whole node, how many segments have their files open and mapped. Least
// recently used segments are closed first; one that is being read stays open until it is let go.
type Files struct {
	mu   sync.Mutex
	max  int
	open *list.List // of *handle, most recently used first
}

// DefaultOpenSegments is the bound when none is given: two descriptors and two mappings each.
const DefaultOpenSegments = 4096

// NewFiles returns a cache of at most max open segments; 0 means DefaultOpenSegments.
func NewFiles(max int) *Files {
	if max <= 0 {
		max = DefaultOpenSegments
	}
	return &Files{max: max, open: list.New()}
}

// handle is one segment's open files: the data file for writing and sendfile, a read-only
// mapping of it, and the index. Owned by Files; users hold references.
type handle struct {
	file  *os.File
	data  mmap.MMap
	index *index

	refs int // guarded by Files.mu; the cache itself holds one while elem is set
	elem *list.Element
	slot *fileSlot
}

// fileSlot is a segment's place for its handle.
type fileSlot struct {
	cache *Files
	h     *handle // guarded by cache.mu
	gone  bool
}

var errSegmentRemoved = errors.New("segment was removed")

// acquire returns the segment's open files, opening them where needed. The caller must release.
func (s *segment) acquire() (*handle, error) {
	c := s.files.cache
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.files.gone {
		return nil, errSegmentRemoved
	}
	h := s.files.h
	if h == nil {
		var err error
		if h, err = s.openFiles(); err != nil {
			return nil, err
		}
		h.slot, h.refs = &s.files, 1
		s.files.h = h
		h.elem = c.open.PushFront(h)
		c.evict()
	} else {
		c.open.MoveToFront(h.elem)
	}
	h.refs++
	return h, nil
}

func (s *segment) release(h *handle) { s.files.cache.release(h) }

func (c *Files) release(h *handle) {
	c.mu.Lock()
	h.refs--
	last := h.refs == 0
	c.mu.Unlock()
	if last {
		h.close()
	}
}

// evict closes the least recently used segments beyond the bound that nobody holds.
func (c *Files) evict() {
	for e := c.open.Back(); e != nil && c.open.Len() > c.max; {
		h, prev := e.Value.(*handle), e.Prev()
		if h.refs == 1 {
			c.forget(h)
			h.close()
		}
		e = prev
	}
}

// forget takes the cache's own reference back.
func (c *Files) forget(h *handle) {
	c.open.Remove(h.elem)
	h.elem = nil
	h.slot.h = nil
	h.refs--
}

// drop lets go of the segment's files for good.
func (f *fileSlot) drop() {
	f.cache.mu.Lock()
	f.gone = true
	f.cache.mu.Unlock()
	f.reset()
}

// reset closes the segment's files so that the next acquire opens them anew; whoever holds the
// old ones keeps them.
func (f *fileSlot) reset() {
	c := f.cache
	c.mu.Lock()
	h := f.h
	last := false
	if h != nil {
		c.forget(h)
		last = h.refs == 0
	}
	c.mu.Unlock()
	if last {
		h.close()
	}
}

func (s *segment) openFiles() (_ *handle, err error) {
	f, err := os.OpenFile(s.path(dataSuffix), os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
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
	capacity := maxSegmentEntries
	if s.sealed.Load() {
		s.mapSize, capacity = st.Size(), int(s.entries.Load())
	}
	// A sealed segment is mapped as it is; the active one at its largest, once.
	data, err := mmap.MapRegion(f, int(max(s.mapSize, 1)), mmap.RDONLY, 0, 0)
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", f.Name(), err)
	}
	x, err := openIndex(s.path(indexSuffix), s.baseIndex, capacity)
	if err != nil {
		data.Unmap()
		return nil, err
	}
	return &handle{file: f, data: data, index: x}, nil
}

func (h *handle) close() {
	h.data.Unmap()
	h.index.close()
	h.file.Close()
}
