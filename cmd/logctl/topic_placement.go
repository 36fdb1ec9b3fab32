package main

import (
	"context"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// placed parses --placement: the brokers of each partition. nil leaves the choice to the cluster.
func (t *topicCreate) placed() ([][]int32, error) {
	if len(t.placement) > 0 && (t.partitions > 0 || t.replication > 0) {
		return nil, usage("--placement says how many partitions and replicas there are, so it does not go with --partitions or --replication-factor")
	}
	var out [][]int32
	for _, list := range t.placement {
		var ids []int32
		for _, s := range strings.Split(list, ",") {
			id, err := strconv.ParseInt(strings.TrimSpace(s), 10, 32)
			if err != nil || id < 0 || slices.Contains(ids, int32(id)) {
				return nil, usage("--placement %q is not a list of different brokers, such as 1,2,3", list)
			}
			ids = append(ids, int32(id))
		}
		if len(out) > 0 && len(ids) != len(out[0]) {
			return nil, usage("--placement gives some partitions %d replicas and others %d", len(out[0]), len(ids))
		}
		out = append(out, ids)
	}
	return out, nil
}

// createPlaced creates topics whose replicas stand where the caller says.
func (t *topicCreate) createPlaced(ctx context.Context, cl *kgo.Client, placed [][]int32, configs map[string]*string, names []string) (kadm.CreateTopicResponses, error) {
	req := kmsg.NewPtrCreateTopicsRequest()
	req.ValidateOnly, req.TimeoutMillis = t.dryRun, int32(t.timeout.Milliseconds())
	for _, name := range names {
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, -1, -1
		for i, ids := range placed {
			p := kmsg.NewCreateTopicsRequestTopicReplicaAssignment()
			p.Partition, p.Replicas = int32(i), ids
			topic.ReplicaAssignment = append(topic.ReplicaAssignment, p)
		}
		for k, v := range configs {
			c := kmsg.NewCreateTopicsRequestTopicConfig()
			c.Name, c.Value = k, v
			topic.Configs = append(topic.Configs, c)
		}
		req.Topics = append(req.Topics, topic)
	}
	resp, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	answers := kadm.CreateTopicResponses{}
	for _, r := range resp.Topics {
		answers[r.Topic] = kadm.CreateTopicResponse{
			Topic: r.Topic, ID: r.TopicID, NumPartitions: r.NumPartitions, ReplicationFactor: r.ReplicationFactor,
			Err: kerr.ErrorForCode(r.ErrorCode), ErrMessage: deref(r.ErrorMessage),
		}
	}
	return answers, nil
}
