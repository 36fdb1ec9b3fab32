package log

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"

	"quorumlog/internal/durable"
)

// The checkpoint bounds the work of a restart. It is replaced whole: written beside, synced,
// renamed, and the directory synced. It speaks only of committed entries and of bytes that were durable before it was
// written, so an old checkpoint is never wrong, only further back.
const (
	checkpointFile   = "checkpoint"
	checkpointFormat = 1
	// fullCheckpointFormat is one that speaks of compacted segments, or of transactions.
	fullCheckpointFormat = 2
)

var (
	checkpointMagic = [4]byte{'Q', 'L', 'C', 'P'}
	castagnoli      = crc32.MakeTable(crc32.Castagnoli)
)

// Checkpoint is a partition's state at a committed Raft index.
type Checkpoint struct {
	// Index and Term are those of the last entry whose effects the checkpoint holds.
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	// Configuration is Raft's encoding of the membership at Index, in force since
	// ConfigurationIndex.
	Configuration      []byte `json:"configuration,omitempty"`
	ConfigurationIndex uint64 `json:"configuration_index"`
	StartOffset        int64  `json:"start_offset"`
	// CleanOffset is the offset up to which compaction has looked for newer records of a key.
	CleanOffset int64           `json:"clean_offset,omitempty"`
	Producers   []ProducerState `json:"producers,omitempty"`
	// Aborted are the transactions that were aborted since the checkpoint before, in the order of
	// their markers. They go to the segments' own files.
	Aborted []AbortedTransaction `json:"-"`

	Segments []segmentState `json:"segments"`
	Epochs   []EpochStart   `json:"epochs"`
}

// segmentState is what is known, and durable, of a segment.
type segmentState struct {
	BaseOffset   int64    `json:"base_offset"`
	BaseIndex    uint64   `json:"base_index"`
	PrevTerm     uint64   `json:"prev_term"`
	Entries      int64    `json:"entries"`
	Size         int64    `json:"size"`
	NextOffset   int64    `json:"next_offset"`
	MaxTimestamp int64    `json:"max_timestamp"`
	FirstAppend  int64    `json:"first_append"`
	Hidden       []uint32 `json:"hidden,omitempty"`
	LastTerm     uint64   `json:"last_term"`
	IndexCRC     uint32   `json:"index_crc"`         // of the index's header and records
	Aborted      int64    `json:"aborted,omitempty"` // records in the index of aborted transactions
	// Span is how many Raft entries a compacted segment stands for, 0 for any other; then Entries
	// is how many are left, and DataCRC the checksum of their bytes.
	Span    int64  `json:"span,omitempty"`
	DataCRC uint32 `json:"data_crc,omitempty"`
}

func (st segmentState) compacted() bool { return st.Span > 0 }

func (st segmentState) header() segmentHeader {
	return segmentHeader{st.BaseIndex, st.PrevTerm, st.compacted()}
}

// raftEntries is the number of Raft entries that the segment stands for.
func (st segmentState) raftEntries() int64 { return max(st.Entries, st.Span) }

// WriteCheckpoint stores c. The caller fills in the state machine's part, as of the applied
// index c.Index; the log adds its segments and epochs, after making data and indexes durable.
func (l *Log) WriteCheckpoint(c Checkpoint) error {
	l.checkpointMu.Lock()
	defer l.checkpointMu.Unlock()
	if err := l.describe(&c); err != nil {
		return err
	}
	if err := replaceCheckpoint(l.dir, c, func(f *os.File) error { return l.opts.Syncer.Sync(f) }); err != nil {
		return err
	}
	l.checkpointed.Store(c.Index)
	l.swapped = false
	return nil
}

