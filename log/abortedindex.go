package log

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"sort"
	"sync"

	"quorumlog/internal/durable"
	"quorumlog/record"
)

// abortedIndex is a segment's file of aborted transactions. Records are added with a checkpoint, which
// says how many there are; the state machine keeps the later ones. So most segments have no file.
type abortedIndex struct {
	mu      sync.Mutex
	n       int64 // records in the file
	last    int64 // marker of the last one
	pending bool  // n is what the checkpoint says, and the file has not been looked at yet
	end     int64 // while pending: the checkpoint speaks of markers below this offset
}

// adoptAborted takes over what the checkpoint says of the segments' aborted transactions.
func (l *Log) adoptAborted(c *Checkpoint) {
	if c == nil || len(c.Segments) == 0 {
		return
	}
	end := c.Segments[len(c.Segments)-1].NextOffset
	for _, s := range l.list() {
		for _, st := range c.Segments {
			if st.BaseOffset >= s.baseOffset && st.BaseOffset < s.nextOffset.Load() {
				s.aborted.n += st.Aborted
			}
		}
		s.aborted.pending, s.aborted.end = s.aborted.n > 0, end
	}
}

// Aborted returns the aborted transactions with offsets in [from, limit) whose markers the last
// checkpoint speaks of, in the order of the markers. The state machine knows the later ones.
func (l *Log) Aborted(from, limit int64) ([]AbortedTransaction, error) {
	var mended *segment
	for {
		found, s, err := l.abortedFrom(l.list(), from, limit)
		switch {
		case err != nil && s.removed(): // after the list was taken
		case s != mended && (errors.Is(err, errAborted) || errors.Is(err, fs.ErrNotExist)):
			mended = s
			s.distrustAborted()
		default:
			return found, err
		}
	}
}

// distrustAborted has the file looked at again before it is used.
func (s *segment) distrustAborted() {
	x := &s.aborted
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.pending {
		x.pending, x.end = true, x.last+1
	}
}

// abortedFrom looks through the segments; an error is of the one returned.
func (l *Log) abortedFrom(segs []*segment, from, limit int64) (found []AbortedTransaction, s *segment, err error) {
	for _, s = range segs[segmentOfOffset(segs, from):] {
		var complete bool
		if found, complete, err = l.abortedIn(s, from, limit, found); complete || err != nil {
			break
		}
	}
	return found, s, err
}

// abortedIn adds a segment's part. It reports whether later segments hold nothing below limit.
func (l *Log) abortedIn(s *segment, from, limit int64, found []AbortedTransaction) ([]AbortedTransaction, bool, error) {
	n, err := l.lookAborted(s)
	if n == 0 || err != nil {
		return found, false, err
	}
	f, err := os.Open(s.path(abortedSuffix))
	if err != nil {
		return found, false, err
	}
	defer f.Close()
	i, err := searchAborted(f, n, from)
	if err != nil {
		return found, false, fmt.Errorf("%s: %w", f.Name(), err)
	}
	r := bufio.NewReader(io.NewSectionReader(f, abortedHeaderSize+i*abortedSize, (n-i)*abortedSize))
	for range n - i {
		var b [abortedSize]byte
		if _, err := io.ReadFull(r, b[:]); err != nil {
			return found, false, fmt.Errorf("%s: %w", f.Name(), errors.Join(errAborted, err))
		}
		a, err := decodeAborted(b[:])
		if err != nil {
			return found, false, fmt.Errorf("%s: %w", f.Name(), err)
		}
		if a.First < limit {
			found = append(found, a)
		}
		if a.Stable >= limit {
			return found, true, nil
		}
	}
	return found, false, nil
}

// searchAborted returns the first of n records whose marker is at or after an offset.
func searchAborted(f io.ReaderAt, n, offset int64) (int64, error) {
	var bad error
	i := sort.Search(int(n), func(i int) bool {
		var b [abortedSize]byte
		_, err := f.ReadAt(b[:], abortedHeaderSize+int64(i)*abortedSize)
		a, malformed := decodeAborted(b[:])
		if err != nil || malformed != nil {
			bad = errors.Join(errAborted, err)
		}
		return a.Last >= offset
	})
	return int64(i), bad
}

// lookAborted returns how many records the segment's file has. The first time it looks whether they are
// what the checkpoint speaks of, and makes the file anew from the log where they are not.
func (l *Log) lookAborted(s *segment) (int64, error) {
	x := &s.aborted
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.pending {
		return x.n, nil
	}
	n, last, err := scanAborted(s.path(abortedSuffix), s.baseOffset, x.end)
	if err != nil && !errors.Is(err, errAborted) && !errors.Is(err, fs.ErrNotExist) {
		return 0, err
	}
	if n < x.n {
		l.opts.Logger.Warn("the index of aborted transactions is damaged; it is made anew", "path", s.path(abortedSuffix), "records", x.n, "found", n)
		if n, last, err = l.rebuildAborted(s, x.end); err != nil {
			return 0, err
		}
	}
	x.n, x.last, x.pending = n, last, false
	return n, nil
}

// scanAborted counts the whole records in a row of markers below an offset.
func scanAborted(path string, base, end int64) (n, last int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, -1, err
	}
	defer f.Close()
	return scanRecords(bufio.NewReader(f), base, end)
}

