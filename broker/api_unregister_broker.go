package broker

import (
	"context"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// UnregisterBroker (key 64), version 0 (KIP-500): the cluster forgets a broker that will not come
// back. It is refused while the broker runs, which would only register again, and while replicas
// are placed on it. The broker's place in the metadata group goes with it; its vote goes to the
// first broker there that has none.
var _ = route(func(b *Broker) protocol.API { return onController(b, 0, 0, b.unregisterBroker) })

func (b *Broker) unregisterBroker(ctx context.Context, req *kmsg.UnregisterBrokerRequest, resp *kmsg.UnregisterBrokerResponse) error {
	err := b.unregister(ctx, req.BrokerID)
	resp.ErrorCode, resp.ErrorMessage = code(err), message(err)
	return nil
}

func (b *Broker) unregister(ctx context.Context, id int32) error {
	if !b.meta.IsLeader() {
		return cluster.ErrNotController
	}
	ctx, cancel := context.WithTimeout(ctx, forwardTimeout)
	defer cancel()
	im := b.meta.Image()
	if _, err := cluster.UnregisterBroker(im, id); err != nil {
		return err
	}
	if b.runs(im.Broker(id)) {
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Broker %d runs: stop it first, as it would only register again.", id))
	}
	b.aligning.Lock() // or the controller's own round would bring the member back
	defer b.aligning.Unlock()
	if err := b.dismiss(ctx, id); err != nil {
		return err
	}
	_, err := b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) { return cluster.UnregisterBroker(im, id) })
	if err == nil {
		b.log.Info("broker removed", "node", id)
	}
	return err
}

// runs reports whether a broker is there. Of two nodes neither is ever judged down, so that the
// connection has to tell.
func (b *Broker) runs(n *cluster.Broker) bool {
	_, connected := b.peers.Connected(n.ID)
	return n.ID == b.id || connected || !n.Fenced && len(b.memberIDs(b.meta.Image())) > 2
}

// dismiss takes a broker out of the metadata group, and gives its vote to another one.
func (b *Broker) dismiss(ctx context.Context, id int32) error {
	want := b.meta.Members()
	i := slices.IndexFunc(want, func(m cluster.Member) bool { return m.Node == id })
	if i < 0 {
		return nil
	}
	voter := want[i].Voter
	want = slices.Delete(want, i, i+1)
	if heir := slices.IndexFunc(want, func(m cluster.Member) bool { return !m.Voter && b.nodes.alive(m.Node) }); voter && heir >= 0 {
		want[heir].Voter = true
		b.log.Info("the vote of a removed broker goes to another one", "removed", id, "voter", want[heir].Node)
	}
	return b.meta.Reconcile(ctx, want)
}
