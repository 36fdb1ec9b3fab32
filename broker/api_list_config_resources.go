package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// ListConfigResources (key 74), versions 0–1 (KIP-1142). Version 0 asks for client metrics only.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 1, b.listConfigResources) })

func (b *Broker) listConfigResources(_ context.Context, req *kmsg.ListConfigResourcesRequest, resp *kmsg.ListConfigResourcesResponse) error {
	wanted := map[cluster.ResourceType]bool{cluster.ClientMetricsResource: true}
	if req.Version >= 1 {
		wanted = map[cluster.ResourceType]bool{}
		for _, kind := range resourceTypes(req.ResourceTypes) {
			switch kind {
			case cluster.TopicResource, cluster.BrokerResource, cluster.ClientMetricsResource, cluster.GroupResource, brokerLogger:
				wanted[kind] = true
			default:
				resp.ErrorCode = kerr.UnsupportedVersion.Code
				return nil
			}
		}
	}
	add := func(kind cluster.ResourceType, name string) {
		if wanted[kind] {
			out := kmsg.NewListConfigResourcesResponseConfigResource()
			out.Name, out.Type = name, int8(kind)
			resp.ConfigResources = append(resp.ConfigResources, out)
		}
	}
	im := b.meta.Image()
	for _, t := range im.Topics() {
		add(cluster.TopicResource, t.Name)
	}
	for _, n := range im.Brokers() {
		name := cluster.BrokerConfig(n.ID).Name
		add(cluster.BrokerResource, name)
		add(brokerLogger, name)
	}
	for _, r := range im.ConfiguredResources() {
		if r.Type == cluster.GroupResource || r.Type == cluster.ClientMetricsResource {
			add(r.Type, r.Name)
		}
	}
	return nil
}

// brokerLogger is Kafka's resource type of log levels.
const brokerLogger cluster.ResourceType = 8

// resourceTypes are the asked ones, or all.
func resourceTypes(asked []int8) []cluster.ResourceType {
	if len(asked) == 0 {
		return []cluster.ResourceType{cluster.TopicResource, cluster.BrokerResource, brokerLogger, cluster.ClientMetricsResource, cluster.GroupResource}
	}
	out := make([]cluster.ResourceType, len(asked))
	for i, t := range asked {
		out[i] = cluster.ResourceType(t)
	}
	return out
}
