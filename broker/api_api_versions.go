package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// ApiVersions (key 18), versions 0–5 (KIP-511). The table itself is the answer. From v5 on a client
// may say whom it means to talk to, and is told when it has reached somebody else (KIP-1242).
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 5, b.apiVersions) })

func (b *Broker) apiVersions(_ context.Context, req *kmsg.ApiVersionsRequest, resp *kmsg.ApiVersionsResponse) error {
	if resp.ErrorCode = b.meant(req); resp.ErrorCode != 0 {
		return nil
	}
	b.apis.ApiVersions(req, resp, features(b.meta.Image()))
	return nil
}

// meant checks that the client's idea of whom it talks to, if it has one, is right; it returns
// the code of the answer, 0 for yes.
func (b *Broker) meant(req *kmsg.ApiVersionsRequest) int16 {
	switch {
	case req.ClusterID == nil && req.NodeID == -1:
		return 0
	case req.ClusterID == nil || req.NodeID == -1:
		return kerr.InvalidRequest.Code
	case *req.ClusterID != b.meta.Image().ClusterID() || req.NodeID != b.id:
		return kerr.RebootstrapRequired.Code
	}
	return 0
}
