package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// LeaveGroup (key 13), versions 0–5; several members from v3 on (KIP-345).
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 5, b.leaveGroup) })

func (b *Broker) leaveGroup(_ context.Context, _ *protocol.Request, req *kmsg.LeaveGroupRequest, resp *kmsg.LeaveGroupResponse) (func(context.Context), error) {
	return b.groups.LeaveGroup(req, resp), nil
}
