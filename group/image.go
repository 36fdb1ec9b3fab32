package group

import (
	"bytes"
	"errors"
	"log/slog"
	"slices"
	"strings"

	"quorumlog/internal/shards"
	"quorumlog/record"
)

// maxUnpacked bounds one batch of the log when it is decompressed, bytes.
const maxUnpacked = 64 << 20

// image is what the records of a log say, plus the soft state that a leader keeps with each group.
type image struct {
	groups  map[string]*group
	open    map[int64]*openTransaction // by producer id
	end     int64                      // offset after the newest batch
	foreign bool                       // records were skipped, and it has been said
	dec     decoder
	logger  *slog.Logger
}

func newImage(l *slog.Logger) *image {
	return &image{groups: make(map[string]*group), open: make(map[int64]*openTransaction), logger: l}
}

// replay applies a whole log. Whatever it cannot read is skipped and logged.
func (im *image) replay(l shards.Log, stopped func() bool) error {
	return l.Replay(0, func(b record.Batch) bool {
		im.end = b.NextOffset()
		im.applyBatch(b)
		return !stopped()
	})
}

func (im *image) applyBatch(b record.Batch) {
	if b.IsControl() {
		if m, err := record.ParseMarker(b); err == nil {
			im.endTransaction(m)
		}
		return
	}
	records, err := b.Records(maxUnpacked)
	for r := range records {
		if b.IsTransactional() {
			im.applyOpen(b.ProducerID(), r.Offset, r.Key, r.Value)
		} else {
			im.apply(r.Offset, r.Key, r.Value)
		}
	}
	if err := err(); err != nil {
		im.skip("batch", err)
	}
}

// apply is the only thing that changes durable state, both when the log is replayed and when
// this leader's own records are committed. at is where the record stands. It keeps no part of key
// and value. See applyOpen for the records of transactions.
func (im *image) apply(at int64, key, value []byte) {
	k, err := im.dec.key(key)
	switch {
	case err != nil:
		im.skip("key", err)
	case !k.isOffset:
		im.applyGroup(k.group, value)
	case value == nil:
		im.removeOpen(k.group, topicPartition{k.topic, k.partition})
		im.removeOffset(k.group, k.topic, k.partition)
	default:
		o, err := im.dec.offset(value)
		if err != nil {
			im.skip("offset", err)
			return
		}
		o.at = at
		im.putOffset(k.group, k.topic, k.partition, o)
	}
}

func (im *image) skip(what string, err error) {
	if !im.foreign || !errors.Is(err, errUnknownRecord) {
		im.logger.Warn("skipped a record of __consumer_offsets", "what", what, "err", err)
	}
	im.foreign = true
}

// group returns the group of that name, which is created where need be. The name is copied.
func (im *image) group(id string) *group {
	g := im.groups[id]
	if g == nil {
		g = &group{id: strings.Clone(id), stateMs: -1}
		im.groups[g.id] = g
	}
	return g
}

func (im *image) putOffset(id, topic string, partition int32, o committed) {
	g := im.group(id)
	parts := g.offsets[topic]
	o.partition = partition
	i, replaced := parts.search(partition)
	if replaced && parts[i].metadata == o.metadata {
		o.metadata = parts[i].metadata
	} else {
		o.metadata = strings.Clone(o.metadata)
	}
	if replaced {
		parts[i] = o
		return
	}
	if g.offsets == nil {
		g.offsets = make(map[string]partitions, 1)
	}
	// An assignment may replace the key too, which must not alias the record.
	g.offsets[strings.Clone(topic)] = slices.Insert(parts, i, o)
}

func (im *image) removeOffset(id, topic string, partition int32) {
	g := im.groups[id]
	if g == nil {
		return
	}
	parts := g.offsets[topic]
	i, ok := parts.search(partition)
	if !ok {
		return
	}
	if len(parts) == 1 {
		delete(g.offsets, topic)
		im.dropIfVoid(g)
		return
	}
	g.offsets[strings.Clone(topic)] = slices.Delete(parts, i, i+1)
}

func (im *image) applyGroup(id string, value []byte) {
	if value == nil {
		if g := im.groups[id]; g != nil && g.stored != nil {
			g.stored = nil
			im.dropIfVoid(g)
		}
		return
	}
	if _, err := im.dec.group(value); err != nil {
		im.skip("group", err)
		return
	}
	g := im.group(id)
	g.stored = bytes.Clone(value)
}

// dropIfVoid forgets a group of which nothing is left.
func (im *image) dropIfVoid(g *group) {
	if g.stored == nil && len(g.offsets) == 0 && g.idle() && im.groups[g.id] == g {
		delete(im.groups, g.id)
	}
}

// recordOverhead is about what a record takes in a batch beside its key and value, bytes.
const recordOverhead = 12
