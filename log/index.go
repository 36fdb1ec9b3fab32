package log

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"

	"github.com/edsrzf/mmap-go"

	"quorumlog/internal/durable"
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
	file     *os.File
	mem      mmap.MMap
	size     int64 // bytes allocated in the file; the mapping is larger
	allocate func(f *os.File, off, n int64) error
}

// openIndex maps path, creating it where absent, with room in the mapping for that many entries.
func openIndex(path string, entries int, allocate func(*os.File, int64, int64) error) (*index, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	x := &index{file: f, allocate: allocate}
	if err := x.init(entries); err != nil {
		x.close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return x, nil
}

func (x *index) init(entries int) error {
	st, err := x.file.Stat()
	if err != nil {
		return err
	}
	x.size = st.Size()
	if x.size < indexMinStep {
		if err := x.allocate(x.file, 0, indexMinStep); err != nil {
			return err
		}
		x.size = indexMinStep
	}
	// Mapping beyond the end of the file is legal; those pages are touched only after the file
	// has grown over them. So a segment has one mapping for life.
	length := max(indexHeaderSize+entries*indexEntrySize, int(x.size))
	x.mem, err = mmap.MapRegion(x.file, length, mmap.RDWR, 0, 0)
	return err
}

func appendIndexHeader(dst []byte, baseIndex uint64) []byte {
	dst = append(dst, indexMagic[:]...)
	dst = binary.BigEndian.AppendUint16(dst, indexFormat)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint64(dst, baseIndex)
}

func (x *index) writeHeader(baseIndex uint64) {
	appendIndexHeader(x.mem[:0:indexHeaderSize], baseIndex)
}

// holds reports whether the file is long enough for n records.
func (x *index) holds(n int) bool { return x.size >= int64(indexHeaderSize+n*indexEntrySize) }

// checksum is the CRC32C of the header and the first n records, which the file must hold.
func (x *index) checksum(n int) uint32 {
	return crc32.Checksum(x.mem[:indexHeaderSize+n*indexEntrySize], castagnoli)
}

// headerChecksum is the checksum of an index without records; grown extends it by one.
func headerChecksum(baseIndex uint64) uint32 {
	return crc32.Checksum(appendIndexHeader(make([]byte, 0, indexHeaderSize), baseIndex), castagnoli)
}

// grown returns the checksum after record i was put, given the one before.
func (x *index) grown(sum uint32, i int) uint32 {
	return crc32.Update(sum, castagnoli, x.mem[indexHeaderSize+i*indexEntrySize:][:indexEntrySize])
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
	if err := x.allocate(x.file, x.size, grow); err != nil {
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

// flush hands the mapping's dirty pages to the file, for the sync that follows.
func (x *index) flush() error {
	if durable.Mappings {
		return nil
	}
	return x.mem.Flush()
}

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
