package group

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// OffsetCommit versions from which something is different.
const (
	commitRetention     = 2 // to 4: the client says how long its offsets are kept
	commitRetentionEnd  = 4
	commitGroupNotFound = 9  // a member of a group that does not exist learns so (KIP-848)
	commitTopicID       = 10 // topics are named by their ids (KIP-848)
)

// OffsetCommit answers versions 2-10. It waits until the offsets are committed to the log.
func (c *Coordinator) OffsetCommit(req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) (wait func(context.Context)) {
	topics := c.commitTopics(req, resp)
	if !commitPending(resp) {
		return nil
	}
	s, code := c.enter(req.Group)
	if code != none {
		commitError(resp, code)
		return nil
	}
	defer s.mu.Unlock()
	if code := s.checkCommit(req); code != none {
		commitError(resp, code)
		return nil
	}
	records := c.commitRecords(req, resp, topics)
	if len(records) == 0 {
		return nil
	}
	w := newWaiter(&s.mu, resp)
	s.submit(&write{records: records, done: func(err error) {
		w.answer(func(r *kmsg.OffsetCommitResponse) { commitError(r, appendCode(err)) })
	}})
	return w.waitAtMost(c.opts.CommitTimeout, func(r *kmsg.OffsetCommitResponse) { commitError(r, coordinatorNotAvailable) })
}

// commitTopic is a topic of a request as the cluster knows it now.
type commitTopic struct {
	name       string
	id         TopicID
	partitions int32
}

// commitTopics finds the topics, lays out the response and sets an error for what does not exist.
func (c *Coordinator) commitTopics(req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) []commitTopic {
	topics := make([]commitTopic, len(req.Topics))
	resp.Topics = make([]kmsg.OffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t, rt := &req.Topics[i], &resp.Topics[i]
		rt.Default()
		rt.Topic, rt.TopicID = t.Topic, t.TopicID
		found, missing := commitTopic{name: t.Topic, id: t.TopicID}, none
		var ok bool
		if req.Version >= commitTopicID {
			if found.name, found.partitions, ok = c.opts.Topics.TopicByID(t.TopicID); !ok {
				missing = unknownTopicID
			}
		} else if found.id, found.partitions, ok = c.opts.Topics.Topic(t.Topic); !ok {
			missing = unknownTopicOrPartition
		}
		topics[i] = found
		rt.Partitions = make([]kmsg.OffsetCommitResponseTopicPartition, len(t.Partitions))
		for j := range t.Partitions {
			p, r := t.Partitions[j].Partition, &rt.Partitions[j]
			r.Partition, r.ErrorCode = p, missing
			if missing == none && (p < 0 || p >= found.partitions) {
				r.ErrorCode = unknownTopicOrPartition
			}
		}
	}
	return topics
}

// checkCommit says whether this client may commit for the group now.
func (s *shard) checkCommit(req *kmsg.OffsetCommitRequest) int16 {
	g := s.group(req.Group)
	if g == nil {
		switch {
		case req.Generation < 0:
			return none // a consumer without group management
		case req.Version >= commitGroupNotFound:
			return groupIDNotFound
		default:
			return illegalGeneration
		}
	}
	if g.state == Dead {
		return coordinatorNotAvailable
	}
	if req.Generation < 0 && g.state == Empty {
		return none
	}
	if req.Generation < 0 && req.MemberID == "" && req.InstanceID == nil {
		return unknownMemberID // not while others are members
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != none {
		return code
	}
	switch {
	case req.Generation != g.generation:
		return illegalGeneration
	case g.state == CompletingRebalance:
		return rebalanceInProgress
	}
	g.touch(g.byID[req.MemberID]) // a commit is a sign of life
	return none
}

// commitRecords makes the records of a commit's partitions without an error, and sets an error
// for those that cannot be stored.
func (c *Coordinator) commitRecords(req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse, topics []commitTopic) []keyValue {
	now := time.Now().UnixMilli()
	expire := int64(-1)
	if req.Version >= commitRetention && req.Version <= commitRetentionEnd && req.RetentionTimeMillis >= 0 {
		expire = now + req.RetentionTimeMillis
	}
	var out []keyValue
	for i := range req.Topics {
		for j := range req.Topics[i].Partitions {
			p, code := &req.Topics[i].Partitions[j], &resp.Topics[i].Partitions[j].ErrorCode
			o := committed{
				offset: p.Offset, commitMs: now, expireMs: expire,
				topicID: topics[i].id, leaderEpoch: p.LeaderEpoch,
			}
			if p.Metadata != nil {
				o.metadata = *p.Metadata
			}
			if *code == none && len(o.metadata) > c.opts.MaxOffsetMetadata && javaLen(o.metadata) > c.opts.MaxOffsetMetadata {
				*code = offsetMetadataTooLarge
			}
			if *code == none {
				out = append(out, keyValue{offsetKey(req.Group, topics[i].name, p.Partition), o.value()})
			}
		}
	}
	return out
}

// commitPending says whether any partition has no error yet.
func commitPending(resp *kmsg.OffsetCommitResponse) bool {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if resp.Topics[i].Partitions[j].ErrorCode == none {
				return true
			}
		}
	}
	return false
}

// commitError gives an error to the partitions that have none.
func commitError(resp *kmsg.OffsetCommitResponse, code int16) {
	for i := range resp.Topics {
		for j := range resp.Topics[i].Partitions {
			if p := &resp.Topics[i].Partitions[j]; p.ErrorCode == none {
				p.ErrorCode = code
			}
		}
	}
}
