package group

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetDelete answers version 0 (KIP-496): offsets of topics that the group does not consume.
// It waits until the deletion is committed.
func (c *Coordinator) OffsetDelete(req *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse) (wait func(context.Context)) {
	if req.Group == "" {
		resp.ErrorCode = invalidGroupID
		return nil
	}
	s, code := c.enter(req.Group)
	if code != none {
		resp.ErrorCode = code
		return nil
	}
	defer s.mu.Unlock()
	if resp.ErrorCode = s.checkOffsetDelete(req.Group); resp.ErrorCode != none {
		return nil
	}
	w := newWaiter(&s.mu, resp)
	s.submit(&write{
		decide: func() (records []keyValue) {
			if g := s.group(req.Group); g != nil && !w.gone {
				resp.Topics, records = c.deleteOffsets(g, req)
			}
			return records
		},
		done: func(err error) {
			w.answer(func(r *kmsg.OffsetDeleteResponse) { offsetDeleteError(r, appendCode(err)) })
		},
	})
	return w.waitAtMost(c.opts.CommitTimeout, func(r *kmsg.OffsetDeleteResponse) { offsetDeleteError(r, coordinatorNotAvailable) })
}

// offsetDeleteError sets a top-level error, which goes without topics.
func offsetDeleteError(r *kmsg.OffsetDeleteResponse, code int16) {
	if code != none {
		r.ErrorCode, r.Topics = code, nil
	}
}

func (s *shard) checkOffsetDelete(groupID string) int16 {
	g := s.group(groupID)
	switch {
	case g == nil || g.state == Dead:
		return groupIDNotFound
	case g.state != Empty && g.protocolType != consumerType:
		return nonEmptyGroup // what its members consume cannot be known
	}
	return none
}

// deleteOffsets decides an OffsetDelete.
func (c *Coordinator) deleteOffsets(g *group, req *kmsg.OffsetDeleteRequest) ([]kmsg.OffsetDeleteResponseTopic, []keyValue) {
	var records []keyValue
	topics := make([]kmsg.OffsetDeleteResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t := &req.Topics[i]
		topics[i].Topic = t.Topic
		_, partitions, _ := c.opts.Topics.Topic(t.Topic)
		for j := range t.Partitions {
			p := t.Partitions[j].Partition
			r := kmsg.OffsetDeleteResponseTopicPartition{Partition: p}
			switch {
			case p < 0 || p >= partitions:
				r.ErrorCode = unknownTopicOrPartition
			case g.subscribes(t.Topic):
				r.ErrorCode = groupSubscribedToTopic
			case g.offsets[t.Topic].get(p) != nil || g.unstable[topicPartition{t.Topic, p}] > 0:
				records = append(records, keyValue{key: offsetKey(g.id, t.Topic, p)})
			}
			topics[i].Partitions = append(topics[i].Partitions, r)
		}
	}
	return topics, records
}
