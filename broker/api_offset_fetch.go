package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// OffsetFetch (key 9), versions 1–10; several groups from v8 on (KIP-709), topic ids from v10 on.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(1, 10, b.offsetFetch) })

func (b *Broker) offsetFetch(_ context.Context, req *kmsg.OffsetFetchRequest, resp *kmsg.OffsetFetchResponse) error {
	b.groups.OffsetFetch(req, resp)
	return nil
}
