package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetFetch versions from which something is different.
const (
	fetchAllTopics = 2  // null topics are all topics; errors have a field of their own
	fetchGroups    = 8  // several groups (KIP-709)
	fetchTopicID   = 10 // topics are named by their ids (KIP-848)
)

// OffsetFetch answers versions 1-10. Only committed offsets are seen. Who asks for stable ones
// (KIP-447) is answered UNSTABLE_OFFSET_COMMIT where a transaction is about to commit another.
func (c *Coordinator) OffsetFetch(req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) {
	if req.Version >= fetchGroups {
		resp.Groups = make([]kmsg.OffsetFetchResponseGroup, len(req.Groups))
		for i := range req.Groups {
			g, r := &req.Groups[i], &resp.Groups[i]
			r.Default()
			r.Group = g.Group
			r.Topics, r.ErrorCode = c.fetch(g.Group, g.Topics, req.Version, req.RequireStable)
		}
		return
	}
	var asked []kmsg.OffsetFetchRequestGroupTopic
	if req.Topics != nil || req.Version < fetchAllTopics {
		asked = make([]kmsg.OffsetFetchRequestGroupTopic, len(req.Topics))
	}
	for i := range req.Topics {
		asked[i].Topic, asked[i].Partitions = req.Topics[i].Topic, req.Topics[i].Partitions
	}
	topics, code := c.fetch(req.Group, asked, req.Version, req.RequireStable)
	if code != none && req.Version < fetchAllTopics {
		topics = failFetch(asked, code) // or old clients would take "no offset" for the answer
	}
	resp.ErrorCode = code
	resp.Topics = oldFetchTopics(topics)
}

// fetch reads the offsets of a group, of all its topics if asked is nil.
func (c *Coordinator) fetch(groupID string, asked []kmsg.OffsetFetchRequestGroupTopic, version int16, stable bool) ([]kmsg.OffsetFetchResponseGroupTopic, int16) {
	s, code := c.enter(groupID)
	if code != none {
		return nil, code
	}
	defer s.mu.Unlock()
	var offsets map[string]partitions
	var unstable map[topicPartition]int
	if g := s.group(groupID); g != nil {
		offsets = g.offsets
		if stable {
			unstable = g.unstable
		}
	}
	if asked == nil {
		return c.fetchAll(offsets, unstable, version), none
	}
	out := make([]kmsg.OffsetFetchResponseGroupTopic, len(asked))
	for i := range asked {
		a, r := &asked[i], &out[i]
		r.Topic, r.TopicID = a.Topic, a.TopicID
		name, id, missing := c.fetchName(a, version)
		r.Partitions = make([]kmsg.OffsetFetchResponseGroupTopicPartition, len(a.Partitions))
		for j, p := range a.Partitions {
			o := offsets[name].get(p)
			if o != nil && (missing != none || !o.of(id)) {
				o = nil
			}
			if missing == none && unstable[topicPartition{name, p}] > 0 {
				r.Partitions[j] = unstableOffset(p)
				continue
			}
			r.Partitions[j] = fetched(p, o)
			r.Partitions[j].ErrorCode = missing
		}
	}
	return out, none
}

// fetchName finds a topic's name and its present id.
func (c *Coordinator) fetchName(a *kmsg.OffsetFetchRequestGroupTopic, version int16) (string, TopicID, int16) {
	if version < fetchTopicID {
		id, _, _ := c.opts.Topics.Topic(a.Topic)
		return a.Topic, id, none
	}
	name, _, ok := c.opts.Topics.TopicByID(a.TopicID)
	if !ok {
		return "", a.TopicID, unknownTopicID
	}
	return name, a.TopicID, none
}

func (c *Coordinator) fetchAll(offsets map[string]partitions, unstable map[topicPartition]int, version int16) []kmsg.OffsetFetchResponseGroupTopic {
	out := make([]kmsg.OffsetFetchResponseGroupTopic, 0, len(offsets))
	for name, parts := range offsets {
		id, _, ok := c.opts.Topics.Topic(name)
		if !ok && version >= fetchTopicID {
			continue // it cannot be named
		}
		r := kmsg.OffsetFetchResponseGroupTopic{Topic: name, TopicID: id}
		for i := range parts {
			switch o := &parts[i]; {
			case unstable[topicPartition{name, o.partition}] > 0:
				r.Partitions = append(r.Partitions, unstableOffset(o.partition))
			case o.of(id):
				r.Partitions = append(r.Partitions, fetched(o.partition, o))
			}
		}
		if len(r.Partitions) > 0 {
			out = append(out, r)
		}
	}
	return out
}

// fetched is the answer for one partition; without an offset it is -1.
func fetched(partition int32, o *committed) kmsg.OffsetFetchResponseGroupTopicPartition {
	r := kmsg.OffsetFetchResponseGroupTopicPartition{Partition: partition, Offset: -1, LeaderEpoch: -1}
	metadata := ""
	if o != nil {
		r.Offset, r.LeaderEpoch, metadata = o.offset, o.leaderEpoch, o.metadata
	}
	r.Metadata = &metadata
	return r
}

// unstableOffset is the answer for a partition whose offset a transaction is about to commit.
func unstableOffset(partition int32) kmsg.OffsetFetchResponseGroupTopicPartition {
	r := fetched(partition, nil)
	r.ErrorCode = unstableOffsetCommit
	return r
}

// failFetch is an error for each partition.
func failFetch(asked []kmsg.OffsetFetchRequestGroupTopic, code int16) []kmsg.OffsetFetchResponseGroupTopic {
	out := make([]kmsg.OffsetFetchResponseGroupTopic, len(asked))
	for i := range asked {
		out[i].Topic = asked[i].Topic
		for _, p := range asked[i].Partitions {
			r := fetched(p, nil)
			r.ErrorCode = code
			out[i].Partitions = append(out[i].Partitions, r)
		}
	}
	return out
}

// oldFetchTopics is the form of versions before 8.
func oldFetchTopics(topics []kmsg.OffsetFetchResponseGroupTopic) []kmsg.OffsetFetchResponseTopic {
	out := make([]kmsg.OffsetFetchResponseTopic, len(topics))
	for i := range topics {
		out[i].Topic = topics[i].Topic
		out[i].Partitions = make([]kmsg.OffsetFetchResponseTopicPartition, len(topics[i].Partitions))
		for j := range topics[i].Partitions {
			p, r := &topics[i].Partitions[j], &out[i].Partitions[j]
			r.Partition, r.Offset, r.LeaderEpoch = p.Partition, p.Offset, p.LeaderEpoch
			r.Metadata, r.ErrorCode = p.Metadata, p.ErrorCode
		}
	}
	return out
}
