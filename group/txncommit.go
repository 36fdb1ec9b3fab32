package group

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/shards"
	"quorumlog/record"
)

// txnCommitTopicID is the TxnOffsetCommit version that names topics by their ids (KIP-848).
const txnCommitTopicID = 6

// TxnOffsetCommit answers versions 0-6 of a producer whose transaction has the group's offsets
// partition (PartitionFor) among its own. It waits until the offsets are in the log; they count once
// the transaction is committed. A batch goes into the log by append, which sees to it that the
// transaction is still open then.
func (c *Coordinator) TxnOffsetCommit(req *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse, append func(record.Batch) shards.Pending) (wait func(context.Context)) {
	plain, answer := plainCommit(req)
	finish := func(code int16) {
		commitError(answer, code)
		resp.Topics = txnAnswer(answer)
	}
	topics := c.commitTopics(plain, answer)
	if !commitPending(answer) {
		finish(none)
		return nil
	}
	s, code := c.enter(req.Group)
	if code != none {
		finish(code)
		return nil
	}
	defer s.mu.Unlock()
	if code := s.checkTxnCommit(req); code != none {
		finish(code)
		return nil
	}
	records := c.commitRecords(plain, answer, topics)
	if len(records) == 0 {
		finish(none)
		return nil
	}
	w := newWaiter(&s.mu, resp)
	s.submit(&write{
		records: records,
		of:      &transaction{req.ProducerID, req.ProducerEpoch, append},
		done:    func(err error) { w.answer(func(*kmsg.TxnOffsetCommitResponse) { finish(appendCode(err)) }) },
	})
	return w.waitAtMost(c.opts.CommitTimeout, func(*kmsg.TxnOffsetCommitResponse) { finish(coordinatorNotAvailable) })
}

// TxnCommitError is a code for every partition of a request.
func TxnCommitError(req *kmsg.TxnOffsetCommitRequest, code int16) []kmsg.TxnOffsetCommitResponseTopic {
	out := make([]kmsg.TxnOffsetCommitResponseTopic, len(req.Topics))
	for i := range req.Topics {
		t := &req.Topics[i]
		out[i].Topic, out[i].TopicID = t.Topic, t.TopicID
		for j := range t.Partitions {
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = t.Partitions[j].Partition, code
			out[i].Partitions = append(out[i].Partitions, p)
		}
	}
	return out
}

// checkTxnCommit says whether a transaction may commit for the group now. A rebalance does not keep
// it from that: what its member has read, it has read.
func (s *shard) checkTxnCommit(req *kmsg.TxnOffsetCommitRequest) int16 {
	g := s.group(req.Group)
	switch {
	case g == nil && req.Generation < 0:
		return none
	case g == nil:
		return illegalGeneration
	case g.state == Dead:
		return coordinatorNotAvailable
	case req.Generation < 0 && req.MemberID == "" && req.InstanceID == nil:
		return none // versions before 3 do not say who commits
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != none {
		return code
	}
	if req.Generation != g.generation {
		return illegalGeneration
	}
	return none
}

// plainCommit is the OffsetCommit of the same offsets, and its answer.
func plainCommit(req *kmsg.TxnOffsetCommitRequest) (*kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse) {
	plain := kmsg.NewPtrOffsetCommitRequest()
	plain.Version = commitGroupNotFound
	if req.Version >= txnCommitTopicID {
		plain.Version = commitTopicID
	}
	plain.Group = req.Group
	plain.Topics = make([]kmsg.OffsetCommitRequestTopic, len(req.Topics))
	for i := range req.Topics {
		from, to := &req.Topics[i], &plain.Topics[i]
		to.Topic, to.TopicID = from.Topic, from.TopicID
		to.Partitions = make([]kmsg.OffsetCommitRequestTopicPartition, len(from.Partitions))
		for j := range from.Partitions {
			p, o := &from.Partitions[j], &to.Partitions[j]
			o.Default()
			o.Partition, o.Offset, o.LeaderEpoch, o.Metadata = p.Partition, p.Offset, p.LeaderEpoch, p.Metadata
		}
	}
	return plain, plain.ResponseKind().(*kmsg.OffsetCommitResponse)
}

// txnAnswer is an OffsetCommit's answer in the form of a TxnOffsetCommit's.
func txnAnswer(plain *kmsg.OffsetCommitResponse) []kmsg.TxnOffsetCommitResponseTopic {
	out := make([]kmsg.TxnOffsetCommitResponseTopic, len(plain.Topics))
	for i := range plain.Topics {
		from, to := &plain.Topics[i], &out[i]
		to.Topic, to.TopicID = from.Topic, from.TopicID
		for j := range from.Partitions {
			p := kmsg.NewTxnOffsetCommitResponseTopicPartition()
			p.Partition, p.ErrorCode = from.Partitions[j].Partition, from.Partitions[j].ErrorCode
			to.Partitions = append(to.Partitions, p)
		}
	}
	return out
}
