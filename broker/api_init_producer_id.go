package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// InitProducerID (key 22), versions 0–5, for idempotent producers (KIP-98, KIP-360). A
// transactional id is refused for good: there is no transaction coordinator.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 5, b.initProducerID) })

func (b *Broker) initProducerID(ctx context.Context, req *kmsg.InitProducerIDRequest, resp *kmsg.InitProducerIDResponse) error {
	if req.TransactionalID != nil {
		err := kerr.UnsupportedVersion
		if *req.TransactionalID == "" {
			err = kerr.InvalidRequest
		}
		resp.ErrorCode = err.Code
		return nil
	}
	id, err := b.producerIDs.next(ctx)
	if err != nil {
		b.log.Warn("no producer id", "err", err)
		resp.ErrorCode = kerr.CoordinatorNotAvailable.Code
		return nil
	}
	resp.ProducerID, resp.ProducerEpoch = id, 0
	return nil
}
