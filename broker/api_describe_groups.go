package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// DescribeGroups (key 15), versions 0–6.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 6, b.describeGroups) })

func (b *Broker) describeGroups(_ context.Context, req *kmsg.DescribeGroupsRequest, resp *kmsg.DescribeGroupsResponse) error {
	b.groups.DescribeGroups(req, resp)
	if req.IncludeAuthorizedOperations {
		for i := range resp.Groups {
			if resp.Groups[i].ErrorCode == 0 {
				resp.Groups[i].AuthorizedOperations = groupOperations
			}
		}
	}
	return nil
}
