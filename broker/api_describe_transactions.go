package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// DescribeTransactions (key 65), version 0 (KIP-664): of the ids that this node coordinates.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 0, b.describeTransactions) })

func (b *Broker) describeTransactions(_ context.Context, req *kmsg.DescribeTransactionsRequest, resp *kmsg.DescribeTransactionsResponse) error {
	b.txns.DescribeTransactions(req, resp)
	return nil
}
