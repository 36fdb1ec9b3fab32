package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math"
	"os"
	"path/filepath"
	"strings"

	"quorumlog/internal/durable"
	"quorumlog/record"
)

// StoredAborted is one record of a segment's index of aborted transactions.
type StoredAborted struct {
	Path     string
	Position int64 // bytes into the file
	AbortedTransaction
}

// InspectAborted walks over the indexes of aborted transactions of a partition's directory, or over the
// one of a segment; path may name the segment's data file or the index. It changes nothing. When the
// sequence has ended, the function returned with it gives what ended it: nil, a *Problem, or an error of
// the operating system.
func InspectAborted(path string) (iter.Seq[StoredAborted], func() error) {
	var err error
	seq := func(yield func(StoredAborted) bool) {
		var paths []string
		if paths, err = segmentPaths(path); err != nil {
			return
		}
		for _, p := range paths {
			var records []StoredAborted
			var damage error
			if records, damage, err = readAborted(abortedPath(p)); err != nil {
				return
			}
			for _, a := range records {
				if !yield(a) {
					return
				}
			}
			if err = damage; err != nil {
				return
			}
		}
	}
	return seq, func() error { return err }
}

// abortedPath is the index that belongs to a data file.
func abortedPath(data string) string {
	return strings.TrimSuffix(data, filepath.Ext(data)) + abortedSuffix
}

// readAborted returns the records of a file, none where there is no file, and what comes after them that
// is none.
func readAborted(path string) (records []StoredAborted, damage, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	base, ok := parseStem(strings.TrimSuffix(filepath.Base(path), abortedSuffix) + dataSuffix)
	if !ok {
		return nil, &Problem{path, 0, "its name is not that of a segment"}, nil
	}
	if err := checkAbortedHeader(b, base); err != nil {
		return nil, &Problem{path, 0, err.Error()}, nil
	}
	r, pos := bytes.NewReader(b[abortedHeaderSize:]), int64(abortedHeaderSize)
	for r.Len() > 0 {
		a, whole := nextRecord(r)
		if !whole {
			return records, &Problem{path, pos, "no whole record of an aborted transaction"}, nil
		}
		records = append(records, StoredAborted{path, pos, a})
		pos += abortedSize
	}
	return records, nil, nil
}

// AbortedCheck compares a directory's indexes of aborted transactions with its batches, which Inspect
// shows it in their order. A broker makes a damaged index anew by itself when a reader needs it.
type AbortedCheck struct {
	checkpoint *Checkpoint
	end        int64 // the checkpoint speaks of markers below
	all        *Producers
	visible    *Producers // of what lies at the log's start or after: all that an index made anew knows
	first      int64      // offset of the first segment, -1 before it
	gaps       bool       // compaction has removed batches
	segment    abortedSegment
	damaged    []*DamagedAborted
	failed     error
}

// abortedSegment is what the batches of a segment say.
type abortedSegment struct {
	path      string
	info      os.FileInfo
	base      int64
	compacted bool
	markers   map[int64]int64 // producer, by the offset of its abort marker
	aborted   []AbortedTransaction
	begins    map[int64]int64 // the first visible offset of the transaction, by that of its marker
}

// CheckAborted begins a check of the directory.
func CheckAborted(dir string) (*AbortedCheck, error) {
	c, err := readCheckpoint(dir)
	if err != nil && !errors.Is(err, errCheckpoint) {
		return nil, err
	}
	x := &AbortedCheck{checkpoint: c, all: NewProducers(nil), visible: NewProducers(nil), first: -1}
	if c != nil && len(c.Segments) > 0 {
		x.end = c.Segments[len(c.Segments)-1].NextOffset
	}
	return x, nil
}

// See takes notice of the next batch that Inspect shows.
func (x *AbortedCheck) See(s Stored) {
	if s.Kind == KindSegment {
		x.finish()
		x.begin(s)
	} else if s.Kind == KindData {
		x.apply(s.Batch)
	}
}

func (x *AbortedCheck) begin(s Stored) {
	base := s.Batch.BaseOffset()
	if x.first < 0 {
		x.first = base
	}
	hdr, err := parseSegmentHeader(s.Batch)
	x.gaps = x.gaps || hdr.compacted
	info, e := os.Stat(s.Path)
	x.failed = errors.Join(x.failed, err, e)
	x.segment = abortedSegment{s.Path, info, base, hdr.compacted, map[int64]int64{}, nil, map[int64]int64{}}
}

func (x *AbortedCheck) apply(b record.Batch) {
	if m, err := record.ParseMarker(b); b.IsControl() && err == nil && !m.Commit {
		x.segment.markers[b.LastOffset()] = m.ProducerID
	}
	if a, ok := x.all.Apply(b); ok && a.Last < x.end {
		x.segment.aborted = append(x.segment.aborted, a)
	}
	if x.checkpoint != nil && b.LastOffset() < x.checkpoint.StartOffset {
		return
	}
	if a, ok := x.visible.Apply(b); ok {
		x.segment.begins[a.Last] = a.First
	}
}

