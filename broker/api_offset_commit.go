package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// OffsetCommit (key 8), versions 2–10; topic ids from v10 on (KIP-848).
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(2, 10, b.offsetCommit) })

func (b *Broker) offsetCommit(_ context.Context, _ *protocol.Request, req *kmsg.OffsetCommitRequest, resp *kmsg.OffsetCommitResponse) (func(context.Context), error) {
	return b.groups.OffsetCommit(req, resp), nil
}
