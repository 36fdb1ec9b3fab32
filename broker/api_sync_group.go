package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// SyncGroup (key 14), versions 0–5.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 5, b.syncGroup) })

func (b *Broker) syncGroup(_ context.Context, _ *protocol.Request, req *kmsg.SyncGroupRequest, resp *kmsg.SyncGroupResponse) (func(context.Context), error) {
	return b.groups.SyncGroup(req, resp), nil
}
