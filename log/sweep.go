package log

import (
	"slices"

	"quorumlog/record"
)

// swept is a stored batch as a compaction comes by.
type swept struct {
	slot
	number  int // of the Raft entry in its segment
	ordinal int // of the index record
	batch   record.Batch
}

// sweepBytes is how much is read at a time, unless a batch is larger.
const sweepBytes = 256 << 10

// window is a part of a segment's data file, read apart from the mapping: what a compaction goes
// through need not stay in memory.
type window struct {
	seg  *segment
	off  int64
	data []byte
}

// sweep calls yield for each stored batch of a sealed segment, in order, until it returns false. The
// batch is valid only during the call.
func (c *compactor) sweep(s *segment, yield func(swept) (more bool, err error)) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.free()
	entries := int(s.entries.Load())
	for i := range entries {
		x := swept{slot: h.index.at(i), number: i, ordinal: i}
		if s.compacted {
			x.number = h.index.ordinal(i)
		}
		if x.batch, err = c.load(s, h, x.slot, s.end(h, i, entries)); err != nil {
			return err
		}
		if more, err := yield(x); err != nil || !more {
			return err
		}
	}
	return nil
}

// load returns a batch that lies at [x.pos, end), and checks it.
func (c *compactor) load(s *segment, h *handle, x slot, end int64) (record.Batch, error) {
	pos, w := int64(x.pos), &c.window
	if pos+record.HeaderSize > end || end > s.size.Load() {
		return nil, corrupt(s.path(indexSuffix), "a batch lies at [%d,%d)", pos, end)
	}
	if w.seg != s || pos < w.off || end > w.off+int64(len(w.data)) {
		if err := c.fill(s, h, pos, max(end-pos, min(sweepBytes, s.size.Load()-pos))); err != nil {
			return nil, err
		}
	}
	b := record.Batch(w.data[pos-w.off : end-w.off : end-w.off])
	if record.Size(b) != len(b) || b.BaseOffset() != s.baseOffset+int64(x.rel) || uint32(b.LeaderEpoch()) != x.term || !b.ValidCRC() {
		return nil, corrupt(s.path(dataSuffix), "the batch at byte %d is damaged", pos)
	}
	return b, nil
}

func (c *compactor) fill(s *segment, h *handle, pos, n int64) error {
	if err := c.pace(int(n)); err != nil {
		return err
	}
	w := &c.window
	w.seg, w.off = nil, pos
	w.data = slices.Grow(w.data[:0], int(n))[:n]
	if _, err := h.file.ReadAt(w.data, pos); err != nil {
		return err
	}
	w.seg = s
	c.done.Read += n
	return nil
}
