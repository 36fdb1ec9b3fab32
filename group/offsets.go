package group

import (
	"cmp"
	"slices"
)

// committed is one committed offset.
type committed struct {
	offset      int64
	commitMs    int64 // when it was committed
	expireMs    int64 // deadline that the client asked for (OffsetCommit 2-4), -1: none
	metadata    string
	topicID     TopicID // zero: unknown
	leaderEpoch int32   // -1: unknown
	partition   int32
	at          int64 // where its record stands in the log
}

// of says whether an offset was committed for this incarnation of its topic, as far as is known.
func (o *committed) of(id TopicID) bool {
	return o.topicID == id || o.topicID == TopicID{} || id == TopicID{}
}

// partitions is a topic's committed offsets by partition. Groups mostly have few partitions of a
// topic, or nearly all of them: a sorted slice takes half of what a map does.
type partitions []committed

func (ps partitions) search(p int32) (int, bool) {
	if i := int(p); i >= 0 && i < len(ps) && ps[i].partition == p {
		return i, true // all before it are there
	}
	return slices.BinarySearchFunc(ps, p, func(o committed, p int32) int { return cmp.Compare(o.partition, p) })
}

// get returns a partition's offset, or nil.
func (ps partitions) get(p int32) *committed {
	if i, ok := ps.search(p); ok {
		return &ps[i]
	}
	return nil
}
