package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/broker/config"
	"quorumlog/protocol"
)

// IncrementalAlterConfigs (key 44), versions 0–1 (KIP-339).
var _ = route(func(b *Broker) protocol.API { return onController(b, 0, 1, b.incrementalAlterConfigs) })

func (b *Broker) incrementalAlterConfigs(ctx context.Context, req *kmsg.IncrementalAlterConfigsRequest, resp *kmsg.IncrementalAlterConfigsResponse) error {
	seen := map[resourceKey]int{}
	for i := range req.Resources {
		seen[resourceKey{req.Resources[i].ResourceType, req.Resources[i].ResourceName}]++
	}
	for i := range req.Resources {
		in := &req.Resources[i]
		out := kmsg.NewIncrementalAlterConfigsResponseResource()
		out.ResourceType, out.ResourceName = in.ResourceType, in.ResourceName
		err := errDuplicateResource
		if seen[resourceKey{in.ResourceType, in.ResourceName}] == 1 {
			err = b.configChange(ctx, in.ResourceType, in.ResourceName, req.ValidateOnly,
				incremental(tableOf(in.ResourceType), in.Configs, b.defaultOf(in.ResourceType)))
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Resources = append(resp.Resources, out)
	}
	return nil
}

// resourceKey tells resources of a request apart.
type resourceKey struct {
	kind kmsg.ConfigResourceType
	name string
}

var errDuplicateResource = refuse(kerr.InvalidRequest, "Each resource must appear at most once.")

func tableOf(kind kmsg.ConfigResourceType) *config.Table {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		return config.Topic
	case kmsg.ConfigResourceTypeGroupConfig:
		return config.Group
	}
	return config.Broker
}

// defaultOf returns what a list holds where a resource of this kind does not set it.
func (b *Broker) defaultOf(kind kmsg.ConfigResourceType) func(string) string {
	return func(name string) string {
		entries := b.settings.DescribeBroker()
		if kind == kmsg.ConfigResourceTypeTopic {
			entries = b.settings.DescribeTopic(nil)
		}
		for _, e := range entries {
			if e.Name == name && e.Value != nil {
				return *e.Value
			}
		}
		return ""
	}
}
