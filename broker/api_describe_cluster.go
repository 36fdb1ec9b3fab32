package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// DescribeCluster (key 60), versions 0–2 (KIP-700, KIP-919, KIP-1073). Controllers have no
// listener for clients of their own, so only brokers are described.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeRequest(0, 2, b.describeCluster) })

func (b *Broker) describeCluster(_ context.Context, r *protocol.Request, req *kmsg.DescribeClusterRequest, resp *kmsg.DescribeClusterResponse) error {
	const brokers = 1
	if req.Version >= 1 && req.EndpointType != brokers {
		err := refuse(kerr.MismatchedEndpointType, "The request was sent to an endpoint of type BROKER, but describes endpoints of another type.")
		resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
		return nil
	}
	im := b.meta.Image()
	resp.EndpointType, resp.ClusterID, resp.ControllerID = brokers, im.ClusterID(), b.controllerFor(im)
	if req.IncludeClusterAuthorizedOperations {
		resp.ClusterAuthorizedOperations = clusterOperations
	}
	for _, n := range im.Brokers() {
		if n.Fenced && !req.IncludeFencedBrokers {
			continue
		}
		out := kmsg.NewDescribeClusterResponseBroker()
		out.NodeID, out.Rack, out.IsFenced = n.ID, rackOf(n), n.Fenced
		out.Host, out.Port = b.address(r.Conn, n)
		resp.Brokers = append(resp.Brokers, out)
	}
	return nil
}