func scanRecords(r io.Reader, base, end int64) (n, last int64, err error) {
	last = -1
	var h [abortedHeaderSize]byte
	if _, err := io.ReadFull(r, h[:]); err != nil {
		return 0, -1, errAborted
	}
	if err := checkAbortedHeader(h[:], base); err != nil {
		return 0, -1, err
	}
	for {
		a, ok := nextRecord(r)
		if !ok || a.Last <= last || a.Last < base || a.Last >= end {
			return n, last, nil
		}
		n, last = n+1, a.Last
	}
}

// nextRecord reads a whole record, if there is one.
func nextRecord(r io.Reader) (AbortedTransaction, bool) {
	var b [abortedSize]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return AbortedTransaction{}, false
	}
	a, err := decodeAborted(b[:])
	return a, err == nil
}

// rebuildAborted writes the segment's file anew, by a replay of the log up to an offset.
func (l *Log) rebuildAborted(s *segment, end int64) (n, last int64, err error) {
	last = -1
	err = s.writeAborted(l.opts.Syncer, func(w io.Writer) error {
		table := NewProducers(nil)
		var failed error
		err := l.Batches(l.StartOffset(), min(end, s.nextOffset.Load()), func(b record.Batch) bool {
			if a, ok := table.Apply(b); ok && a.Last >= s.baseOffset {
				_, failed = w.Write(a.append(nil))
				n, last = n+1, a.Last
			}
			return failed == nil
		})
		return errors.Join(err, failed)
	})
	return n, last, err
}

// writeAborted replaces the segment's file: written beside, synced, renamed.
func (s *segment) writeAborted(syncer *Syncer, fill func(io.Writer) error) error {
	path := s.path(abortedSuffix)
	f, err := os.OpenFile(path+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	_, err = w.Write(appendAbortedHeader(nil, s.baseOffset))
	if err == nil {
		err = fill(w)
	}
	if err == nil {
		err = w.Flush()
	}
	if err == nil {
		err = syncer.Sync(f)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(path+newSuffix, path)
	}
	if err == nil {
		err = durable.Dir(s.dir)
	}
	return err
}

// storeAborted adds transactions, in the order of their markers, to the files of the segments given,
// durably. Those that stand there already are left out.
func (l *Log) storeAborted(segs []*segment, aborted []AbortedTransaction) error {
	for _, s := range segs {
		end := s.nextOffset.Load()
		n := sort.Search(len(aborted), func(i int) bool { return aborted[i].Last >= end })
		if n > 0 && !s.removed() {
			if err := l.addAborted(s, aborted[:n]); err != nil {
				return fmt.Errorf("%s: %w", s.path(abortedSuffix), err)
			}
		}
		aborted = aborted[n:]
	}
	return nil
}

func (l *Log) addAborted(s *segment, aborted []AbortedTransaction) error {
	if _, err := l.lookAborted(s); err != nil {
		return err
	}
	x := &s.aborted
	x.mu.Lock()
	defer x.mu.Unlock()
	known := max(x.last, s.baseOffset-1)
	aborted = aborted[sort.Search(len(aborted), func(i int) bool { return aborted[i].Last > known }):]
	if len(aborted) == 0 {
		return nil
	}
	var b []byte
	for _, a := range aborted {
		b = a.append(b)
	}
	if err := s.appendAborted(x.n, b, l.opts.Syncer); err != nil {
		return err
	}
	x.n, x.last = x.n+int64(len(aborted)), aborted[len(aborted)-1].Last
	return nil
}

// appendAborted writes records after the n that the file has; what else it holds counts for nothing.
func (s *segment) appendAborted(n int64, b []byte, syncer *Syncer) error {
	if n == 0 {
		return s.writeAborted(syncer, func(w io.Writer) error { _, err := w.Write(b); return err })
	}
	f, err := os.OpenFile(s.path(abortedSuffix), os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	end := abortedHeaderSize + n*abortedSize
	if err = f.Truncate(end); err == nil {
		_, err = f.WriteAt(b, end)
	}
	if err == nil {
		err = syncer.Sync(f)
	}
	return errors.Join(err, f.Close())
}

// abortedBelow is the number of records of markers below an offset.
func (l *Log) abortedBelow(s *segment, end int64) (int64, error) {
	n, err := l.lookAborted(s)
	if n == 0 || err != nil {
		return 0, err
	}
	s.aborted.mu.Lock()
	last := s.aborted.last
	s.aborted.mu.Unlock()
	if last < end {
		return n, nil
	}
	f, err := os.Open(s.path(abortedSuffix))
	if err != nil {
		return 0, err
	}
	defer f.Close()
	return searchAborted(f, n, end)
}

// MergeAborted joins aborted transactions that were found with those of later markers, some of which
// may be the same; both are in the order of their markers. The result is in the order of their first
// offsets, which is how clients are told.
func MergeAborted(found, later []AbortedTransaction) []AbortedTransaction {
	last := int64(-1)
	if len(found) > 0 {
		last = found[len(found)-1].Last
	}
	for _, a := range later {
		if a.Last > last {
			found = append(found, a)
		}
	}
	slices.SortFunc(found, func(a, b AbortedTransaction) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.ProducerID, b.ProducerID))
	})
	return found
}
