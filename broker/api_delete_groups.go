package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// DeleteGroups (key 42), versions 0–3.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 3, b.deleteGroups) })

func (b *Broker) deleteGroups(_ context.Context, _ *protocol.Request, req *kmsg.DeleteGroupsRequest, resp *kmsg.DeleteGroupsResponse) (func(context.Context), error) {
	return b.groups.DeleteGroups(req, resp), nil
}