// Damaged ends the check and returns the indexes that are not what the batches and the checkpoint say.
func (x *AbortedCheck) Damaged() ([]*DamagedAborted, error) {
	x.finish()
	return x.damaged, x.failed
}

// finish looks at the index of the segment that has ended.
func (x *AbortedCheck) finish() {
	s := &x.segment
	if s.path == "" || x.failed != nil {
		return
	}
	defer func() { *s = abortedSegment{} }()
	path := abortedPath(s.path)
	records, damage, err := readAborted(path)
	if err != nil {
		x.failed = err
		return
	}
	problem := x.compare(path, records)
	var header *Problem
	if problem == nil && errors.As(damage, &header) && header.Position == 0 {
		problem = header // further on it is what a crash left of an append
	}
	if problem == nil {
		return
	}
	// A broker that runs may have compacted the segment meanwhile.
	if now, err := os.Stat(s.path); err != nil || !os.SameFile(now, s.info) {
		return
	}
	x.damaged = append(x.damaged, &DamagedAborted{*problem, s.base, s.aborted})
}

// compare returns the first thing that is wrong with an index's records.
func (x *AbortedCheck) compare(path string, records []StoredAborted) *Problem {
	s, due := &x.segment, x.segment.aborted
	n, last, pos := int64(0), int64(-1), int64(abortedHeaderSize)
	for _, a := range records {
		if a.Last >= x.end {
			break // no checkpoint speaks of it
		}
		pos = a.Position
		switch producer, there := s.markers[a.Last]; {
		case a.Last <= last:
			return &Problem{path, pos, fmt.Sprintf("a transaction that ended at offset %d stands after one that ended at %d", a.Last, last)}
		case !there || producer != a.ProducerID:
			return &Problem{path, pos, fmt.Sprintf("the segment has no marker at offset %d that aborts a transaction of producer %d", a.Last, a.ProducerID)}
		}
		var why string
		if due, why = s.pass(due, a.Last); why != "" {
			return &Problem{path, pos, why}
		}
		if len(due) > 0 && due[0].Last == a.Last {
			if why := x.differs(a.AbortedTransaction, due[0]); why != "" {
				return &Problem{path, pos, why}
			}
			due = due[1:]
		}
		n, last, pos = n+1, a.Last, pos+abortedSize
	}
	if _, why := s.pass(due, math.MaxInt64); why != "" {
		return &Problem{path, pos, why}
	}
	if m := x.promised(); n < m {
		return &Problem{path, pos, fmt.Sprintf("%d transactions, the checkpoint speaks of %d", n, m)}
	}
	return nil
}

// pass goes over the transactions that ended before an offset: those must not be missing of which there
// is something to see.
func (s *abortedSegment) pass(due []AbortedTransaction, offset int64) (rest []AbortedTransaction, why string) {
	for len(due) > 0 && due[0].Last < offset {
		if _, needed := s.begins[due[0].Last]; needed {
			return due, fmt.Sprintf("the transaction of producer %d that was aborted at offset %d is missing", due[0].ProducerID, due[0].Last)
		}
		due = due[1:]
	}
	return due, ""
}

// promised is how many records the checkpoint speaks of. What it says of a segment that was compacted
// may be from before that.
func (x *AbortedCheck) promised() int64 {
	if x.checkpoint == nil || x.segment.compacted {
		return 0
	}
	for _, st := range x.checkpoint.Segments {
		if st.BaseOffset == x.segment.base {
			return st.Aborted
		}
	}
	return 0
}

// differs says how a record is not that of the transaction that the batches tell of. Where batches have
// been removed before it, it may have begun earlier than they tell; an index that was made anew begins
// at the log's start.
func (x *AbortedCheck) differs(a, told AbortedTransaction) string {
	latest, visible := x.segment.begins[a.Last]
	switch {
	case a.First < told.First && !x.gaps && a.First >= x.first,
		a.First > told.First && visible && a.First > latest:
		return fmt.Sprintf("the transaction of producer %d began at offset %d, not %d", a.ProducerID, told.First, a.First)
	case a.Stable != told.Stable && a.First == told.First && !x.gaps && x.first == 0 && (x.checkpoint == nil || x.checkpoint.StartOffset == 0):
		return fmt.Sprintf("the last stable offset at %d was %d, not %d", a.Last, told.Stable, a.Stable)
	}
	return ""
}

// DamagedAborted is an index that is not what it should be.
type DamagedAborted struct {
	Problem
	base    int64
	aborted []AbortedTransaction // by the batches
}

// Rebuild makes the index anew from the batches. Nothing of the log is lost by that. Nobody else may
// have the log open.
func (d *DamagedAborted) Rebuild() error {
	s := newSegment(filepath.Dir(d.Path), d.base, segmentHeader{})
	if len(d.aborted) == 0 {
		return errors.Join(os.Remove(d.Path), durable.Dir(s.dir))
	}
	return s.writeAborted(NewSyncer(), func(w io.Writer) error {
		var b []byte
		for _, a := range d.aborted {
			b = a.append(b)
		}
		_, err := w.Write(b)
		return err
	})
}
