package log

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// A log travels to another replica as its segments' data files, as they are, and a checkpoint
// that describes them. The sender's side is here; Incoming is the receiver's.

// Describe fills in the log's part of a checkpoint whose Index is committed: its segments as far
// as that entry, which are made durable, and the epochs. What it describes does not change any
// more; retention alone may remove it.
func (l *Log) Describe(c *Checkpoint) error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	return l.describe(c)
}

// Encode returns the checkpoint in its stored form.
func (c *Checkpoint) Encode() ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	return frameCheckpoint(c.format(), body), nil
}

// DecodeCheckpoint is Encode's inverse. It checks that the segments are a log that ends at the
// checkpoint's index.
func DecodeCheckpoint(b []byte) (*Checkpoint, error) {
	c, err := parseCheckpoint(b)
	if err != nil {
		return nil, err
	}
	return c, c.validate()
}

func (c *Checkpoint) validate() error {
	if len(c.Segments) == 0 {
		return fmt.Errorf("%w: no segments", errCheckpoint)
	}
	for i, s := range c.Segments {
		sane := s.BaseOffset >= 0 && s.BaseIndex > 0 && s.Entries > 0 && s.Entries <= maxSegmentEntries &&
			s.Size > segmentHeaderSize && s.Size <= maxSegmentBytes+mapSlack && s.NextOffset >= s.BaseOffset &&
			s.Aborted >= 0 && s.Aborted <= s.Entries &&
			(s.Span == 0 || s.Span >= s.Entries && s.Span <= maxSegmentEntries)
		if i > 0 {
			p := c.Segments[i-1]
			sane = sane && s.BaseOffset == p.NextOffset && s.BaseIndex == p.BaseIndex+uint64(p.raftEntries()) && s.PrevTerm == p.LastTerm && s.BaseOffset > p.BaseOffset
		}
		if !sane {
			return fmt.Errorf("%w: segment %d of %d", errCheckpoint, i, len(c.Segments))
		}
	}
	last := c.Segments[len(c.Segments)-1]
	if last.BaseIndex+uint64(last.raftEntries()) != c.Index+1 || last.LastTerm != c.Term {
		return fmt.Errorf("%w: it ends at entry %d of term %d, its segments do not", errCheckpoint, c.Index, c.Term)
	}
	return nil
}

// Part is a file of a segment's that travels, as far as a checkpoint describes it.
type Part struct {
	BaseOffset int64
	Aborted    bool  // the index of aborted transactions, not the data
	Size       int64 // bytes
}

func (p Part) file(dir string) string {
	suffix := dataSuffix
	if p.Aborted {
		suffix = abortedSuffix
	}
	return filepath.Join(dir, segmentStem(p.BaseOffset)+suffix)
}

// Parts lists the files: each segment's data and then, where it has any, its aborted transactions.
func (c *Checkpoint) Parts() []Part {
	parts := make([]Part, 0, len(c.Segments))
	for _, s := range c.Segments {
		parts = append(parts, Part{BaseOffset: s.BaseOffset, Size: s.Size})
		if s.Aborted > 0 {
			parts = append(parts, Part{BaseOffset: s.BaseOffset, Aborted: true, Size: abortedHeaderSize + s.Aborted*abortedSize})
		}
	}
	return parts
}

// OpenPart opens a file for sending. What the checkpoint describes of it stays readable,
// whatever happens to the log. Compaction must be held off since it was described: see Hold.
func (l *Log) OpenPart(p Part) (*os.File, error) {
	segs := l.list()
	if s := segs[segmentOfOffset(segs, p.BaseOffset)]; !p.Aborted && s.compacted && s.size.Load() != p.Size {
		return nil, fmt.Errorf("segment at offset %d: %w", p.BaseOffset, errCompacted)
	}
	f, err := os.Open(p.file(l.dir))
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("segment at offset %d: %w", p.BaseOffset, ErrNotFound)
	}
	return f, err
}

// TailIndex is the first entry of the tail: the newest segments, two at least, that together hold
// so many bytes. Who has the entry before needs no segment files.
func (l *Log) TailIndex(bytes int64) uint64 {
	segs := l.list()
	i := len(segs) - 1
	for n := segs[i].size.Load(); i > 0; i-- {
		if i < len(segs)-1 && n >= bytes || segs[i-1].compacted {
			break
		}
		n += segs[i-1].size.Load()
	}
	return segs[i].baseIndex
}

// same reports whether two states are of the same bytes: the checksum is of where every entry
// lies, its offset and its term, and the same entry of the same term is the same in every replica
// until it is compacted, which each replica does by itself.
func (st segmentState) same(o segmentState) bool {
	return st.BaseOffset == o.BaseOffset && st.BaseIndex == o.BaseIndex && st.PrevTerm == o.PrevTerm && st.Entries == o.Entries &&
		st.Size == o.Size && st.NextOffset == o.NextOffset && st.LastTerm == o.LastTerm && st.IndexCRC == o.IndexCRC &&
		st.Span == o.Span && st.DataCRC == o.DataCRC
}

// sealedAs returns the sealed segment that holds just what the state says.
func (l *Log) sealedAs(st segmentState) *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	segs := l.list()
	for _, s := range segs[:len(segs)-1] {
		if s.baseOffset == st.BaseOffset && s.sealed.Load() && s.state().same(st) {
			return s
		}
	}
	return nil
}
