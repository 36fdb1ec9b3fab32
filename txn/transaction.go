package txn

import (
	"cmp"
	"math"
	"slices"
)

// TopicPartition names a partition that takes part in a transaction.
type TopicPartition struct {
	Topic     string
	Partition int32
}

func comparePartitions(a, b TopicPartition) int {
	return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
}

// noID stands for no producer id, and noEpoch for no epoch.
const (
	noID    int64 = -1
	noEpoch int16 = -1
)

// lastEpoch is the highest epoch that a client gets. The one above it is the coordinator's, so that
// the holder of any epoch can be fenced.
const lastEpoch = math.MaxInt16 - 1

// Version is a transaction version: how a client takes part in transactions.
type Version int16

// The transaction versions.
const (
	// V0 adds partitions before it produces to them, and keeps its epoch from one transaction to
	// the next. Kafka's version 1 differs from it in the log's format alone.
	V0 Version = 0
	// V2 gets a new epoch with each transaction, and joins partitions by producing to them (KIP-890).
	V2 Version = 2
)

// transaction is what the log says of one transactional id. It is not changed once it is in an image.
type transaction struct {
	id         string
	producerID int64
	epoch      int16
	// previousID is the producer id of the identity that the present one was given in exchange for,
	// noID where it was given to whoever asked: see before.
	previousID int64
	// nextID replaces producerID when the markers of this transaction are written, noID mostly.
	nextID     int64
	version    Version // of the client that changed the state last; V0 where that was the coordinator
	timeoutMs  int32
	state      State
	partitions []TopicPartition // sorted
	startMs    int64            // when the transaction began, -1 before the first
	updateMs   int64            // when the id was last heard of
}

// identity is what a producer shows itself with.
type identity struct {
	producerID int64
	epoch      int16
}

func (t *transaction) now() identity { return identity{t.producerID, t.epoch} }

// next is the identity that the client has once the transaction has ended.
func (t *transaction) next() identity {
	if t.nextID != noID {
		return identity{t.nextID, 0}
	}
	return t.now()
}

// before is the identity that was exchanged for the present one; whoever shows it repeats the
// request that did so. With it goes false where there is none.
func (t *transaction) before() (identity, bool) {
	switch {
	case t.previousID == noID:
		return identity{}, false
	case t.previousID != t.producerID:
		return identity{t.previousID, lastEpoch}, true
	default:
		return identity{t.producerID, t.epoch - 1}, t.epoch > 0
	}
}

func (t *transaction) repeats(i identity) bool {
	b, ok := t.before()
	return ok && b == i
}

// exhausted says that the producer id has no epoch left for a client.
func (t *transaction) exhausted() bool { return t.epoch >= lastEpoch }

// check compares a request's identity with the present one. While the transaction is ending, the
// one that it will have counts too.
func (t *transaction) check(i identity) int16 {
	switch {
	case i == t.now(), t.state.ending() && i == t.next():
		return none
	case i.producerID != t.producerID:
		return invalidProducerIDMapping
	default:
		return producerFenced
	}
}

// at is a copy in another state.
func (t *transaction) at(s State, nowMs int64) *transaction {
	c := *t
	c.state, c.updateMs = s, nowMs
	return &c
}

// has says whether all of ps, which are sorted, take part.
func (t *transaction) has(ps []TopicPartition) bool {
	return !slices.ContainsFunc(ps, func(p TopicPartition) bool { return !t.includes(p) })
}

func (t *transaction) includes(p TopicPartition) bool {
	_, ok := slices.BinarySearchFunc(t.partitions, p, comparePartitions)
	return ok
}

// with is the partitions together with ps.
func (t *transaction) with(ps []TopicPartition) []TopicPartition {
	all := slices.Concat(t.partitions, ps)
	slices.SortFunc(all, comparePartitions)
	return slices.Compact(all)
}

// timedOut says whether the transaction has run for longer than its producer asked for.
func (t *transaction) timedOut(nowMs int64) bool {
	return t.state == Ongoing && t.startMs+int64(t.timeoutMs) < nowMs
}
