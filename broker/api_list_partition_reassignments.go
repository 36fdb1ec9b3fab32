package broker

import (
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// ListPartitionReassignments (key 46), version 0 (KIP-455).
var _ = route(func(b *Broker) protocol.API { return onController(b, 0, 0, b.listPartitionReassignments) })

func (b *Broker) listPartitionReassignments(_ context.Context, req *kmsg.ListPartitionReassignmentsRequest, resp *kmsg.ListPartitionReassignmentsResponse) error {
	for _, t := range b.meta.Image().Topics() {
		asked := func(int32) bool { return true }
		if req.Topics != nil {
			i := slices.IndexFunc(req.Topics, func(q kmsg.ListPartitionReassignmentsRequestTopic) bool { return q.Topic == t.Name })
			if i < 0 {
				continue
			}
			asked = func(p int32) bool { return slices.Contains(req.Topics[i].Partitions, p) }
		}
		if out := moving(t, asked); len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
	return nil
}

// moving are the partitions of a topic that are on the move.
func moving(t *cluster.Topic, asked func(int32) bool) kmsg.ListPartitionReassignmentsResponseTopic {
	out := kmsg.NewListPartitionReassignmentsResponseTopic()
	out.Topic = t.Name
	for i, p := range t.Partitions {
		if !asked(int32(i)) || len(p.Adding) == 0 && len(p.Removing) == 0 {
			continue
		}
		m := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		m.Partition, m.Replicas = int32(i), p.Replicas
		m.AddingReplicas, m.RemovingReplicas = p.Adding, p.Removing
		out.Partitions = append(out.Partitions, m)
	}
	return out
}
