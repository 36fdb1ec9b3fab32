package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// ApiVersions (key 18), versions 0–5 (KIP-511). The table itself is the answer.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 5, b.apiVersions) })

func (b *Broker) apiVersions(_ context.Context, req *kmsg.ApiVersionsRequest, resp *kmsg.ApiVersionsResponse) error {
	b.apis.ApiVersions(req, resp, protocol.Features{FinalizedEpoch: int64(b.meta.Image().Index())})
	return nil
}
