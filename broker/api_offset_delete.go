package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// OffsetDelete (key 47), version 0 (KIP-496).
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 0, b.offsetDelete) })

func (b *Broker) offsetDelete(_ context.Context, _ *protocol.Request, req *kmsg.OffsetDeleteRequest, resp *kmsg.OffsetDeleteResponse) (func(context.Context), error) {
	return b.groups.OffsetDelete(req, resp), nil
}
