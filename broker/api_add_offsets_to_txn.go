package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
	"quorumlog/txn"
)

// AddOffsetsToTxn (key 25), versions 0–4 (KIP-98): the partition of a group's offsets joins the
// transaction. Waited for: the commit of that.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 4, b.addOffsetsToTxn) })

func (b *Broker) addOffsetsToTxn(_ context.Context, r *protocol.Request, req *kmsg.AddOffsetsToTxnRequest, resp *kmsg.AddOffsetsToTxnResponse) (func(context.Context), error) {
	if req.Group == "" {
		resp.ErrorCode = kerr.InvalidGroupID.Code
		return nil, nil
	}
	return func(ctx context.Context) {
		if _, err := b.autoCreate(ctx, offsetsTopic); err != nil {
			resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
			return
		}
		p := txn.TopicPartition{Topic: offsetsTopic, Partition: b.groups.PartitionFor(req.Group)}
		b.txns.AddOffsetsToTxn(ctx, senderOf(r), p, req, resp)
	}, nil
}
