package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// ListTransactions (key 66), versions 0–2 (KIP-664, KIP-994, KIP-1152): of the ids that this node
// coordinates.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 2, b.listTransactions) })

func (b *Broker) listTransactions(_ context.Context, req *kmsg.ListTransactionsRequest, resp *kmsg.ListTransactionsResponse) error {
	b.txns.ListTransactions(req, resp)
	return nil
}
