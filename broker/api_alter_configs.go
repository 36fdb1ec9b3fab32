package broker

import (
	"context"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// AlterConfigs (key 33), versions 0–2: the older way, which replaces all settings of a resource.
var _ = route(func(b *Broker) protocol.API { return onController(b, 0, 2, b.alterConfigs) })

func (b *Broker) alterConfigs(ctx context.Context, req *kmsg.AlterConfigsRequest, resp *kmsg.AlterConfigsResponse) error {
	seen := map[resourceKey]int{}
	for i := range req.Resources {
		seen[resourceKey{req.Resources[i].ResourceType, req.Resources[i].ResourceName}]++
	}
	for i := range req.Resources {
		in := &req.Resources[i]
		out := kmsg.NewAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = in.ResourceType, in.ResourceName
		err := errDuplicateResource
		if seen[resourceKey{in.ResourceType, in.ResourceName}] == 1 {
			err = b.configChange(ctx, in.ResourceType, in.ResourceName, req.ValidateOnly, replacement(in.Configs))
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Resources = append(resp.Resources, out)
	}
	return nil
}

// replacement is the settings of a request instead of those there are.
func replacement(configs []kmsg.AlterConfigsRequestResourceConfig) func(map[string]string) (map[string]string, error) {
	return func(map[string]string) (map[string]string, error) {
		next := make(map[string]string, len(configs))
		for _, c := range configs {
			if c.Value == nil {
				return nil, refuse(kerr.InvalidRequest, fmt.Sprintf("Null value not supported for : %s", c.Name))
			}
			next[c.Name] = *c.Value
		}
		return next, nil
	}
}
