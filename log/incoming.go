package log

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"quorumlog/internal/durable"
)

// Incoming gathers the files of a log that comes from another replica, in a directory beside the
// log's own, and in the end puts them in its place. Files that were received by an earlier,
// interrupted attempt are used again, as far as they are whole.
type Incoming struct {
	dir     string // of the log
	staging string
	c       *Checkpoint
	scanner *Log // for its options and the scan of received files
	parts   []*incomingPart

	step func(op string) error // a test crashes here
}

// incomingPart is a segment's data, or its index of aborted transactions.
type incomingPart struct {
	state   segmentState
	aborted bool
	seg     *segment // of what was received, nil while nothing was
	local   bool     // the log that is replaced has it
	done    bool
}

// Suffixes of the directories beside a log's own.
const (
	// IncomingSuffix marks files that are being received. They may be deleted while nothing is.
	IncomingSuffix = ".incoming"
	// ReplacedSuffix marks a log whose place another is taking or has taken: Open settles it.
	ReplacedSuffix = ".replaced"
)

var errIncomplete = errors.New("files are missing")

// Receive prepares to receive what the checkpoint describes, in the place of the log in dir. The
// options are the log's.
func Receive(dir string, c *Checkpoint, o Options) (*Incoming, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	o.setDefaults()
	in := &Incoming{dir: dir, staging: dir + IncomingSuffix, c: c, step: func(string) error { return nil }}
	in.scanner = &Log{dir: in.staging, opts: o}
	in.scanner.epochs.Store(&epochs{})
	for _, st := range c.Segments {
		in.parts = append(in.parts, &incomingPart{state: st})
		if st.Aborted > 0 {
			in.parts = append(in.parts, &incomingPart{state: st, aborted: true})
		}
	}
	if err := makeDir(in.staging); err != nil {
		return nil, err
	}
	return in, in.clean()
}

// clean removes what does not belong to this log from the staging directory.
func (in *Incoming) clean() error {
	files, err := os.ReadDir(in.staging)
	if err != nil {
		return err
	}
	for _, f := range files {
		base, ok := parseStem(f.Name())
		if ok && slices.ContainsFunc(in.parts, func(p *incomingPart) bool { return p.state.BaseOffset == base }) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(in.staging, f.Name())); err != nil {
			return err
		}
	}
	return nil
}

// Missing returns, for each of the checkpoint's parts, from which byte on it is to be sent: its
// size where nothing is missing. A segment that the log itself holds in the same form is not.
func (in *Incoming) Missing(own *Log) ([]int64, error) {
	from := make([]int64, len(in.parts))
	for i, p := range in.parts {
		if p.aborted {
			continue // small, and each replica's own may be behind
		}
		if own.sealedAs(p.state) != nil {
			p.local, from[i] = true, p.state.Size
			continue
		}
		if err := in.unlink(p, own); err != nil {
			return nil, err
		}
		var err error
		if from[i], err = in.resume(p); err != nil {
			return nil, err
		}
	}
	return from, nil
}

// unlink removes a staged file that an interrupted Install linked to one of the log's own: that
// must not be written.
func (in *Incoming) unlink(p *incomingPart, own *Log) error {
	name := segmentStem(p.state.BaseOffset) + dataSuffix
	staged, here := os.Stat(filepath.Join(in.staging, name))
	mine, there := os.Stat(filepath.Join(own.dir, name))
	if here == nil && there == nil && os.SameFile(staged, mine) {
		return os.Remove(filepath.Join(in.staging, name))
	}
	return nil // what cannot be looked at fails when it is opened
}

