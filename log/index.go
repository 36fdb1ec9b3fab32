package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync/atomic"

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
//	record  16 bytes: position uint32, offset - segment base uint32, term uint32, kind uint8, ordinal uint24
//
// The ordinal is zero but in a compacted segment, which has less batches than Raft entries: there it
// is the entry's number in the segment.
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

// An index of few entries is no file but memory: it is made anew from the data in no time, and a
// node with many small partitions has one file less for each. It becomes a file when it has more
// entries, or the data is more than so many bytes.
const (
	smallIndex     = 1 << 10 // bytes
	smallIndexData = 64 << 10
)

// index is the open index of one segment. put and reserve are the writer's; at may be called by
// anyone for a record whose count has been published to it.
type index struct {
	path     string
	capacity int // entries for which the mapping has room
	body     atomic.Pointer[indexBody]
	size     int64 // bytes allocated in the file; the mapping is larger
	files    *Files
}

// indexBody is where the records are.
type indexBody struct {
	file *os.File // nil: in memory
	mem  []byte
}

// openIndex opens the index of a segment of so many entries and bytes: its file or, where there is
// none and it is small, an empty one in memory. It has room in its mapping for capacity entries.
// A fresh one is for a segment that is to be made.
func openIndex(path string, fresh bool, entries int, bytes int64, capacity int, files *Files) (*index, error) {
	x := &index{path: path, capacity: capacity, files: files}
	small := x.fitsMemory(entries, bytes)
	if fresh {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		x.inMemory()
		return x, nil
	}
	flag := os.O_RDWR
	if !small {
		flag |= os.O_CREATE
	}
	f, err := os.OpenFile(path, flag, 0o644)
	switch {
	case small && errors.Is(err, fs.ErrNotExist):
		x.inMemory()
		return x, nil
	case err != nil:
		return nil, err
	}
	if err := x.mapFile(f); err != nil {
		f.Close()
		return nil, err
	}
	return x, nil
}

func (x *index) fitsMemory(entries int, bytes int64) bool {
	return indexHeaderSize+entries*indexEntrySize <= smallIndex && bytes <= x.files.smallIndexData
}

func (x *index) inMemory() {
	x.size = smallIndex
	x.body.Store(&indexBody{mem: make([]byte, smallIndex)})
}

// volatile reports whether the index is in memory alone.
func (x *index) volatile() bool { return x.body.Load().file == nil }

// mapFile makes the file the index's body; what it had in memory is copied.
func (x *index) mapFile(f *os.File) error {
	st, err := f.Stat()
	if err != nil {
		return err
	}
	size := st.Size()
	if size < indexMinStep {
		if err := x.files.allocate(f, 0, indexMinStep); err != nil {
			return err
		}
		size = indexMinStep
	}
	// Mapping beyond the end of the file is legal; those pages are touched only after the file
	// has grown over them. So a segment has one mapping for life.
	length := max(indexHeaderSize+x.capacity*indexEntrySize, int(size))
	mem, err := mmap.MapRegion(f, length, mmap.RDWR, 0, 0)
	if err != nil {
		return fmt.Errorf("%s: %w", x.path, err)
	}
	if old := x.body.Load(); old != nil {
		copy(mem, old.mem)
	}
	x.size = size
	x.body.Store(&indexBody{f, mem})
	return nil
}

// spill puts an index that was in memory into a file.
func (x *index) spill() error {
	f, err := os.OpenFile(x.path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if err := x.mapFile(f); err != nil {
		f.Close()
		os.Remove(x.path)
		return err
	}
	return nil
}

func appendIndexHeader(dst []byte, baseIndex uint64) []byte {
	dst = append(dst, indexMagic[:]...)
	dst = binary.BigEndian.AppendUint16(dst, indexFormat)
	dst = binary.BigEndian.AppendUint16(dst, 0)
	return binary.BigEndian.AppendUint64(dst, baseIndex)
}

func (x *index) writeHeader(baseIndex uint64) {
	appendIndexHeader(x.body.Load().mem[:0:indexHeaderSize], baseIndex)
}

// holds reports whether there is room for n records.
func (x *index) holds(n int) bool { return x.size >= int64(indexHeaderSize+n*indexEntrySize) }

// checksum is the CRC32C of the header and the first n records, which the file must hold.
func (x *index) checksum(n int) uint32 {
	return crc32.Checksum(x.body.Load().mem[:indexHeaderSize+n*indexEntrySize], castagnoli)
}

// headerChecksum is the checksum of an index without records; grown extends it by one.
func headerChecksum(baseIndex uint64) uint32 {
	return crc32.Checksum(appendIndexHeader(make([]byte, 0, indexHeaderSize), baseIndex), castagnoli)
}

// grown returns the checksum after record i was put, given the one before.
func (x *index) grown(sum uint32, i int) uint32 {
	return crc32.Update(sum, castagnoli, x.record(i))
}

// reserve makes sure that records up to n (exclusive), of so many bytes of data, have disk blocks.
func (x *index) reserve(n int, bytes int64) error {
	if x.volatile() {
		if x.fitsMemory(n, bytes) {
			return nil
		}
		if err := x.spill(); err != nil {
			return err
		}
	}
	need := int64(indexHeaderSize + n*indexEntrySize)
	if need <= x.size {
		return nil
	}
	b := x.body.Load()
	step := min(max(x.size, indexMinStep), indexMaxStep)
	grow := (need - x.size + step - 1) / step * step
	if x.size+grow > int64(len(b.mem)) {
		grow = int64(len(b.mem)) - x.size
	}
	if x.size+grow < need {
		return fmt.Errorf("index is full at %d entries", n)
	}
	if err := x.files.allocate(b.file, x.size, grow); err != nil {
		return err
	}
	x.size += grow
	return nil
}

// record is where record i stands.
func (x *index) record(i int) []byte {
	return x.body.Load().mem[indexHeaderSize+i*indexEntrySize:][:indexEntrySize]
}

// put writes record i; reserve must have been called for it.
func (x *index) put(i int, s slot) { putSlot(x.record(i), s) }

func putSlot(b []byte, s slot) {
	binary.BigEndian.PutUint32(b, s.pos)
	binary.BigEndian.PutUint32(b[4:], s.rel)
	binary.BigEndian.PutUint32(b[8:], s.term)
	binary.BigEndian.PutUint32(b[12:], uint32(s.kind)<<24)
}

// setOrdinal completes record i of a compacted segment.
func (x *index) setOrdinal(i int, n uint32) {
	b := x.record(i)
	binary.BigEndian.PutUint32(b[12:], uint32(b[12])<<24|n)
}

// ordinal is the Raft entry's number in a compacted segment.
func (x *index) ordinal(i int) int { return int(binary.BigEndian.Uint32(x.record(i)[12:]) & 0xffffff) }

func (x *index) at(i int) slot {
	b := x.record(i)
	return slot{
		pos:  binary.BigEndian.Uint32(b),
		rel:  binary.BigEndian.Uint32(b[4:]),
		term: binary.BigEndian.Uint32(b[8:]),
		kind: Kind(b[12]),
	}
}

// flush hands the mapping's dirty pages to the file, for the sync that follows, and returns that;
// nil for an index in memory.
func (x *index) flush() (*os.File, error) {
	b := x.body.Load()
	if b.file == nil || durable.Mappings {
		return b.file, nil
	}
	m := mmap.MMap(b.mem)
	return b.file, m.Flush()
}

// close lets go of the file. Nobody may use the index any more.
func (x *index) close() {
	if b := x.body.Load(); b.file != nil {
		m := mmap.MMap(b.mem)
		m.Unmap()
		b.file.Close()
	}
}
