package log

import (
	"errors"
	"math"
	"slices"
	"sort"
)

// Compaction says what of a log may be compacted, and how. Times are ms.
type Compaction struct {
	// Limit is the offset from which on nothing is touched: the last stable offset. Segments that
	// it cuts, that may change yet, or that the last checkpoint does not wholly speak of, stay too.
	Limit int64
	// MinLag is Kafka's min.compaction.lag.ms: the age that a segment's newest record must have.
	MinLag int64
	// DeleteRetention is Kafka's delete.retention.ms: how long tombstones and the markers of
	// transactions are kept once compaction has first seen them (KIP-534).
	DeleteRetention int64
	// MapBytes bounds the memory for keys.
	MapBytes int
	// Producers are the active ones. The last batch of each is kept, if only its head, so that
	// their sequence goes on where a replica is read from its beginning.
	Producers []ProducerState
	// Aborted are the aborted transactions of the log, by their first offset.
	Aborted []AbortedTransaction
	// Pace is called before so many bytes are read or written; an error ends the compaction.
	Pace func(bytes int) error

	step func(op string) error // a test crashes here
}

// Compacted is what a compaction has done.
type Compacted struct {
	Read, Written int64 // bytes
	Freed         int64 // bytes that the log is smaller now
	// More is set when the keys did not fit in the map: compact again for the rest.
	More bool
}

var (
	// ErrHeld is returned while the log's files are on the way to another replica.
	ErrHeld = errors.New("segments are being sent: not compacted now")
	// errCompacted means that something has been compacted that was wanted as it was.
	errCompacted = errors.New("compacted meanwhile")
	errUnsettled = errors.New("no checkpoint has been written since the last compaction")
)

// Compact leaves of the records with equal keys the last one, in the sealed segments from the first
// on. Each group of segments is written anew beside the old files and takes their place by a rename,
// so that a crash at any point leaves one or the other; who reads goes on reading what was there.
// Offsets, indexes and terms stay. Write a checkpoint before, so that more may be compacted, and
// after, since the next compaction waits for it.
//
// A file is never of the same size as the one whose place it takes: so a checkpoint from before
// cannot be taken to speak of it.
func (l *Log) Compact(o Compaction) (Compacted, error) {
	l.compacting.Lock()
	defer l.compacting.Unlock()
	l.checkpointMu.Lock()
	unsettled := l.swapped
	l.checkpointMu.Unlock()
	if unsettled {
		return Compacted{}, errUnsettled
	}
	segs, err := l.compactable(o.Limit, o.MinLag, l.checkpointed.Load())
	if err != nil || len(segs) == 0 {
		return Compacted{}, err
	}
	first, end := l.firstDirty(segs), segs[len(segs)-1].nextOffset.Load()
	if first >= end {
		return Compacted{}, nil
	}
	c := newCompactor(l, o)
	if err := c.mapKeys(segs, first); err != nil {
		return c.done, err
	}
	c.txns = newTransactions(o.Aborted)
	for _, group := range groupsBelow(segs, c.end, l.segmentBytes.Load()) {
		if err := c.compactGroup(group); err != nil {
			return c.done, err
		}
	}
	l.clean.Store(max(l.clean.Load(), c.end))
	c.done.More = c.end < end
	return c.done, nil
}

// compactable returns the leading segments that compaction may touch when a checkpoint speaks of an
// entry.
func (l *Log) compactable(limit, minLag int64, checkpoint uint64) ([]*segment, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.check(); err != nil {
		return nil, err
	}
	if l.holds > 0 {
		return nil, ErrHeld
	}
	segs := l.list()
	now := l.opts.Now().UnixMilli()
	n := 0
	for _, s := range segs[:len(segs)-1] {
		young := minLag > 0 && now-s.maxTimestamp.Load() < minLag
		if !s.sealed.Load() || s.nextOffset.Load() > limit || s.nextIndex()-1 > checkpoint || young {
			break
		}
		n++
	}
	return segs[:n], nil
}

// firstDirty is the first offset of the segments that compaction has not come to yet.
func (l *Log) firstDirty(segs []*segment) int64 {
	return max(l.clean.Load(), segs[0].baseOffset)
}

// Dirt is how much of a log waits for compaction.
type Dirt struct {
	Clean, Dirty int64 // bytes
	// Since is the time of the first record that waits, ms; -1 for none.
	Since int64
}

// Ratio is the share of the log that waits: Kafka's dirty ratio.
func (d Dirt) Ratio() float64 {
	if d.Dirty == 0 {
		return 0
	}
	return float64(d.Dirty) / float64(d.Clean+d.Dirty)
}

// Dirt looks at the segments that a compaction with this limit and lag, after a checkpoint, would
// touch.
func (l *Log) Dirt(limit, minLag int64) Dirt {
	d := Dirt{Since: -1}
	segs, err := l.compactable(limit, minLag, math.MaxUint64)
	if err != nil || len(segs) == 0 {
		return d
	}
	first := l.firstDirty(segs)
	for _, s := range segs {
		if s.nextOffset.Load() <= first {
			d.Clean += s.size.Load()
			continue
		}
		d.Dirty += s.size.Load()
		if t := max(s.firstAppend.Load(), -s.firstAppend.Load()); d.Since < 0 {
			d.Since = t
		}
	}
	return d
}

// Dense is the first Raft index from which on every entry is there as it was written.
func (l *Log) Dense() uint64 {
	segs := l.list()
	if !segs[0].compacted {
		return segs[0].baseIndex
	}
	return segs[sort.Search(len(segs), func(i int) bool { return !segs[i].compacted })].baseIndex
}

// Hold keeps compaction from changing files until release is called: they are being sent.
func (l *Log) Hold() (release func()) {
	l.mu.Lock()
	l.holds++
	l.mu.Unlock()
	return func() {
		l.mu.Lock()
		l.holds--
		l.mu.Unlock()
	}
}

// groupsBelow cuts the segments that begin below an offset into runs, each of which becomes one
// segment: of at most so many bytes, unless it is one that is larger already.
func groupsBelow(segs []*segment, end, maxBytes int64) (groups [][]*segment) {
	var bytes, entries, from int64
	for i, s := range segs {
		if s.baseOffset >= end {
			break
		}
		bytes, entries = bytes+s.size.Load(), entries+s.raftEntries()
		if len(groups) == 0 || bytes > maxBytes || entries > maxSegmentEntries || s.nextOffset.Load()-from > maxRelative {
			groups = append(groups, nil)
			bytes, entries, from = s.size.Load(), s.raftEntries(), s.baseOffset
		}
		last := len(groups) - 1
		groups[last] = append(groups[last], segs[i])
	}
	return groups
}

// lastData is the number of the last index record of a segment that occupies offsets, -1 for none.
func (s *segment) lastData() int {
	hidden := *s.hidden.Load()
	i := int(s.entries.Load()) - 1
	for i >= 0 && slices.Contains(hidden, uint32(i)) {
		i--
	}
	return i
}
