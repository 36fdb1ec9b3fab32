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
)

// The checkpoint bounds the work of a restart. It is replaced whole: written beside, synced,
// renamed. It speaks only of committed entries and of bytes that were durable before it was
// written, so an old checkpoint is never wrong, only further back.
const (
	checkpointFile   = "checkpoint"
	checkpointFormat = 1
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
	Configuration      []byte          `json:"configuration,omitempty"`
	ConfigurationIndex uint64          `json:"configuration_index"`
	StartOffset        int64           `json:"start_offset"`
	Producers          []ProducerState `json:"producers,omitempty"`

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
}

// WriteCheckpoint stores c. The caller fills in the state machine's part, as of the applied
// index c.Index; the log adds its segments and epochs, after making data and indexes durable.
func (l *Log) WriteCheckpoint(c Checkpoint) error {
	if err := l.describe(&c); err != nil {
		return err
	}
	body, err := json.Marshal(c)
	if err != nil {
		return err
	}
	path := filepath.Join(l.dir, checkpointFile)
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	if _, err = f.Write(frameCheckpoint(body)); err == nil {
		err = l.opts.Syncer.Sync(f)
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	return err
}

// describe adds the segments as they are now. The tail of a segment may hold entries that are
// not committed yet; recovery reads those from the data in any case.
func (l *Log) describe(c *Checkpoint) error {
	l.mu.Lock()
	err := l.check()
	segs := l.list()
	c.Epochs = *l.epochs.Load()
	states := make([]segmentState, len(segs))
	for i, s := range segs {
		states[i] = s.state()
	}
	l.mu.Unlock()
	if err != nil {
		return err
	}
	for i, s := range segs {
		if s.flushed.Load() >= states[i].Entries {
			continue
		}
		if err := s.flushTo(states[i].Entries, l.opts.Syncer); err != nil {
			return err
		}
	}
	c.Segments = states
	return nil
}

// state is a consistent snapshot; the caller holds the log's mu.
func (s *segment) state() segmentState {
	return segmentState{
		BaseOffset: s.baseOffset, BaseIndex: s.baseIndex, PrevTerm: s.prevTerm,
		Entries: s.entries.Load(), Size: s.size.Load(), NextOffset: s.nextOffset.Load(),
		MaxTimestamp: s.maxTimestamp.Load(), FirstAppend: s.firstAppend.Load(), Hidden: *s.hidden.Load(),
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
	defer s.release(h)
	if err := h.index.flush(); err != nil {
		return err
	}
	if !s.sealed.Load() {
		if err := s.writeTimes(); err != nil {
			return err
		}
	}
	if err := syncer.Sync(h.file, h.index.file); err != nil {
		return err
	}
	s.flushed.Store(n)
	return nil
}

// frameCheckpoint puts the header before the body: "QLCP", format uint16, zero uint16, length
// uint32, CRC32C uint32.
func frameCheckpoint(body []byte) []byte {
	b := make([]byte, 0, 16+len(body))
	b = append(b, checkpointMagic[:]...)
	b = binary.BigEndian.AppendUint16(b, checkpointFormat)
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
	if v := binary.BigEndian.Uint16(b[4:]); v != checkpointFormat {
		return nil, fmt.Errorf("checkpoint format %d, this version reads %d: %w", v, checkpointFormat, ErrFormat)
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
