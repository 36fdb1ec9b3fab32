package broker

import (
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// leaderHints are the leaders that an answer names to a client that came to the wrong broker, so
// that it need not ask for metadata first (KIP-951).
type leaderHints struct {
	b     *Broker
	conn  *protocol.Conn
	nodes []int32
}

// leaderOf is the leader to name for a partition; -1, -1 while none is known.
func (h *leaderHints) leaderOf(k replicaKey) (node, epoch int32) {
	l := h.b.leaders.get(k)
	if l.node >= 0 && !slices.Contains(h.nodes, l.node) {
		h.nodes = append(h.nodes, l.node)
	}
	return l.node, l.epoch
}

// endpoints are the addresses of the leaders that were named.
func (h *leaderHints) endpoints() (out []kmsg.ProduceResponseBroker) {
	im := h.b.meta.Image()
	for _, id := range h.nodes {
		n := im.Broker(id)
		if n == nil {
			continue
		}
		e := kmsg.NewProduceResponseBroker()
		e.NodeID, e.Rack = id, rackOf(n)
		e.Host, e.Port = h.b.address(h.conn, n)
		out = append(out, e)
	}
	return out
}
