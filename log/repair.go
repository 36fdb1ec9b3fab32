package log

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quorumlog/internal/durable"
)

// Cut is where a log that Open refuses can be ended so that it opens: before the first thing that
// is wrong. What follows is lost to it, acknowledged records among it.
type Cut struct {
	Problem string   // what is wrong, and where
	Path    string   // the data file that becomes the last
	Size    int64    // bytes that stay of it
	Bytes   int64    // that go of it
	Dropped []string // data files after it, which go whole

	LastEntry uint64 // the last Raft entry that stays
	EndOffset int64  // the next offset from then on
	Known     int64  // records before this offset were there, as far as anything tells

	dir        string
	term       uint64 // of LastEntry
	checkpoint *Checkpoint
}

var (
	// ErrNothingWhole is returned by FindCut where not even the first batch can be kept.
	ErrNothingWhole = errors.New("nothing of it is whole")
	// ErrCompactedDamage is returned by FindCut where the cut would be within a compacted segment,
	// which is whole or nothing.
	ErrCompactedDamage = errors.New("the damage is in a compacted segment, or right behind one")
)

// FindCut reads the log in dir and finds where to cut it, nil where nothing has to be cut, and which
// indexes of aborted transactions are damaged before that. Nothing is changed. Nobody else may have the
// log open.
func FindCut(dir string) (*Cut, []*DamagedAborted, error) {
	indexes, err := CheckAborted(dir)
	if err != nil {
		return nil, nil, err
	}
	cut := &Cut{dir: dir, checkpoint: indexes.checkpoint}
	needed, err := cut.find(indexes)
	if err != nil {
		return nil, nil, err
	}
	damaged, err := indexes.Damaged()
	if err != nil || !needed {
		return nil, damaged, err
	}
	if cut.Path == "" {
		return nil, nil, fmt.Errorf("%s: %w", cut.Problem, ErrNothingWhole)
	}
	damaged = slices.DeleteFunc(damaged, func(d *DamagedAborted) bool { return d.Path >= abortedPath(cut.Path) }) // they go
	return cut, damaged, cut.measure()
}

// find reads the log up to the first thing that is wrong, and reports whether there is any.
func (c *Cut) find(indexes *AbortedCheck) (bool, error) {
	batches, ended := Inspect(c.dir)
	for s := range batches {
		indexes.See(s)
		c.Path, c.Size = s.Path, s.Position+int64(len(s.Batch))
		if s.Kind == KindSegment {
			hdr, err := parseSegmentHeader(s.Batch)
			if err != nil {
				return false, err
			}
			// What compaction removed at the end of the file before is only seen here.
			c.LastEntry, c.term, c.EndOffset = s.Index-1, hdr.prevTerm, s.Batch.BaseOffset()
			continue
		}
		c.LastEntry, c.term = s.Index, uint64(s.Batch.LeaderEpoch())
		if s.Kind == KindData {
			c.EndOffset = s.Batch.NextOffset()
		}
	}
	var wrong *Problem
	switch k, err := c.checkpoint, ended(); {
	case errors.As(err, &wrong):
		c.Problem = wrong.Error()
	case err != nil:
		return false, err
	case k != nil && c.LastEntry < k.Index:
		c.Problem = fmt.Sprintf("%s ends at entry %d, but entries up to %d were committed", c.dir, c.LastEntry, k.Index)
	default:
		return false, nil
	}
	return true, nil
}

// measure adds what goes.
func (c *Cut) measure() error {
	paths, err := segmentPaths(c.dir)
	if err != nil {
		return err
	}
	hdr, err := headerOf(c.Path)
	if err != nil {
		return err
	}
	if hdr.compacted {
		return fmt.Errorf("%s: %w", c.Problem, ErrCompactedDamage)
	}
	c.Dropped = paths[slices.Index(paths, c.Path)+1:]
	end, err := dataEnd(c.Path)
	if err != nil {
		return err
	}
	c.Bytes, c.Known = max(0, end-c.Size), c.EndOffset
	for _, p := range c.Dropped {
		base, _ := parseStem(filepath.Base(p))
		c.Known = max(c.Known, base)
		batches, _ := Inspect(p) // as far as it can be read
		for s := range batches {
			if s.Kind == KindData {
				c.Known = max(c.Known, s.Batch.NextOffset())
			}
		}
	}
	if c.checkpoint != nil {
		for _, s := range c.checkpoint.Segments {
			c.Known = max(c.Known, s.NextOffset)
		}
	}
	return nil
}

