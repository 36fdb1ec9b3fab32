package broker

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// CreateTopics (key 19), versions 2–7. From v5 on the answer holds the topic's configuration
// (KIP-525), from v7 on its id.
var _ = route(func(b *Broker) protocol.API {
	decidedByController(b, b.createTopics)
	return protocol.Serve(2, 7, func(ctx context.Context, req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse) error {
		err := b.decide(ctx, req, resp)
		if err == nil && !req.ValidateOnly {
			var made []string
			for i := range resp.Topics {
				if t := &resp.Topics[i]; t.ErrorCode == 0 {
					made = append(made, t.Topic)
				}
			}
			b.awaitLeaders(ctx, made, req.TimeoutMillis)
		}
		return err
	})
})

// leadersWait bounds how long an answer is held back until new partitions have leaders. They have
// within some milliseconds, unless a majority of their replicas is gone.
const leadersWait = 2 * time.Second

// awaitLeaders waits until all partitions of topics that were changed are led, so that a client that
// goes on at once is not told of an election.
func (b *Broker) awaitLeaders(ctx context.Context, topics []string, timeoutMillis int32) {
	ctx, cancel := context.WithTimeout(ctx, min(leadersWait, time.Duration(max(timeoutMillis, 0))*time.Millisecond))
	defer cancel()
	im := b.meta.Image()
	var keys []replicaKey
	for _, name := range topics {
		if t := im.Topic(name); t != nil {
			for i := range t.Partitions {
				keys = append(keys, replicaKey{t.ID, int32(i)})
			}
		}
	}
	b.leaders.await(ctx, keys)
}

func (b *Broker) createTopics(ctx context.Context, req *kmsg.CreateTopicsRequest, resp *kmsg.CreateTopicsResponse) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(req.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	count := map[string]int{}
	for i := range req.Topics {
		count[req.Topics[i].Topic]++
	}
	for i := range req.Topics {
		in := &req.Topics[i]
		if count[in.Topic] == 0 {
			continue // answered already
		}
		out := kmsg.NewCreateTopicsResponseTopic()
		out.Topic = in.Topic
		var err error
		if count[in.Topic] == 1 {
			err = b.createTopic(ctx, in, req.ValidateOnly, &out)
		} else {
			err = refuse(kerr.InvalidRequest, fmt.Sprintf("The topic '%s' occurs more than once in the request.", in.Topic))
		}
		count[in.Topic] = 0
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}

func (b *Broker) createTopic(ctx context.Context, in *kmsg.CreateTopicsRequestTopic, dry bool, out *kmsg.CreateTopicsResponseTopic) error {
	if isInternal(in.Topic) {
		return refuse(kerr.InvalidTopicException, fmt.Sprintf("The topic '%s' is internal: the cluster makes it by itself.", in.Topic))
	}
	spec, err := b.topicSpec(in)
	if err != nil {
		return err
	}
	im, err := b.change(ctx, dry, func(im *cluster.Image) ([]cluster.Record, error) { return cluster.CreateTopic(im, spec, nil) })
	if err != nil {
		return err
	}
	if t := im.Topic(spec.Name); t != nil {
		out.NumPartitions, out.ReplicationFactor = int32(len(t.Partitions)), int16(len(t.Partitions[0].Replicas))
		if !dry {
			out.TopicID = t.ID
			if out.ReplicationFactor == 2 {
				b.log.Warn("a topic has two replicas: a majority of two is both, so that it stands still when either is down; three survive one", "topic", t.Name)
			}
		}
	}
	out.Configs = b.createdConfigs(spec.Configs)
	return nil
}

// topicSpec translates and checks everything that does not depend on the metadata.
func (b *Broker) topicSpec(in *kmsg.CreateTopicsRequestTopic) (cluster.NewTopic, error) {
	spec := b.newTopic(in.Topic)
	spec.Partitions, spec.ReplicationFactor = in.NumPartitions, in.ReplicationFactor
	for _, a := range in.ReplicaAssignment {
		spec.Assignments = append(spec.Assignments, cluster.Assignment{Partition: a.Partition, Replicas: a.Replicas})
	}
	spec.Configs = make(map[string]string, len(in.Configs))
	for _, c := range in.Configs {
		if c.Value == nil {
			return spec, refuse(kerr.InvalidConfig, fmt.Sprintf("Null value not supported for topic configs: %s", c.Name))
		}
		spec.Configs[c.Name] = *c.Value
	}
	if err := b.settings.ValidateTopic(spec.Configs); err != nil {
		return spec, refuse(kerr.InvalidConfig, err.Error())
	}
	return spec, nil
}

// createdConfigs lists a new topic's configuration as the answer carries it (KIP-525).
func (b *Broker) createdConfigs(overrides map[string]string) []kmsg.CreateTopicsResponseTopicConfig {
	entries := b.settings.DescribeTopic(overrides)
	out := make([]kmsg.CreateTopicsResponseTopicConfig, len(entries))
	for i, e := range entries {
		out[i].Default()
		out[i].Name, out[i].Value, out[i].ReadOnly = e.Name, e.Value, e.ReadOnly
		out[i].Source, out[i].IsSensitive = int8(e.Source), e.Sensitive
	}
	return out
}
