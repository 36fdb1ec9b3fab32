package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"quorumlog/record"
)

// zeroFrom reports whether the file holds nothing but zeros in [from, to). It reads no more than
// the rest of a block: whole blocks that were never written are known to the filesystem.
func zeroFrom(f *os.File, from, to int64) (bool, error) {
	const block = 4096
	rest := make([]byte, min(to, (from+block-1)/block*block)-from)
	if len(rest) > 0 {
		if _, err := f.ReadAt(rest, from); err != nil {
			return false, err
		}
	}
	from += int64(len(rest))
	return allZero(rest) && (from >= to || writtenFrom(f, from, to) >= to), nil
}

func allZero(b []byte) bool { return bytes.Count(b, []byte{0}) == len(b) }

func fileSize(path string) (int64, error) {
	st, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	return st.Size(), nil
}

// readHeader reads the header of a segment's file. Where there is none it returns errControl.
func readHeader(path string, base int64) (segmentHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return segmentHeader{}, err
	}
	defer f.Close()
	b := make([]byte, segmentHeaderSize)
	if _, err := f.ReadAt(b, 0); errors.Is(err, io.EOF) {
		return segmentHeader{}, errControl
	} else if err != nil {
		return segmentHeader{}, err
	}
	return decodeHeader(b, base)
}

func decodeHeader(b []byte, base int64) (segmentHeader, error) {
	batch, _, err := record.Split(b)
	if err != nil || !batch.ValidCRC() || batch.BaseOffset() != base || !internal(batch) {
		return segmentHeader{}, errControl
	}
	return parseSegmentHeader(batch)
}

// scan reads the segment's data from its known end and indexes every whole batch. It returns why
// it stopped before the end of the file.
func (l *Log) scan(s *segment, fileSize int64) (why string, err error) {
	h, err := s.acquire()
	if err != nil {
		return "", err
	}
	defer h.free()
	n := int(s.entries.Load())
	if n == 0 {
		h.index.writeHeader(s.baseIndex)
		if s.compacted {
			s.dataCRC = 0
			s.addSum(h.data[:s.headerSize])
		}
	}
	hist := *l.epochs.Load()
	for pos := s.size.Load(); pos < fileSize; pos = s.size.Load() {
		b, kind, reason := s.nextWhole(h.data[pos:fileSize], s.nextOffset.Load(), s.endTerm)
		if kind == kindMap {
			reason = s.readMap(h, b)
		}
		if reason != "" {
			why = reason
			if reason != preallocated {
				why = fmt.Sprintf("%s at byte %d: %s", s.path(dataSuffix), pos, reason)
			}
			break
		}
		l.recovery.Scanned += int64(len(b))
		if kind == kindMap {
			break
		}
		if err := h.index.reserve(n+1, pos+int64(len(b))); err != nil {
			return "", err
		}
		term := uint64(b.LeaderEpoch())
		s.put(h, n, slot{uint32(pos), uint32(b.BaseOffset() - s.baseOffset), uint32(term), kind})
		if s.compacted {
			s.addSum(b)
		}
		hist = hist.with(term, b.BaseOffset())
		if kind == KindData {
			l.noteFirst(s, b.MaxTimestamp())
			s.noteTime(b.MaxTimestamp(), uint32(n), pos)
			s.nextOffset.Store(b.NextOffset())
		} else {
			s.addHidden(uint32(n))
		}
		s.size.Add(int64(len(b)))
		n++
		s.entries.Store(int64(n))
	}
	l.epochs.Store(&hist)
	return why, nil
}

const preallocated = "zeros"

// nextWhole returns the batch at the start of b if it is whole and continues the segment, else why
// not. In a compacted segment batches may be missing before it.
func (s *segment) nextWhole(b []byte, next int64, term uint64) (record.Batch, Kind, string) {
	return nextWhole(b, next, term, s.compacted)
}

func nextWhole(b []byte, next int64, term uint64, compacted bool) (record.Batch, Kind, string) {
	if allZero(b[:min(len(b), record.HeaderSize)]) {
		return nil, 0, preallocated
	}
	batch, _, err := record.Split(b)
	switch {
	case err != nil:
		return nil, 0, err.Error()
	case batch.BaseOffset() != next && (batch.BaseOffset() < next || !compacted):
		return nil, 0, fmt.Sprintf("offset %d where %d was due", batch.BaseOffset(), next)
	case batch.LeaderEpoch() < 0 || uint64(batch.LeaderEpoch()) < term:
		return nil, 0, fmt.Sprintf("leader epoch %d after %d", batch.LeaderEpoch(), term)
	case !batch.ValidCRC():
		return nil, 0, "bad CRC"
	}
	kind, _, err := entryKind(batch)
	if err != nil {
		return nil, 0, err.Error()
	}
	switch {
	case kind == KindData && batch.LastOffsetDelta() < 0:
		return nil, 0, "negative offset delta"
	case kind == kindMap && !compacted:
		return nil, 0, "a map of entries in a segment that is not compacted"
	}
	return batch, kind, ""
}

// emptySegment reports whether nothing but zeros follows the place of the header.
func emptySegment(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	buf := make([]byte, 64<<10)
	for off := int64(segmentHeaderSize); ; {
		n, err := f.ReadAt(buf, off)
		if !allZero(buf[:n]) {
			return false, nil
		}
		if err == io.EOF {
			return true, nil
		}
		if err != nil {
			return false, err
		}
		off += int64(n)
	}
}