// headerOf reads a data file's header.
func headerOf(path string) (segmentHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return segmentHeader{}, err
	}
	defer f.Close()
	b := make([]byte, segmentHeaderSize)
	if _, err := io.ReadFull(f, b); err != nil {
		return segmentHeader{}, err
	}
	base, _ := parseStem(filepath.Base(path))
	return decodeHeader(b, base)
}

// dataEnd is the size of a file without the empty space behind its data.
func dataEnd(path string) (int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return 0, err
	}
	block := make([]byte, 64<<10)
	for size > 0 {
		n := min(int64(len(block)), size)
		if _, err := f.ReadAt(block[:n], size-n); err != nil {
			return 0, err
		}
		if trimmed := strings.TrimRight(string(block[:n]), "\x00"); trimmed != "" {
			return size - n + int64(len(trimmed)), nil
		}
		size -= n
	}
	return 0, nil
}

// Make ends the log there. What goes is not deleted but set aside, in files beside the log whose
// names end in .cut-suffix. It may be repeated after it was interrupted.
func (c *Cut) Make(suffix string) error {
	suffix = ".cut-" + suffix
	if err := c.keepTail(c.Path + suffix); err != nil {
		return err
	}
	for _, p := range c.Dropped {
		if err := os.Rename(p, p+suffix); err != nil {
			return err
		}
	}
	if err := c.setBack(); err != nil {
		return err
	}
	f, err := os.OpenFile(c.Path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := errors.Join(f.Truncate(c.Size), durable.File(f)); err != nil {
		return err
	}
	for _, p := range append([]string{c.Path}, c.Dropped...) {
		stem := strings.TrimSuffix(p, dataSuffix)
		for _, suffix := range []string{indexSuffix, timeSuffix, abortedSuffix} {
			os.Remove(stem + suffix) // made anew from the data
		}
	}
	return durable.Dir(c.dir)
}

// keepTail copies what goes of the last file.
func (c *Cut) keepTail(path string) error {
	if c.Bytes == 0 {
		return nil
	}
	in, err := os.Open(c.Path)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(path)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, io.NewSectionReader(in, c.Size, c.Bytes)); err != nil {
		return err
	}
	return durable.File(out)
}

// setBack makes the checkpoint speak of nothing that is gone. Without one, all data is read.
func (c *Cut) setBack() error {
	k := c.checkpoint
	if k == nil {
		os.Remove(filepath.Join(c.dir, checkpointFile)) // it was damaged, if it is there
		return nil
	}
	if k.Index > c.LastEntry {
		k.Index, k.Term = c.LastEntry, c.term
	}
	k.ConfigurationIndex = min(k.ConfigurationIndex, k.Index)
	k.StartOffset, k.CleanOffset = min(k.StartOffset, c.EndOffset), min(k.CleanOffset, c.EndOffset)
	k.Epochs = epochs(k.Epochs).truncated(c.EndOffset, c.term)
	base, _ := parseStem(filepath.Base(c.Path))
	k.Segments = slices.DeleteFunc(k.Segments, func(s segmentState) bool { return s.BaseOffset >= base })
	k.Producers = slices.DeleteFunc(k.Producers, func(p ProducerState) bool {
		return p.TxnStart >= c.EndOffset || slices.ContainsFunc(p.Batches, func(b BatchRange) bool { return b.Offset >= c.EndOffset })
	})
	return replaceCheckpoint(c.dir, *k, durable.File)
}
