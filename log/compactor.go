package log

import (
	"math"

	"quorumlog/record"
)

// maxRelative bounds the offsets of a compacted segment, as those of any other.
const maxRelative = math.MaxInt32

// compactor is one compaction of a log.
type compactor struct {
	log    *Log
	o      Compaction
	now    int64 // ms
	keys   *keyMap
	end    int64 // the offset up to which the map knows all keys
	latest map[int64]latestBatch
	done   Compacted

	retainer record.Retainer
	txns     transactions
	window   window
}

// latestBatch is the last batch of an active producer.
type latestBatch struct {
	offset int64 // base offset, -1 where there is none but markers
	epoch  int16
}

func newCompactor(l *Log, o Compaction) *compactor {
	c := &compactor{log: l, o: o, now: l.opts.Now().UnixMilli(), latest: map[int64]latestBatch{}}
	for _, p := range o.Producers {
		b := latestBatch{-1, p.Epoch}
		if n := len(p.Batches); n > 0 {
			b.offset = p.Batches[n-1].Offset
		}
		c.latest[p.ID] = b
	}
	return c
}

// pace is called before so many bytes are read or written.
func (c *compactor) pace(n int) error {
	c.log.mu.Lock()
	err := c.log.check()
	c.log.mu.Unlock()
	if err != nil || c.o.Pace == nil {
		return err
	}
	return c.o.Pace(n)
}

// step is where a test crashes.
func (c *compactor) step(op string) error {
	if c.o.step == nil {
		return nil
	}
	return c.o.step(op)
}

// mapKeys notes the last offset of every key from an offset on, until the map is full.
func (c *compactor) mapKeys(segs []*segment, from int64) error {
	c.end = from
	c.keys = newKeyMap(from, c.o.MapBytes)
	c.txns = newTransactions(c.o.Aborted)
	for _, s := range segs {
		if s.nextOffset.Load() <= from {
			continue
		}
		full := false
		err := c.sweep(s, func(x swept) (bool, error) {
			var err error
			full, err = c.mapBatch(x, from)
			return !full, err
		})
		if err != nil || full {
			return err
		}
		c.end = s.nextOffset.Load()
	}
	return nil
}

// mapBatch reports whether the map is full, and the end before the record for which there was no
// room.
func (c *compactor) mapBatch(x swept, from int64) (full bool, err error) {
	b := x.batch
	switch {
	case x.kind != KindData:
		return false, nil
	case b.IsControl():
		c.txns.end(b)
		return false, nil
	case c.txns.aborts(b) || b.LastOffset() < from:
		return false, nil
	}
	err = c.retainer.Walk(b, maxDecompressed, func(offset int64, key []byte) bool {
		if key == nil || offset < from {
			return true
		}
		if !c.keys.put(key, offset) {
			c.end, full = offset, true
		}
		return !full
	})
	return full, err
}

// verdict is what becomes of a batch.
type verdict struct {
	batch record.Batch // nil: nothing is left
	// abort is the transaction that the batch, a marker, ends, where readers still need to know.
	abort *AbortedTransaction
}

// judge decides about a stored batch. The last of its segment keeps its head at least, so that a
// segment ends where its last batch does.
func (c *compactor) judge(x swept, last bool) (v verdict, err error) {
	switch {
	case x.kind == KindNoop || x.kind == KindBarrier:
		return verdict{}, nil // what they were for is over
	case x.kind != KindData:
		return verdict{batch: x.batch}, nil
	case x.batch.IsControl():
		return c.judgeMarker(x.batch, last)
	}
	v.batch, err = c.judgeData(x.batch, last)
	return v, err
}

func (c *compactor) judgeData(b record.Batch, last bool) (record.Batch, error) {
	left := record.Retained{}
	if !c.txns.aborts(b) {
		gone := b.HasDeleteHorizon() && b.BaseTimestamp() <= c.now
		var err error
		left, err = c.retainer.Retain(b, maxDecompressed, c.horizon(), func(offset int64, key []byte, tombstone bool) bool {
			switch {
			case offset >= c.end:
				return true
			case key == nil || c.keys.last(key) > offset:
				return false
			}
			return !tombstone || !gone
		})
		if err != nil {
			return nil, err
		}
	}
	p, active := c.latest[b.ProducerID()]
	switch {
	case left.Records > 0:
		return left.Batch, nil
	case last || active && p.offset == b.BaseOffset():
		return c.retainer.Head(b), nil
	}
	return nil, nil
}

// judgeMarker keeps a transaction's marker as long as records of the transaction were there, and
// delete.retention.ms more.
func (c *compactor) judgeMarker(b record.Batch, last bool) (v verdict, err error) {
	abort, needed := c.txns.end(b)
	p, active := c.latest[b.ProducerID()]
	active = active && p.offset < 0 && p.epoch == b.ProducerEpoch()
	switch {
	case needed:
		return verdict{b, abort}, nil
	case !b.HasDeleteHorizon() && b.NumRecords() == 1 && b.Codec() == record.None:
		v.batch, err = c.retainer.WithDeleteHorizon(b, c.horizon())
		return v, err
	case b.HasDeleteHorizon() && b.BaseTimestamp() > c.now || active:
		return verdict{batch: b}, nil
	case last:
		return verdict{batch: c.retainer.Head(b)}, nil
	}
	return verdict{}, nil
}

// horizon is when a tombstone that is seen for the first time may go, ms.
func (c *compactor) horizon() int64 {
	if c.o.DeleteRetention > math.MaxInt64-c.now {
		return math.MaxInt64
	}
	return max(c.now+c.o.DeleteRetention, 1)
}
