package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// ListGroups (key 16), versions 0–5; filters by state (KIP-518) and type (KIP-848).
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 5, b.listGroups) })

func (b *Broker) listGroups(_ context.Context, req *kmsg.ListGroupsRequest, resp *kmsg.ListGroupsResponse) error {
	b.groups.ListGroups(req, resp)
	return nil
}
