package broker

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/broker/config"
	"quorumlog/cluster"
	"quorumlog/protocol"
)

// DescribeConfigs (key 32), versions 1–4 (KIP-226 synonyms, KIP-569 documentation and types).
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(1, 4, b.describeConfigs) })

func (b *Broker) describeConfigs(_ context.Context, req *kmsg.DescribeConfigsRequest, resp *kmsg.DescribeConfigsResponse) error {
	for i := range req.Resources {
		in := &req.Resources[i]
		out := kmsg.NewDescribeConfigsResponseResource()
		out.ResourceType, out.ResourceName = in.ResourceType, in.ResourceName
		entries, err := b.configEntries(in.ResourceType, in.ResourceName)
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		for j := range entries {
			if in.ConfigNames == nil || slices.Contains(in.ConfigNames, entries[j].Name) {
				out.Configs = append(out.Configs, describedConfig(&entries[j], req))
			}
		}
		resp.Resources = append(resp.Resources, out)
	}
	return nil
}

// configEntries returns what is set, and what holds by default, for a resource.
func (b *Broker) configEntries(kind kmsg.ConfigResourceType, name string) ([]config.Entry, error) {
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if err := cluster.ValidateTopicName(name); err != nil {
			return nil, err
		}
		t := b.meta.Image().Topic(name)
		if t == nil {
			return nil, kerr.UnknownTopicOrPartition
		}
		return b.settings.DescribeTopic(t.Configs), nil
	case kmsg.ConfigResourceTypeBroker:
		if name == "" {
			return b.settings.DescribeCluster(), nil
		}
		if err := b.isSelf(name); err != nil {
			return nil, err
		}
		return b.settings.DescribeBroker(), nil
	case kmsg.ConfigResourceTypeGroupConfig:
		if name == "" {
			return nil, refuse(kerr.InvalidRequest, "Group name must not be empty")
		}
		return b.settings.DescribeGroup(b.meta.Image().Config(cluster.Resource{Type: cluster.GroupResource, Name: name})), nil
	case kmsg.ConfigResourceTypeBrokerLogger:
		return nil, b.isSelf(name) // log levels are not settings here: there is nothing to list
	case kmsg.ConfigResourceTypeClientMetrics:
		return nil, nil
	}
	return nil, refuse(kerr.InvalidRequest, fmt.Sprintf("Unsupported resource type: %d", int8(kind)))
}

// isSelf refuses a broker resource that names another node: only itself knows its settings.
func (b *Broker) isSelf(name string) error {
	if err := isBrokerID(name); err != nil {
		return err
	}
	if name != strconv.Itoa(int(b.id)) {
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Unexpected broker id, expected %d or empty string, but received %s", b.id, name))
	}
	return nil
}

func isBrokerID(name string) error {
	if _, err := strconv.ParseInt(name, 10, 32); err != nil {
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Broker id must be an integer, but it is: %s", name))
	}
	return nil
}

func describedConfig(e *config.Entry, req *kmsg.DescribeConfigsRequest) kmsg.DescribeConfigsResponseResourceConfig {
	c := kmsg.NewDescribeConfigsResponseResourceConfig()
	c.Name, c.Value, c.ReadOnly, c.IsSensitive = e.Name, e.Value, e.ReadOnly, e.Sensitive
	c.Source, c.IsDefault = kmsg.ConfigSource(e.Source), e.Source == config.Default
	c.ConfigType = kmsg.ConfigType(e.Type)
	if req.IncludeDocumentation {
		doc := e.Documentation()
		c.Documentation = &doc
	}
	if req.IncludeSynonyms {
		for _, link := range e.Chain {
			s := kmsg.NewDescribeConfigsResponseResourceConfigConfigSynonym()
			s.Name, s.Source = link.Name, kmsg.ConfigSource(link.Source)
			if !e.Sensitive {
				s.Value = &link.Value
			}
			c.ConfigSynonyms = append(c.ConfigSynonyms, s)
		}
	}
	return c
}
