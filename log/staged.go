package log

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"os"

	"quorumlog/internal/durable"
	"quorumlog/record"
)

// stagedSuffix marks a file that compaction is writing. It counts for nothing, and is deleted when
// the log is opened.
const stagedSuffix = ".compacting"

// stagedSegment is a compacted segment that is being written beside those whose place it takes.
type stagedSegment struct {
	seg         *segment
	data, index *stagedFile
	aborted     []AbortedTransaction // of which readers still have to know
	entries     entryMap
	last        int // number of Raft entries that the sources so far stand for
}

// newStaged begins a segment for a group of others.
func (c *compactor) newStaged(group []*segment) (w *stagedSegment, err error) {
	first, last := group[0], group[len(group)-1]
	hdr := segmentHeader{first.baseIndex, first.prevTerm, true}
	s := newSegment(c.log.dir, first.baseOffset, hdr)
	s.files.cache, s.files.verified = c.log.opts.Files, true
	s.nextOffset.Store(last.nextOffset.Load())
	s.firstAppend.Store(first.firstAppend.Load())
	s.endTerm = last.endTerm
	w = &stagedSegment{seg: s}
	if w.data, err = c.stage(s.path(dataSuffix)); err != nil {
		return nil, err
	}
	if w.index, err = c.stage(s.path(indexSuffix)); err != nil {
		w.discard()
		return nil, err
	}
	b := hdr.append(nil, first.baseOffset)
	s.addSum(b)
	if err = w.data.write(b); err == nil {
		err = w.index.write(appendIndexHeader(nil, s.baseIndex))
	}
	if err != nil {
		w.discard()
		return nil, err
	}
	return w, nil
}

// add appends a batch that is the n-th Raft entry of a source, whose entries begin after w.last.
func (w *stagedSegment) add(b record.Batch, kind Kind, n int) error {
	s := w.seg
	pos, i := s.size.Load(), int(s.entries.Load())
	if pos+int64(len(b)) > math.MaxUint32 {
		return fmt.Errorf("%s would have more than 4 GiB", s.path(dataSuffix))
	}
	if err := w.data.write(b); err != nil {
		return err
	}
	var rec [indexEntrySize]byte
	putSlot(rec[:], slot{uint32(pos), uint32(b.BaseOffset() - s.baseOffset), uint32(b.LeaderEpoch()), kind})
	binary.BigEndian.PutUint32(rec[12:], uint32(kind)<<24|uint32(w.last+n))
	if err := w.index.write(rec[:]); err != nil {
		return err
	}
	s.addSum(b)
	s.indexCRC = crc32.Update(s.indexCRC, castagnoli, rec[:])
	w.entries.keep(w.last + n)
	if kind == KindData {
		s.noteTime(b.MaxTimestamp(), uint32(i), pos)
	} else {
		s.addHidden(uint32(i))
	}
	s.size.Add(int64(len(b)))
	s.entries.Add(1)
	return nil
}

// finish completes the files and makes them durable. The data file's size will not be avoid.
func (w *stagedSegment) finish(avoid int64) error {
	s := w.seg
	s.span = int64(w.last)
	w.entries.span, w.entries.sum = s.span, s.dataCRC
	for {
		m := appendControl(nil, s.nextOffset.Load(), s.endTerm, controlMap, w.entries.encode())
		if s.size.Load()+int64(len(m)) == avoid {
			w.entries.runs = append(w.entries.runs, entryRun{}) // means nothing
			continue
		}
		if err := w.data.write(m); err != nil {
			return err
		}
		s.size.Add(int64(len(m)))
		break
	}
	if err := errors.Join(w.data.close(), w.index.close()); err != nil {
		return err
	}
	s.allocated = s.size.Load()
	s.flushed.Store(s.entries.Load())
	s.sealed.Store(true)
	return errors.Join(w.writeWhole(timeSuffix, encodeTimes(s.timeEntries())), w.writeAborted())
}

// writeAborted writes the index of aborted transactions, if there are any.
func (w *stagedSegment) writeAborted() error {
	if len(w.aborted) == 0 {
		return nil
	}
	b := appendAbortedHeader(nil, w.seg.baseOffset)
	for _, a := range w.aborted {
		b = a.append(b)
	}
	w.seg.aborted.n, w.seg.aborted.last = int64(len(w.aborted)), w.aborted[len(w.aborted)-1].Last
	return w.writeWhole(abortedSuffix, b)
}

func (w *stagedSegment) writeWhole(suffix string, b []byte) error {
	f, err := os.OpenFile(w.seg.path(suffix)+stagedSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := f.Write(b); err != nil {
		return err
	}
	return durable.File(f)
}

// discard deletes what was written.
func (w *stagedSegment) discard() {
	for _, f := range []*stagedFile{w.data, w.index} {
		if f != nil {
			f.f.Close()
		}
	}
	for _, suffix := range []string{dataSuffix, indexSuffix, timeSuffix, abortedSuffix} {
		os.Remove(w.seg.path(suffix) + stagedSuffix)
	}
}

// stagedFile is written from its beginning to its end, a buffer at a time.
type stagedFile struct {
	c       *compactor
	f       *os.File
	buf     []byte
	written int64 // bytes since the last sync
}

// Bounds on what a staged file holds back.
const (
	stageBytes = 256 << 10
	// stageSync is small, so that the sync of another log's records does not have to wait for much
	// of what compaction writes.
	stageSync = 512 << 10
)

func (c *compactor) stage(path string) (*stagedFile, error) {
	f, err := os.OpenFile(path+stagedSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return nil, err
	}
	return &stagedFile{c: c, f: f, buf: make([]byte, 0, stageBytes)}, nil
}

func (f *stagedFile) write(b []byte) error {
	if len(f.buf)+len(b) > cap(f.buf) {
		if err := f.flush(); err != nil {
			return err
		}
	}
	if len(b) > cap(f.buf) {
		return f.put(b)
	}
	f.buf = append(f.buf, b...)
	return nil
}

func (f *stagedFile) flush() error {
	b := f.buf
	f.buf = f.buf[:0]
	return f.put(b)
}

func (f *stagedFile) put(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	if err := f.c.pace(len(b)); err != nil {
		return err
	}
	if err := f.c.step("write " + f.f.Name()); err != nil {
		return err
	}
	if _, err := f.f.Write(b); err != nil {
		return err
	}
	f.c.done.Written += int64(len(b))
	if f.written += int64(len(b)); f.written < stageSync {
		return nil
	}
	f.written = 0
	return durable.File(f.f)
}

// close makes the file durable.
func (f *stagedFile) close() error {
	if err := f.flush(); err != nil {
		return err
	}
	if err := f.c.step("sync " + f.f.Name()); err != nil {
		return err
	}
	if err := durable.File(f.f); err != nil {
		return err
	}
	return f.f.Close()
}
