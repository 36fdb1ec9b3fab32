package txn

import (
	"context"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// AddPartitionsToTxn versions from which something is different.
const (
	addFencedByName = 2 // an old epoch is PRODUCER_FENCED (KIP-588)
	addMany         = 4 // brokers ask, for several transactions (KIP-890)
	addAbortable    = 5 // TRANSACTION_ABORTABLE is known (KIP-890)
)

// addParallel is how many transactions of one request are decided at a time.
const addParallel = 64

// AddPartitionsToTxn answers versions 0-5 for partitions that exist; the response must be empty.
// From version 4 on it is a broker that asks, on behalf of a client that has begun to write to a
// partition: it adds partitions, or only asks whether they were added.
func (c *Coordinator) AddPartitionsToTxn(ctx context.Context, from Sender, req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) {
	if req.Version < addMany {
		parts := partitionsOf(req.Topics, func(t *kmsg.AddPartitionsToTxnRequestTopic) (string, []int32) { return t.Topic, t.Partitions })
		code := c.add(ctx, &from, V0, req.TransactionalID, identity{req.ProducerID, req.ProducerEpoch}, parts)
		resp.Topics = AddAnswer(req, oldFenced(code, req.Version < addFencedByName))
		return
	}
	resp.Transactions = make([]kmsg.AddPartitionsToTxnResponseTransaction, len(req.Transactions))
	slots := make(chan struct{}, addParallel)
	var wg sync.WaitGroup
	for i := range req.Transactions {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			c.addFor(ctx, req.Version, &req.Transactions[i], &resp.Transactions[i])
		})
	}
	wg.Wait()
}

// addFor answers one transaction of a broker's request.
func (c *Coordinator) addFor(ctx context.Context, version int16, in *kmsg.AddPartitionsToTxnRequestTransaction, out *kmsg.AddPartitionsToTxnResponseTransaction) {
	out.Default()
	out.TransactionalID = in.TransactionalID
	parts := partitionsOf(in.Topics, func(t *kmsg.AddPartitionsToTxnRequestTransactionTopic) (string, []int32) {
		return t.Topic, t.Partitions
	})
	who := identity{in.ProducerID, in.ProducerEpoch}
	var codeOf func(TopicPartition) int16
	if in.VerifyOnly {
		codeOf = c.verify(in.TransactionalID, who)
	} else {
		code := c.add(ctx, nil, V2, in.TransactionalID, who, parts)
		codeOf = func(TopicPartition) int16 { return code }
	}
	for i := range in.Topics {
		t := kmsg.NewAddPartitionsToTxnResponseTransactionTopic()
		t.Topic = in.Topics[i].Topic
		for _, p := range in.Topics[i].Partitions {
			r := kmsg.NewAddPartitionsToTxnResponseTransactionTopicPartition()
			r.Partition, r.ErrorCode = p, codeOf(TopicPartition{t.Topic, p})
			if r.ErrorCode == transactionAbortable && version < addAbortable {
				r.ErrorCode = invalidTxnState
			}
			t.Partitions = append(t.Partitions, r)
		}
		out.Topics = append(out.Topics, t)
	}
}

// AddAnswer is a code for every partition of a request before version 4.
func AddAnswer(req *kmsg.AddPartitionsToTxnRequest, code int16) (out []kmsg.AddPartitionsToTxnResponseTopic) {
	for i := range req.Topics {
		t := kmsg.NewAddPartitionsToTxnResponseTopic()
		t.Topic = req.Topics[i].Topic
		for _, p := range req.Topics[i].Partitions {
			r := kmsg.NewAddPartitionsToTxnResponseTopicPartition()
			r.Partition, r.ErrorCode = p, code
			t.Partitions = append(t.Partitions, r)
		}
		out = append(out, t)
	}
	return out
}

// AddOffsetsToTxn answers versions 0-4: partition is that of __consumer_offsets which holds the
// request's group.
func (c *Coordinator) AddOffsetsToTxn(ctx context.Context, from Sender, partition TopicPartition, req *kmsg.AddOffsetsToTxnRequest, resp *kmsg.AddOffsetsToTxnResponse) {
	code := c.add(ctx, &from, V0, req.TransactionalID, identity{req.ProducerID, req.ProducerEpoch}, []TopicPartition{partition})
	resp.ErrorCode = oldFenced(code, req.Version < addFencedByName)
}

// add adds partitions to an id's transaction, which begins with its first ones. from is nil where
// a broker asks.
func (c *Coordinator) add(ctx context.Context, from *Sender, v Version, id string, who identity, parts []TopicPartition) int16 {
	if id == "" {
		return invalidRequest
	}
	_, code := c.run(ctx, id, func(s *shard, t *transaction, _ int64) (*transaction, int16) {
		next, code := join(t, v, who, parts, c.nowMs())
		if code == none && from != nil {
			s.heard(t, *from)
		}
		return next, code
	})
	return code
}

// join decides whether partitions, which are sorted, join a transaction.
func join(t *transaction, v Version, who identity, parts []TopicPartition, nowMs int64) (*transaction, int16) {
	if t == nil {
		return nil, invalidProducerIDMapping
	}
	if code := t.check(who); code != none {
		return nil, code
	}
	switch {
	case t.state.ending():
		return nil, concurrentTransactions
	case t.state == Ongoing && t.has(parts):
		return nil, none
	}
	next := t.at(Ongoing, nowMs)
	next.partitions, next.version = t.with(parts), v
	if t.state != Ongoing {
		next.startMs = nowMs
	}
	return next, none
}

// verify says of each partition whether it has been added to the transaction that this producer
// has open.
func (c *Coordinator) verify(id string, who identity) func(TopicPartition) int16 {
	all := func(code int16) func(TopicPartition) int16 { return func(TopicPartition) int16 { return code } }
	if id == "" {
		return all(invalidRequest)
	}
	s, code := c.enter(id)
	if code != none {
		return all(code)
	}
	t := s.image.all[id]
	s.mu.Unlock()
	if t == nil {
		return all(invalidProducerIDMapping)
	}
	if code := t.check(who); code != none {
		return all(code)
	}
	if t.state.ending() {
		return all(concurrentTransactions)
	}
	return func(p TopicPartition) int16 {
		if !t.includes(p) {
			return transactionAbortable
		}
		return none
	}
}

// partitionsOf flattens a request's topics; the result is sorted.
func partitionsOf[T any](topics []T, of func(*T) (string, []int32)) (out []TopicPartition) {
	for i := range topics {
		topic, partitions := of(&topics[i])
		for _, p := range partitions {
			out = append(out, TopicPartition{topic, p})
		}
	}
	slices.SortFunc(out, comparePartitions)
	return slices.Compact(out)
}