// resume finds out how much of a part was received before, whole and in order.
func (in *Incoming) resume(p *incomingPart) (int64, error) {
	st := p.state
	s := newSegment(in.staging, st.BaseOffset, st.header())
	path := s.path(dataSuffix)
	size, err := fileSize(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	if size > st.Size || st.checkHeader(path) != nil {
		return 0, os.Remove(path)
	}
	if err := in.scan(p, size); err != nil {
		return 0, errors.Join(err, os.Remove(path))
	}
	n := p.seg.size.Load()
	return n, os.Truncate(path, n)
}

// checkHeader compares a file's header with the one that its segment has.
func (st segmentState) checkHeader(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	got := make([]byte, segmentHeaderSize)
	if _, err := f.ReadAt(got, 0); err != nil {
		return err
	}
	if want := st.header().append(nil, st.BaseOffset); !bytes.Equal(got, want) {
		return errControl
	}
	return nil
}

// scan verifies a part's file from where the last scan ended, and indexes it.
func (in *Incoming) scan(p *incomingPart, size int64) error {
	if p.seg == nil {
		st := p.state
		p.seg = newSegment(in.staging, st.BaseOffset, st.header())
		p.seg.files.cache, p.seg.files.verified = in.scanner.opts.Files, true
		p.seg.files.mapSize = st.Size
	}
	why, err := in.scanner.scan(p.seg, size)
	if err != nil {
		return err
	}
	if n := p.seg.size.Load(); n == p.state.Size {
		return in.complete(p)
	} else if size == p.state.Size {
		return corrupt(p.seg.path(dataSuffix), "received, but wrong from byte %d on: %s", n, why)
	}
	return nil
}

// complete checks a whole part against its description and makes it durable.
func (in *Incoming) complete(p *incomingPart) error {
	if got := p.seg.state(); !got.same(p.state) {
		return corrupt(p.seg.path(dataSuffix), "received, but it is not what was described")
	}
	if err := p.seg.flushTo(p.state.Entries, in.scanner.opts.Syncer); err != nil {
		return err
	}
	p.seg.files.drop(ErrClosed)
	p.done = true
	return nil
}

// Write receives part i from the byte that Missing said, and verifies it: every batch has to be
// whole, with its CRC, the next offset and a leader epoch that does not fall, each at its place.
func (in *Incoming) Write(i int, from int64, r io.Reader) error {
	p := in.parts[i]
	if p.aborted {
		return in.writeAborted(p, r)
	}
	path := filepath.Join(in.staging, segmentStem(p.state.BaseOffset)+dataSuffix)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Seek(from, io.SeekStart); err != nil {
		return err
	}
	if _, err := io.CopyN(f, r, p.state.Size-from); err != nil {
		return err // what has come is used the next time
	}
	if err = p.state.checkHeader(path); err == nil {
		err = in.scan(p, p.state.Size)
	}
	if err != nil {
		in.forget(p)
		os.Remove(path)
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// writeAborted receives an index of aborted transactions, whole.
func (in *Incoming) writeAborted(p *incomingPart, r io.Reader) error {
	st := p.state
	s := newSegment(in.staging, st.BaseOffset, st.header())
	var header [abortedHeaderSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return err
	}
	if err := checkAbortedHeader(header[:], st.BaseOffset); err != nil {
		return err
	}
	err := s.writeAborted(in.scanner.opts.Syncer, func(w io.Writer) error {
		_, err := io.CopyN(w, r, st.Aborted*abortedSize)
		return err
	})
	if err != nil {
		return err
	}
	n, _, err := scanAborted(s.path(abortedSuffix), st.BaseOffset, st.NextOffset)
	if err == nil && n != st.Aborted {
		err = corrupt(s.path(abortedSuffix), "received, but wrong from record %d on", n)
	}
	p.done = err == nil
	return err
}

func (in *Incoming) forget(p *incomingPart) {
	if p.seg != nil {
		p.seg.files.drop(ErrClosed)
		p.seg = nil
	}
}

// Close lets go of the files; they stay for another attempt.
func (in *Incoming) Close() {
	for _, p := range in.parts {
		in.forget(p)
	}
}

// Discard deletes what was received.
func (in *Incoming) Discard() error {
	in.Close()
	return os.RemoveAll(in.staging)
}

// Install puts the received files, and those that the log holds itself, in the place of the log,
// which must be closed and of whose entries no more may be needed than the checkpoint describes.
// After an error, or a crash at any point, Open finds either the old log or the new one, whole.
func (in *Incoming) Install(own *Log) error {
	in.Close()
	for _, p := range in.parts {
		if err := in.adopt(p, own); err != nil {
			return err
		}
	}
	if err := in.writeCheckpoint(); err != nil {
		return err
	}
	parent := filepath.Dir(in.dir)
	return in.run([]operation{
		{"move the old log away", func() error { return os.Rename(in.dir, in.dir+ReplacedSuffix) }},
		{"sync parent", func() error { return durable.Dir(parent) }},
		{"move the new log in", func() error { return os.Rename(in.staging, in.dir) }},
		{"sync parent", func() error { return durable.Dir(parent) }},
		{"delete the old log", func() error { return os.RemoveAll(in.dir + ReplacedSuffix) }},
	})
}

type operation struct {
	name string
	do   func() error
}

func (in *Incoming) run(ops []operation) error {
	for _, op := range ops {
		if err := in.do(op.name, op.do); err != nil {
			return err
		}
	}
	return nil
}

func (in *Incoming) do(op string, f func() error) error {
	if err := in.step(op); err != nil {
		return err
	}
	return f()
}

// adopt makes a part complete, by a link to the log's own file where it was not received.
func (in *Incoming) adopt(p *incomingPart, own *Log) error {
	if p.done {
		return nil
	}
	s := own.sealedAs(p.state)
	if s == nil || p.aborted {
		return fmt.Errorf("segment at offset %d: %w", p.state.BaseOffset, errIncomplete)
	}
	for _, suffix := range []string{indexSuffix, timeSuffix, dataSuffix} {
		to := filepath.Join(in.staging, segmentStem(s.baseOffset)+suffix)
		err := in.do("link "+suffix, func() error {
			os.Remove(to)
			return os.Link(s.path(suffix), to)
		})
		if err != nil && (suffix == dataSuffix || !errors.Is(err, os.ErrNotExist)) {
			return err // without an index, one is made
		}
	}
	return nil
}

// writeCheckpoint completes the new log: with it, the directory can be opened.
func (in *Incoming) writeCheckpoint() error {
	b, err := in.c.Encode()
	if err != nil {
		return err
	}
	path := filepath.Join(in.staging, checkpointFile)
	return in.run([]operation{
		{"write checkpoint", func() error { return os.WriteFile(path+".new", b, 0o644) }},
		{"sync checkpoint", func() error { return syncPath(path+".new", in.scanner.opts.Syncer) }},
		{"name checkpoint", func() error { return os.Rename(path+".new", path) }},
		{"sync directory", func() error { return durable.Dir(in.staging) }},
	})
}

func syncPath(path string, syncer *Syncer) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return syncer.Sync(f)
}

// settleInstall finishes an Install that a crash interrupted. Only while one log has left its
// place and the other has not come does the received one count: before, it is a mere attempt.
func settleInstall(dir string) error {
	replaced := dir + ReplacedSuffix
	if !exists(replaced) {
		return nil
	}
	if !exists(dir) {
		from := replaced
		if exists(filepath.Join(dir+IncomingSuffix, checkpointFile)) {
			from = dir + IncomingSuffix
		}
		if err := errors.Join(os.Rename(from, dir), durable.Dir(filepath.Dir(dir))); err != nil {
			return err
		}
	}
	return os.RemoveAll(replaced)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
