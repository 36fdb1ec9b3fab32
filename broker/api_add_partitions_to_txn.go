package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
	"quorumlog/txn"
)

// AddPartitionsToTxn (key 24), versions 0–5 (KIP-98); of several transactions, and only asking, from
// v4 on (KIP-890): brokers ask each other so.
//
// Waited for: the commit of what is added.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 5, b.addPartitionsToTxn) })

// addMany is the version from which several transactions are named.
const addMany = 4

func (b *Broker) addPartitionsToTxn(_ context.Context, r *protocol.Request, req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) (func(context.Context), error) {
	if req.Version < addMany && !b.mayJoin(req, resp) {
		return nil, nil
	}
	return func(ctx context.Context) { b.txns.AddPartitionsToTxn(ctx, senderOf(r), req, resp) }, nil
}

// mayJoin says whether all of a client's partitions may be added; otherwise the answer says which
// may not, and that the others were not.
func (b *Broker) mayJoin(req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) bool {
	im, all := b.meta.Image(), true
	resp.Topics = txn.AddAnswer(req, kerr.OperationNotAttempted.Code)
	for i := range resp.Topics {
		t := &resp.Topics[i]
		known := im.Topic(t.Topic)
		for j := range t.Partitions {
			p := &t.Partitions[j]
			switch {
			case isInternal(t.Topic):
				p.ErrorCode = kerr.TopicAuthorizationFailed.Code
			case known == nil, p.Partition < 0, int(p.Partition) >= len(known.Partitions):
				p.ErrorCode = kerr.UnknownTopicOrPartition.Code
			default:
				continue
			}
			all = false
		}
	}
	if all {
		resp.Topics = nil
	}
	return all
}
