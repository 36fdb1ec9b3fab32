package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// Heartbeat (key 12), versions 0–4.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 4, b.heartbeat) })

func (b *Broker) heartbeat(_ context.Context, req *kmsg.HeartbeatRequest, resp *kmsg.HeartbeatResponse) error {
	b.groups.Heartbeat(req, resp)
	return nil
}
