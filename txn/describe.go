package txn

import "github.com/twmb/franz-go/pkg/kmsg"

// DescribeTransactions answers version 0 (KIP-664).
func (c *Coordinator) DescribeTransactions(req *kmsg.DescribeTransactionsRequest, resp *kmsg.DescribeTransactionsResponse) {
	resp.TransactionStates = make([]kmsg.DescribeTransactionsResponseTransactionState, len(req.TransactionalIDs))
	for i, id := range req.TransactionalIDs {
		r := &resp.TransactionStates[i]
		r.Default()
		r.TransactionalID = id
		if id == "" {
			r.ErrorCode = invalidRequest
			continue
		}
		s, code := c.enter(id)
		if code != none {
			r.ErrorCode = code
			continue
		}
		t := s.image.all[id]
		s.mu.Unlock()
		if t == nil {
			r.ErrorCode = transactionalIDNotFound
			continue
		}
		t.describe(r)
	}
}

func (t *transaction) describe(r *kmsg.DescribeTransactionsResponseTransactionState) {
	r.State, r.TimeoutMillis, r.StartTimestamp = t.state.String(), t.timeoutMs, t.startMs
	r.ProducerID, r.ProducerEpoch = t.producerID, t.epoch
	for _, p := range t.partitions {
		if n := len(r.Topics); n == 0 || r.Topics[n-1].Topic != p.Topic {
			r.Topics = append(r.Topics, kmsg.DescribeTransactionsResponseTransactionStateTopic{Topic: p.Topic})
		}
		last := &r.Topics[len(r.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
}
