package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// FindCoordinator (key 10), versions 0–6 (KIP-699 from v4): groups only. The first request
// makes the offsets topic.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeRequest(0, 6, b.findCoordinator) })

// coordinatorGroup is the coordinator type of consumer groups.
const coordinatorGroup = 0

func (b *Broker) findCoordinator(ctx context.Context, r *protocol.Request, req *kmsg.FindCoordinatorRequest, resp *kmsg.FindCoordinatorResponse) error {
	if req.Version < 4 {
		c := b.coordinatorOf(ctx, r, req.CoordinatorType, req.CoordinatorKey)
		resp.ErrorCode, resp.ErrorMessage = c.ErrorCode, c.ErrorMessage
		resp.NodeID, resp.Host, resp.Port = c.NodeID, c.Host, c.Port
		return nil
	}
	for _, key := range req.CoordinatorKeys {
		resp.Coordinators = append(resp.Coordinators, b.coordinatorOf(ctx, r, req.CoordinatorType, key))
	}
	return nil
}

func (b *Broker) coordinatorOf(ctx context.Context, r *protocol.Request, kind int8, key string) kmsg.FindCoordinatorResponseCoordinator {
	out := kmsg.NewFindCoordinatorResponseCoordinator()
	out.Key, out.NodeID, out.Port = key, -1, -1
	fail := func(err error) kmsg.FindCoordinatorResponseCoordinator {
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		return out
	}
	if kind != coordinatorGroup {
		return fail(refuse(kerr.InvalidRequest, "Only group coordinators are served: there are no transactions and no share groups."))
	}
	t, err := b.autoCreate(ctx, offsetsTopic)
	if err != nil {
		b.log.Warn("the offsets topic cannot be made", "err", err)
		return fail(kerr.CoordinatorNotAvailable)
	}
	im := b.meta.Image()
	leader := b.leadership(im, t, b.groups.PartitionFor(key)).leader
	n := im.Broker(leader)
	if n == nil || n.Fenced {
		return fail(kerr.CoordinatorNotAvailable)
	}
	out.NodeID = n.ID
	out.Host, out.Port = b.address(r.Conn, n)
	return out
}
