package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// FindCoordinator (key 10), versions 0–6 (KIP-699 from v4): of groups and of transactions. The
// first request makes the coordinator's topic.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeRequest(0, 6, b.findCoordinator) })

// The types of coordinators.
const (
	coordinatorGroup       = 0
	coordinatorTransaction = 1
)

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
	topic, partition := offsetsTopic, b.groups.PartitionFor
	switch kind {
	case coordinatorGroup:
	case coordinatorTransaction:
		topic, partition = transactionsTopic, b.transactionPartition
	default:
		return fail(refuse(kerr.InvalidRequest, "Only coordinators of groups and of transactions are served: there are no share groups."))
	}
	t, err := b.autoCreate(ctx, topic)
	if err != nil {
		b.log.Warn("a coordinator's topic cannot be made", "topic", topic, "err", err)
		return fail(kerr.CoordinatorNotAvailable)
	}
	im := b.meta.Image()
	leader := b.leadership(im, t, partition(key)).leader
	n := im.Broker(leader)
	if n == nil || n.Fenced || !b.inTouch(n.ID) {
		return fail(kerr.CoordinatorNotAvailable)
	}
	out.NodeID = n.ID
	out.Host, out.Port = b.address(r.Conn, n)
	return out
}

// inTouch reports whether this node has a connection to another one. Where it has none, that node may have
// died a moment ago and not be taken for gone yet: a client that is sent there is refused, and some give up
// then, while all of them ask again where the coordinator is not available.
func (b *Broker) inTouch(node int32) bool {
	_, connected := b.peers.Connected(node)
	return node == b.id || connected
}
