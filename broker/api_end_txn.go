package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// EndTxn (key 26), versions 0–5 (KIP-98); from v5 on with the identity for the next transaction
// (KIP-890). Waited for: the commit of the decision. One of an older version that may be late, and
// meant for an earlier transaction, is not answered: its connection is closed.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 5, b.endTxn) })

func (b *Broker) endTxn(_ context.Context, r *protocol.Request, req *kmsg.EndTxnRequest, resp *kmsg.EndTxnResponse) (func(context.Context), error) {
	return func(ctx context.Context) {
		if !b.txns.EndTxn(ctx, senderOf(r), req, resp) {
			r.Conn.Close()
		}
	}, nil
}
