package group

import (
	"context"
	"slices"
	"strings"

	"quorumlog/internal/shards"
	"quorumlog/record"
)

// topicPartition names a partition that a group has offsets of.
type topicPartition struct {
	topic     string
	partition int32
}

// transaction is a producer's transaction, on whose behalf offsets are written.
type transaction struct {
	producerID int64
	epoch      int16
	append     func(record.Batch) shards.Pending // Log.Append, for this transaction only
}

// openTransaction is the offsets that a transaction commits when its marker is written. Nobody sees
// them before.
type openTransaction struct {
	offsets map[groupPartition]committed
}

// groupPartition names a group's offset.
type groupPartition struct {
	group string
	topicPartition
}

// applyOpen is apply for a record of an open transaction.
func (im *image) applyOpen(producerID, at int64, key, value []byte) {
	k, err := im.dec.key(key)
	if err == nil && (!k.isOffset || value == nil) {
		err = errUnknownRecord
	}
	var o committed
	if err == nil {
		o, err = im.dec.offset(value)
	}
	if err != nil {
		im.skip("record of a transaction", err)
		return
	}
	g := im.group(k.group)
	t := im.open[producerID]
	if t == nil {
		t = &openTransaction{offsets: map[groupPartition]committed{}}
		im.open[producerID] = t
	}
	o.at, o.partition, o.metadata = at, k.partition, strings.Clone(o.metadata)
	p := topicPartition{strings.Clone(k.topic), k.partition}
	name := groupPartition{g.id, p}
	if _, again := t.offsets[name]; !again {
		if g.unstable == nil {
			g.unstable = map[topicPartition]int{}
		}
		g.unstable[p]++
	}
	t.offsets[name] = o
}

// endTransaction applies a marker: what the transaction has written counts from now on, where it is
// committed and nothing newer has been written meanwhile, or is forgotten.
func (im *image) endTransaction(m record.Marker) {
	t := im.open[m.ProducerID]
	if t == nil {
		return
	}
	delete(im.open, m.ProducerID)
	for name, o := range t.offsets {
		g := im.groups[name.group]
		if g == nil {
			continue // cannot be: a group with unstable offsets stays
		}
		g.settle(name.topicPartition)
		if old := g.offsets[name.topic].get(name.partition); m.Commit && (old == nil || old.at < o.at) {
			im.putOffset(g.id, name.topic, name.partition, o)
		}
		im.dropIfVoid(g)
	}
}

// settle notes that one transaction less is about to commit a partition's offset.
func (g *group) settle(p topicPartition) {
	if g.unstable[p]--; g.unstable[p] <= 0 {
		delete(g.unstable, p)
	}
}

// removeOpen forgets what open transactions have written for a partition: it was deleted since.
func (im *image) removeOpen(id string, p topicPartition) {
	g := im.groups[id]
	if g == nil || g.unstable[p] == 0 {
		return
	}
	name := groupPartition{g.id, p}
	for producerID, t := range im.open {
		if _, ok := t.offsets[name]; ok {
			delete(t.offsets, name)
			g.settle(p)
		}
		if len(t.offsets) == 0 {
			delete(im.open, producerID)
		}
	}
	im.dropIfVoid(g)
}

// onlyOpen says whether open transactions alone have an offset for that incarnation of a topic.
func (im *image) onlyOpen(g *group, p topicPartition, id TopicID) bool {
	if g.offsets[p.topic].get(p.partition) != nil {
		return false
	}
	for _, t := range im.open {
		if o, ok := t.offsets[groupPartition{g.id, p}]; ok && !o.of(id) {
			return false
		}
	}
	return true
}

// TransactionEnded is told that a transaction's marker is committed in an offsets partition. It
// returns when groups know it, or the context has ended.
func (c *Coordinator) TransactionEnded(ctx context.Context, partition int32) {
	s := c.shards.Get(partition)
	if s == nil || s.enter() != none {
		return // it is read when the log is
	}
	w := newWaiter(&s.mu, struct{}{})
	s.queue = append(s.queue, &write{reads: true, done: func(error) { w.answer(func(struct{}) {}) }})
	s.kick()
	s.mu.Unlock()
	w.wait(ctx)
}

// read applies what others have written into the log: markers, and what this shard was told had
// failed. It reads up to an offset, or for -1 all that is committed. Call it without the lock, from
// the writer's goroutine.
func (s *shard) read(limit int64) error {
	if s.enter() != none {
		return shards.ErrNotLeader
	}
	from := s.end
	s.mu.Unlock()
	if from == limit {
		return nil
	}
	var batches []record.Batch
	foreign := false
	err := s.log.Replay(from, func(b record.Batch) bool {
		if limit >= 0 && b.BaseOffset() >= limit {
			return false
		}
		if foreign = !b.IsControl() && !b.IsTransactional(); !foreign {
			batches = append(batches, slices.Clone(b))
		}
		return !foreign
	})
	if err != nil {
		s.logger.Warn("cannot read consumer groups", "from", from, "err", err)
		return err
	}
	if s.enter() != none {
		return shards.ErrNotLeader
	}
	defer s.mu.Unlock()
	if foreign {
		// A batch that we were told had failed is in the log after all.
		s.logger.Warn("reading consumer groups again", "from", from)
		go s.c.reload(s)
		return errUnexpected
	}
	for _, b := range batches {
		s.image.applyBatch(b)
		s.end = b.NextOffset()
	}
	return nil
}
