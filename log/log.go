package log

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"quorumlog/internal/durable"
)

// Options configures a Log. Files and Syncer are shared by all logs of a node.
type Options struct {
	Files  *Files
	Syncer *Syncer
	Logger *slog.Logger
	// SegmentBytes is Kafka's segment.bytes: the size at which the active segment rolls; 0 means
	// 1 GiB. The data file of a segment never exceeds 4 GiB.
	SegmentBytes int64
	// SegmentMs is Kafka's segment.ms: the age at which it rolls; 0 means 7 days.
	SegmentMs int64
	// SegmentJitterMs is Kafka's segment.jitter.ms: up to so much is taken off SegmentMs, by
	// chance, so that segments begun together do not all roll together.
	SegmentJitterMs int64
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (o *Options) setDefaults() {
	if o.Files == nil {
		o.Files = NewFiles(0)
	}
	if o.Syncer == nil {
		o.Syncer = NewSyncer()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.SegmentBytes <= 0 {
		o.SegmentBytes = 1 << 30
	}
	o.SegmentBytes = min(o.SegmentBytes, maxSegmentBytes)
	if o.SegmentMs <= 0 {
		o.SegmentMs = 7 * 24 * 3600 * 1000
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// maxSegmentBytes leaves a whole batch of room below the index's 32-bit positions.
const maxSegmentBytes = 1<<31 - 1

// Log is one partition's directory. Append, TruncateSuffix and Sync belong to one writer
// (Raft's main goroutine); everything else may be called by anyone.
type Log struct {
	dir  string
	opts Options

	mu     sync.Mutex // guards changes to the list of segments and the active segment's tail
	closed bool
	failed error

	segments atomic.Pointer[[]*segment] // ascending; never empty; the last is active
	epochs   atomic.Pointer[epochs]
	start    atomic.Int64 // log start offset: the first a consumer may read

	// unsynced are files written since the last Sync, the writer's own.
	unsynced []*handle
	room     syncRoom
	// unsettled are the directories whose entries the next Sync has to make durable, and with
	// them the active segment's file; nil for none. Guarded by mu.
	unsettled []string

	run run // the writer's scratch

	segmentBytes, segmentMs atomic.Int64

	checkpointMu sync.Mutex
	swapped      bool          // by compaction, since the last checkpoint; guarded by checkpointMu
	checkpointed atomic.Uint64 // the index that the checkpoint on disk speaks of

	clean      atomic.Int64 // the offset that compaction has come to
	compacting sync.Mutex   // one compaction at a time
	swapping   sync.Mutex   // held while it changes files that count
	holds      int          // see Hold; guarded by mu

	recovery Recovery
}

func (l *Log) list() []*segment { return *l.segments.Load() }

func (l *Log) active() *segment { s := l.list(); return s[len(s)-1] }

// Dir is the directory that holds the files.
func (l *Log) Dir() string { return l.dir }

// FirstIndex is the Raft index of the first entry held, or the next index while there is none.
func (l *Log) FirstIndex() uint64 { return l.list()[0].baseIndex }

// LastIndex is the Raft index of the last entry, or the one before FirstIndex while empty.
func (l *Log) LastIndex() uint64 { return l.active().nextIndex() - 1 }

// StartOffset is the first offset that may be read.
func (l *Log) StartOffset() int64 { return l.start.Load() }

// NextOffset is the offset that the next record will get.
func (l *Log) NextOffset() int64 { return l.active().nextOffset.Load() }

// Size is the bytes of all segments.
func (l *Log) Size() (n int64) {
	for _, s := range l.list() {
		n += s.size.Load()
	}
	return n
}

// SizeAfter is the bytes that follow the entry at a Raft index; those of all segments where that
// is no longer held.
func (l *Log) SizeAfter(i uint64) (n int64) {
	for _, s := range l.list() {
		switch {
		case i < s.baseIndex:
			n += s.size.Load()
		case i+1 < s.nextIndex():
			n += s.sizeFrom(int(i + 1 - s.baseIndex))
		}
	}
	return n
}

// Segments is the number of segment files.
func (l *Log) Segments() int { return len(l.list()) }

// SetLimits changes segment.bytes and segment.ms for segments that are begun from now on.
func (l *Log) SetLimits(segmentBytes, segmentMs int64) {
	if segmentBytes > 0 {
		l.segmentBytes.Store(min(segmentBytes, maxSegmentBytes))
	}
	if segmentMs > 0 {
		l.segmentMs.Store(segmentMs)
	}
}

// SetStart moves the log start offset forward; it never goes back, nor beyond the log's end.
func (l *Log) SetStart(offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setStart(offset)
}

// setStart is SetStart for who holds mu.
func (l *Log) setStart(offset int64) {
	if offset <= l.start.Load() || offset > l.NextOffset() {
		return
	}
	l.start.Store(offset)
	e := l.epochs.Load().trimmed(offset)
	l.epochs.Store(&e)
}

// EpochEnd returns the largest leader epoch not above the one asked for and the offset at which
// it ended (KIP-101, KIP-279); -1, -1 when the log does not know.
func (l *Log) EpochEnd(epoch int32) (int32, int64) {
	e, end, ok := l.epochs.Load().end(epoch, l.NextOffset())
	if !ok {
		return -1, -1
	}
	return e, end
}

// EpochAt returns the leader epoch that wrote the offset, or -1.
func (l *Log) EpochAt(offset int64) int32 { return l.epochs.Load().at(offset) }

// Entry returns the entry at a Raft index. Data aliases the mapped file, which stays valid
// until release is called; do not write to it. Below Dense it is what compaction has left, which may
// be nothing.
func (l *Log) Entry(i uint64) (e Entry, release func(), err error) {
	s, h, err := l.acquireIndex(i)
	if err != nil {
		return Entry{}, nil, err
	}
	n := int(i - s.baseIndex)
	k, there := s.slotOf(h, n)
	if !there {
		return Entry{Index: i, Term: s.termOf(h, n), Kind: KindRemoved}, h.free, nil
	}
	b, x, err := s.batch(h, k)
	if err == nil {
		e = Entry{Index: i, Term: uint64(x.term)}
		e.Kind, e.Data, err = entryKind(b)
	}
	if err != nil {
		h.free()
		return Entry{}, nil, err
	}
	return e, h.free, nil
}

// Term returns the term of the entry at a Raft index.
func (l *Log) Term(i uint64) (uint64, error) {
	s, h, err := l.acquireIndex(i)
	if err != nil {
		return 0, err
	}
	defer h.free()
	return s.termOf(h, int(i-s.baseIndex)), nil
}

// acquireIndex returns the segment that holds the Raft index, and its files.
func (l *Log) acquireIndex(i uint64) (*segment, *handle, error) {
	for {
		s := l.segmentOfIndex(i)
		if s == nil {
			return nil, nil, fmt.Errorf("entry %d: %w", i, ErrNotFound)
		}
		h, err := s.acquire()
		if !errors.Is(err, errSegmentRemoved) {
			return s, h, err
		} // by retention, a truncation or compaction, after the list was taken
	}
}

func (l *Log) segmentOfIndex(i uint64) *segment {
	segs := l.list()
	k := len(segs) - 1 // nearly always
	if i < segs[k].baseIndex {
		k = sort.Search(len(segs), func(k int) bool { return segs[k].baseIndex > i }) - 1
	}
	if k < 0 || i >= segs[k].nextIndex() {
		return nil
	}
	return segs[k]
}

// publish replaces the list of segments; the caller holds mu.
func (l *Log) publish(segs []*segment) { l.segments.Store(&segs) }

// check returns why the log cannot be written; the caller holds mu.
func (l *Log) check() error {
	switch {
	case l.closed:
		return ErrClosed
	case l.failed != nil:
		return fmt.Errorf("%s: %w: %w", l.dir, ErrFailed, l.failed)
	}
	return nil
}

// Close lets go of all files. It does not sync: whatever was acknowledged already is.
func (l *Log) Close() error {
	l.swapping.Lock() // after which nothing happens in the directory that counts
	defer l.swapping.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	for _, h := range l.unsynced {
		h.free()
	}
	l.unsynced = nil
	l.dropFiles()
	return nil
}

func (l *Log) dropFiles() {
	for _, s := range l.list() {
		s.files.drop(ErrClosed)
	}
}

// Remove closes the log and deletes its directory.
func (l *Log) Remove() error {
	if err := l.Close(); err != nil {
		return err
	}
	if err := os.RemoveAll(l.dir + IncomingSuffix); err != nil {
		return err
	}
	if err := os.RemoveAll(l.dir); err != nil {
		return err
	}
	return durable.Dir(filepath.Dir(l.dir))
}
