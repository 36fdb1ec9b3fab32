package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// InitProducerID (key 22), versions 0–5, for idempotent and transactional producers (KIP-98,
// KIP-360). Two-phase commit (KIP-939, v6) is not served, nor is it by Kafka unless it is enabled.
//
// Waited for, of a transactional id: the commit of its new epoch, and the end of the transaction
// that its predecessor has left.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 5, b.initProducerID) })

func (b *Broker) initProducerID(_ context.Context, _ *protocol.Request, req *kmsg.InitProducerIDRequest, resp *kmsg.InitProducerIDResponse) (func(context.Context), error) {
	resp.ProducerID, resp.ProducerEpoch = -1, -1
	if req.TransactionalID != nil {
		return func(ctx context.Context) { b.txns.InitProducerID(ctx, req, resp) }, nil
	}
	return func(ctx context.Context) {
		id, err := b.producerIDs.next(ctx)
		if err != nil {
			b.log.Warn("no producer id", "err", err)
			resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
			return
		}
		resp.ProducerID, resp.ProducerEpoch = id, 0
	}, nil
}
