package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// JoinGroup (key 11), versions 0–9 (KIP-345 static members, KIP-394 member ids, KIP-800, KIP-814).
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 9, b.joinGroup) })

func (b *Broker) joinGroup(_ context.Context, r *protocol.Request, req *kmsg.JoinGroupRequest, resp *kmsg.JoinGroupResponse) (func(context.Context), error) {
	return b.groups.JoinGroup(clientOf(r), req, resp), nil
}