// replaceCheckpoint puts c durably in the place of the checkpoint in dir.
func replaceCheckpoint(dir string, c Checkpoint, sync func(*os.File) error) error {
	b, err := c.Encode()
	if err != nil {
		return err
	}
	path := filepath.Join(dir, checkpointFile)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(b); err == nil {
		err = sync(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err == nil {
		err = durable.Dir(dir)
	}
	return err
}

// describe adds the segments as far as c.Index, and makes them durable. What lies beyond may yet
// be replaced, so nothing is said of it.
func (l *Log) describe(c *Checkpoint) error {
	l.mu.Lock()
	err := l.check()
	history := *l.epochs.Load()
	var segs []*segment
	c.Segments, c.CleanOffset = nil, l.clean.Load()
	for _, s := range l.list() {
		if s.baseIndex <= c.Index {
			segs = append(segs, s)
			c.Segments = append(c.Segments, s.state())
		}
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	if err := l.storeAborted(segs, c.Aborted); err != nil {
		return err
	}
	for i, s := range segs {
		st := &c.Segments[i]
		if n := int64(c.Index - s.baseIndex + 1); n < st.raftEntries() {
			if s.compacted {
				return fmt.Errorf("checkpoint at entry %d: %w", c.Index, errCompacted)
			}
			if err := s.limit(st, int(n)); err != nil {
				return err
			}
		}
		if s.flushed.Load() < st.Entries {
			if err := s.flushTo(st.Entries, l.opts.Syncer); err != nil {
				return err
			}
		}
		if st.Aborted, err = l.abortedBelow(s, st.NextOffset); err != nil {
			return err
		}
	}
	c.Epochs = history
	if n := len(c.Segments); n > 0 {
		c.Epochs = history.truncated(c.Segments[n-1].NextOffset, c.Segments[n-1].LastTerm)
	}
	return nil
}

// limit makes st the state as of the first n entries, which are committed and so will stay.
func (s *segment) limit(st *segmentState, n int) error {
	h, err := s.acquire()
	if err != nil {
		return err
	}
	defer h.free()
	if st.MaxTimestamp, err = s.prefixMaxTimestamp(h, n); err != nil {
		return err
	}
	x := h.index.at(n)
	st.Entries, st.Size, st.NextOffset = int64(n), int64(x.pos), s.baseOffset+int64(x.rel)
	st.Hidden = hiddenBelow(st.Hidden, n)
	st.LastTerm, st.IndexCRC = uint64(h.index.at(n-1).term), h.index.checksum(n)
	if st.NextOffset == st.BaseOffset {
		st.FirstAppend = 0
	}
	return nil
}

// state is a consistent snapshot; the caller holds the log's mu.
func (s *segment) state() segmentState {
	return segmentState{
		BaseOffset: s.baseOffset, BaseIndex: s.baseIndex, PrevTerm: s.prevTerm,
		Entries: s.entries.Load(), Size: s.size.Load(), NextOffset: s.nextOffset.Load(),
		MaxTimestamp: s.maxTimestamp.Load(), FirstAppend: s.firstAppend.Load(), Hidden: *s.hidden.Load(),
		LastTerm: s.endTerm, IndexCRC: s.indexCRC, Span: s.span, DataCRC: s.dataCRC,
	}
}

// flushTo makes data, index and time index durable for at least n entries.
func (s *segment) flushTo(n int64, syncer *Syncer) error {
	h, err := s.acquire()
	if err != nil {
		if errors.Is(err, errSegmentRemoved) {
			return nil
		}
		return err
	}
	defer h.free()
	index, err := h.index.flush()
	if err != nil {
		return err
	}
	if err := s.writeTimes(); err != nil {
		return err
	}
	files := []*os.File{h.file}
	if index != nil {
		files = append(files, index)
	}
	if err := syncer.Sync(files...); err != nil {
		return err
	}
	s.flushed.Store(n)
	return nil
}

// format is the lowest that can hold the checkpoint, so that a version before can read what it knows.
func (c *Checkpoint) format() uint16 {
	for _, st := range c.Segments {
		if st.compacted() || st.Aborted > 0 {
			return fullCheckpointFormat
		}
	}
	for _, p := range c.Producers {
		if p.CoordinatorEpoch >= 0 || p.TxnStart >= 0 {
			return fullCheckpointFormat
		}
	}
	return checkpointFormat
}

// frameCheckpoint puts the header before the body: "QLCP", format uint16, zero uint16, length
// uint32, CRC32C uint32.
func frameCheckpoint(format uint16, body []byte) []byte {
	b := make([]byte, 0, 16+len(body))
	b = append(b, checkpointMagic[:]...)
	b = binary.BigEndian.AppendUint16(b, format)
	b = binary.BigEndian.AppendUint16(b, 0)
	b = binary.BigEndian.AppendUint32(b, uint32(len(body)))
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(body, castagnoli))
	return append(b, body...)
}

// readCheckpoint returns the checkpoint of a directory, or nil where there is none that can be
// trusted.
func readCheckpoint(dir string) (*Checkpoint, error) {
	b, err := os.ReadFile(filepath.Join(dir, checkpointFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return parseCheckpoint(b)
}

var errCheckpoint = errors.New("damaged checkpoint")

func parseCheckpoint(b []byte) (*Checkpoint, error) {
	if len(b) < 16 || !bytes.Equal(b[:4], checkpointMagic[:]) {
		return nil, errCheckpoint
	}
	if v := binary.BigEndian.Uint16(b[4:]); v < checkpointFormat || v > fullCheckpointFormat {
		return nil, fmt.Errorf("checkpoint format %d, this version reads up to %d: %w", v, fullCheckpointFormat, ErrFormat)
	}
	body := b[16:]
	if int(binary.BigEndian.Uint32(b[8:])) != len(body) || crc32.Checksum(body, castagnoli) != binary.BigEndian.Uint32(b[12:]) {
		return nil, errCheckpoint
	}
	var c Checkpoint
	if err := json.Unmarshal(body, &c); err != nil {
		return nil, fmt.Errorf("%w: %w", errCheckpoint, err)
	}
	return &c, nil
}
