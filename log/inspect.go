package log

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"

	"quorumlog/record"
)

// KindSegment is what Inspect calls the header that every segment file begins with. It is no
// Raft entry.
const KindSegment Kind = 0

// String is the kind's name.
func (k Kind) String() string {
	names := [...]string{"segment", "data", "noop", "configuration", "barrier", "command", "removed", "map"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// Stored is one batch of a segment file.
type Stored struct {
	Path     string
	Position int64        // bytes into the file
	Index    uint64       // Raft index of the entry; for a segment's header that of the first to follow
	Kind     Kind         // KindSegment for the header
	Batch    record.Batch // valid until the next one is asked for
	Payload  []byte       // of a Raft entry that is not data
}

// Problem is the first thing that Inspect found wrong: what follows Position is not the log.
type Problem struct {
	Path     string
	Position int64 // bytes into the file
	Reason   string
}

func (p *Problem) Error() string {
	return fmt.Sprintf("%s at byte %d: %s", p.Path, p.Position, p.Reason)
}

// Inspect walks over the batches of a partition's directory or of one segment file, checking
// each as recovery would. It reads the data files alone and changes nothing, so it may run while
// a broker has the directory open; the last batch may then be one that is just being written.
// When the sequence has ended, the function returned with it gives what ended it: nil at the
// regular end of the log, a *Problem, or an error of the operating system.
func Inspect(path string) (iter.Seq[Stored], func() error) {
	var err error
	seq := func(yield func(Stored) bool) {
		var paths []string
		if paths, err = segmentPaths(path); err != nil {
			return
		}
		in := &inspector{yield: yield}
		for _, p := range paths {
			var more bool
			if more, err = in.file(p); err != nil || !more {
				return
			}
		}
	}
	return seq, func() error { return err }
}

// segmentPaths lists the data files that path stands for, in order.
func segmentPaths(path string) ([]string, error) {
	st, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !st.IsDir() {
		return []string{path}, nil
	}
	files, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var paths []string
	for _, f := range files { // sorted by name, and names are of equal length
		if _, ok := parseStem(f.Name()); ok {
			paths = append(paths, filepath.Join(path, f.Name()))
		}
	}
	return paths, nil
}

// inspector carries the place in the log from file to file.
type inspector struct {
	yield   func(Stored) bool
	started bool
	next    int64  // offset
	index   uint64 // Raft
	term    uint64

	f    *os.File
	path string
	pos  int64
	size int64
	buf  []byte

	compacted bool
	end       uint64     // the Raft index after a compacted segment
	runs      []entryRun // of a compacted segment: where entries are missing before the next batch
	kept      int        // batches of the first run that have been seen
}

// file inspects one segment and reports whether to go on.
func (in *inspector) file(path string) (bool, error) {
	f, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return false, err
	}
	in.f, in.path, in.pos, in.size = f, path, 0, st.Size()
	if more, err := in.header(); err != nil || !more {
		return more, err
	}
	for in.pos < in.size {
		b, err := in.read()
		if err != nil {
			return false, err
		}
		b, kind, why := nextWhole(b, in.next, in.term, in.compacted)
		switch {
		case why == preallocated:
			return true, nil
		case why != "":
			return false, in.problem(why)
		case kind == kindMap:
			in.leave(b)
			return true, nil
		}
		in.skipRemoved()
		s := Stored{Path: path, Position: in.pos, Index: in.index, Kind: kind, Batch: b}
		if kind == KindData {
			in.next = s.Batch.NextOffset()
		} else {
			_, s.Payload, _ = entryKind(s.Batch)
		}
		in.index, in.term, in.pos = in.index+1, uint64(s.Batch.LeaderEpoch()), in.pos+int64(len(b))
		if !in.yield(s) {
			return false, nil
		}
	}
	return true, nil
}

// header checks that the segment continues the one before.
func (in *inspector) header() (bool, error) {
	b, err := in.read()
	if err != nil {
		return false, err
	}
	base, ok := parseStem(filepath.Base(in.path))
	if len(b) < segmentHeaderSize || !ok {
		return false, in.problem("no segment header")
	}
	b = slices.Clone(b[:segmentHeaderSize]) // more is read before it is shown
	hdr, err := decodeHeader(b, base)
	if err != nil {
		return false, in.problem(err.Error())
	}
	if in.started && (in.next != base || in.index != hdr.baseIndex || in.term != hdr.prevTerm) {
		return false, in.problem(fmt.Sprintf("begins at offset %d, entry %d after term %d, but the segment before it ends at offset %d, entry %d, term %d",
			base, hdr.baseIndex, hdr.prevTerm, in.next, in.index, in.term))
	}
	in.started, in.next, in.index, in.term, in.pos = true, base, hdr.baseIndex, hdr.prevTerm, segmentHeaderSize
	if in.compacted = hdr.compacted; in.compacted {
		if err := in.readMap(); err != nil {
			return false, err
		}
	}
	return in.yield(Stored{Path: in.path, Index: hdr.baseIndex, Kind: KindSegment, Batch: b}), nil
}

// read returns the batch at the current position as far as the file holds it.
func (in *inspector) read() ([]byte, error) {
	b, err := in.readAt(record.HeaderSize)
	if err != nil || len(b) < record.HeaderSize {
		return b, err
	}
	if n := record.Size(b); n > record.HeaderSize {
		return in.readAt(min(n, int(in.size-in.pos), mapSlack))
	}
	return b, nil
}

func (in *inspector) readAt(n int) ([]byte, error) {
	in.buf = slices.Grow(in.buf[:0], n)[:n]
	got, err := in.f.ReadAt(in.buf, in.pos)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return in.buf[:got], err
}

func (in *inspector) problem(why string) error { return &Problem{in.path, in.pos, why} }
