package log

import (
	"encoding/binary"
	"fmt"
	"os"

	"github.com/edsrzf/mmap-go"
)

// The index maps a segment's Raft entries to their place: one fixed-width record an entry, in
// order, so a Raft index is found by arithmetic and an offset by binary search, both without a
// system call. The file begins with a header and is preallocated in steps, because a write to a
// hole of a mapping kills the process when the disk is full. How many records count is never
// read off the file's size: the segment knows it.
//
//	header  16 bytes: "QLIX", format uint16, zero uint16, Raft index of the first entry uint64
//	record  16 bytes: position uint32, offset - segment base uint32, term uint32, kind uint8, zero [3]
const (
	indexHeaderSize = 16
	indexEntrySize  = 16
	indexFormat     = 1
	indexMinStep    = 4 << 10
	indexMaxStep    = 1 << 20
)

var indexMagic = [4]byte{'Q', 'L', 'I', 'X'}

// slot is one decoded index record.
type slot struct {
	pos  uint32 // where the batch begins in the data file
	rel  uint32 // base offset minus the segment's base offset
	term uint32
	kind Kind
}

// index is the open index file of one segment. put is the writer's; at may be called by anyone
// for a record whose count has been published to it.
type index struct {
	file *os.File
	mem  mmap.MMap
	size int64 // bytes allocated in the file; the mapping is larger
}

// openIndex maps path, creating it where absent, with room in the mapping for that many entries.
func openIndex(path string, baseIndex uint64, entries int) (*index, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	x := &index{file: f}
	if err := x.init(baseIndex, entries); err != nil {
		x.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}

func (x *index) init(baseIndex uint64, entries int) error {
	st, err := x.file.Stat()
	if err != nil {
		return err
	}
	x.size = st.Size()
	if x.size < indexMinStep {
		if err := allocate(x.file, 0, indexMinStep); err != nil {
			return err
		}
		x.size = indexMinStep
	}
	// Mapping beyond the end of the file is legal; those pages are touched only after the file
	// has grown over them. So a segment has one mapping for life.
	length := max(indexHeaderSize+entries*indexEntrySize, int(x.size))
	if x.mem, err = mmap.MapRegion(x.file, length, mmap.RDWR, 0, 0); err != nil {
		return err
	}
	copy(x.mem, indexMagic[:])
	binary.BigEndian.PutUint16(x.mem[4:], indexFormat)
	binary.BigEndian.PutUint64(x.mem[8:], baseIndex)
	return nil
}

// validIndex reports whether the file at path has a header for this segment and room for n records.
func validIndex(path string, baseIndex uint64, n int) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	st, err := f.Stat()
	var h [indexHeaderSize]byte
	if err != nil || st.Size() < int64(indexHeaderSize+n*indexEntrySize) {
		return false
	}
	if _, err := f.ReadAt(h[:], 0); err != nil {
		return false
	}
	return [4]byte(h[:4]) == indexMagic && binary.BigEndian.Uint16(h[4:]) == indexFormat &&
		binary.BigEndian.Uint64(h[8:]) == baseIndex
}

// reserve makes sure that records up to n (exclusive) have disk blocks.
func (x *index) reserve(n int) error {
	need := int64(indexHeaderSize + n*indexEntrySize)
	if need <= x.size {
		return nil
	}
	step := min(max(x.size, indexMinStep), indexMaxStep)
	grow := (need - x.size + step - 1) / step * step
	if x.size+grow > int64(len(x.mem)) {
		grow = int64(len(x.mem)) - x.size
	}
	if x.size+grow < need {
		return fmt.Errorf("index is full at %d entries", n)
	}
	if err := allocate(x.file, x.size, grow); err != nil {
		return err
	}
	x.size += grow
	return nil
}

// put writes record i; reserve must have been called for it.
func (x *index) put(i int, s slot) {
	b := x.mem[indexHeaderSize+i*indexEntrySize:][:indexEntrySize]
	binary.BigEndian.PutUint32(b, s.pos)
	binary.BigEndian.PutUint32(b[4:], s.rel)
	binary.BigEndian.PutUint32(b[8:], s.term)
	binary.BigEndian.PutUint32(b[12:], uint32(s.kind)<<24)
}

func (x *index) at(i int) slot {
	b := x.mem[indexHeaderSize+i*indexEntrySize:][:indexEntrySize]
	return slot{
		pos:  binary.BigEndian.Uint32(b),
		rel:  binary.BigEndian.Uint32(b[4:]),
		term: binary.BigEndian.Uint32(b[8:]),
		kind: Kind(b[12]),
	}
}

// flush writes dirty pages of the mapping to disk.
func (x *index) flush() error { return x.mem.Flush() }

func (x *index) close() error {
	var err error
	if x.mem != nil {
		err = x.mem.Unmap()
		x.mem = nil
	}
	if e := x.file.Close(); err == nil {
		err = e
	}
	return err
}
