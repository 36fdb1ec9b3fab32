package main

import (
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kgo"
)

// partitionCopy is the copy of one partition.
type partitionCopy struct {
	id     partitionID
	target string // the topic's name at the target
	start  int64  // the first offset that is read by this run
	stop   int64  // the end when it began

	next    int64 // the next offset to read, and to hand over: the reader's alone
	present int64 // records that the target has already, which are passed over: the reader's alone

	mu       sync.Mutex
	copied   int64
	runs     []offsetRun // what of this run is acknowledged, in order
	srcNext  int64       // everything before is at the target,
	dstNext  int64       // before this
	beginSrc int64       // where runs begin
	beginDst int64
}

// offsetRun is n records in a row with nothing between them, at the source and at the target.
type offsetRun struct{ src, dst, n int64 }

// take passes a record on, or over where the target has it.
func (c *partitionCopy) take(s *sender, r *kgo.Record) {
	c.next = r.Offset + 1
	if r.Attrs.IsControl() {
		return
	}
	if c.present > 0 {
		c.present--
		c.mu.Lock()
		c.add(r.Offset, c.dstNext)
		c.mu.Unlock()
		return
	}
	src := r.Offset
	out := &kgo.Record{Topic: c.target, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers, Timestamp: r.Timestamp}
	s.hand(out, func(w *kgo.Record, err error) {
		if err == nil {
			c.mu.Lock()
			c.add(src, w.Offset)
			c.copied++
			c.mu.Unlock()
		}
		s.account(w, "offset "+offsetText(src)+" of "+c.id.String(), err)
	})
}

// add notes that the record at src is at dst. Records of a partition are acknowledged in order. The
// caller holds mu.
func (c *partitionCopy) add(src, dst int64) {
	if n := len(c.runs) - 1; n >= 0 && c.runs[n].src+c.runs[n].n == src && c.runs[n].dst+c.runs[n].n == dst {
		c.runs[n].n++
	} else {
		c.runs = append(c.runs, offsetRun{src, dst, 1})
	}
	c.srcNext, c.dstNext = src+1, dst+1
}

// reached notes that everything was read and acknowledged, also where no record is at the end.
func (c *partitionCopy) reached(plan *readPlan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !plan.endless {
		c.srcNext = max(c.srcNext, c.stop)
	}
	c.srcNext = max(c.srcNext, c.next)
}

// position is how far the copy is: everything before src is at the target before dst.
func (c *partitionCopy) position() (src, dst int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.srcNext, c.dstNext
}

// translate finds where a group that stands at src is to stand at the target. exact is false where
// it may be a little before that.
func (c *partitionCopy) translate(src int64) (dst int64, exact bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case src >= c.srcNext:
		return c.dstNext, true // what follows is not copied yet
	case src < c.beginSrc:
		// An earlier run copied it. Between src and beginSrc there are at most as many records.
		return max(0, c.beginDst-(c.beginSrc-src)), c.beginSrc == c.beginDst
	}
	i, found := slices.BinarySearchFunc(c.runs, src, func(r offsetRun, src int64) int {
		switch {
		case r.src+r.n <= src:
			return -1
		case r.src > src:
			return 1
		}
		return 0
	})
	switch {
	case found:
		return c.runs[i].dst + src - c.runs[i].src, true
	case i < len(c.runs):
		return c.runs[i].dst, true // the next record that there is
	}
	return c.dstNext, true
}

// kept reports whether all records have the offsets that they had.
func (c *partitionCopy) kept() bool {
	if c.beginSrc != c.beginDst {
		return false
	}
	return !slices.ContainsFunc(c.runs, func(r offsetRun) bool { return r.src != r.dst })
}

func (c *partitionCopy) count() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.copied
}

func (c *partitionCopy) passed() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return max(0, c.srcNext-c.start)
}

func (c *partitionCopy) result() mirroredPartition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return mirroredPartition{
		Topic: c.id.topic, Target: c.target, Partition: c.id.partition, Copied: c.copied, Left: max(0, c.stop-c.srcNext),
		SourceNext: c.srcNext, TargetNext: c.dstNext, Offsets: describeMode(c.kept()),
	}
}
