package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// AlterPartitionAssignments (key 45), versions 0–1: starts, changes or cancels moves of
// partitions (KIP-455). The leader of each partition carries it out.
var _ = route(func(b *Broker) protocol.API { return onController(b, 0, 1, b.alterPartitionAssignments) })

func (b *Broker) alterPartitionAssignments(ctx context.Context, req *kmsg.AlterPartitionAssignmentsRequest, resp *kmsg.AlterPartitionAssignmentsResponse) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(req.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	for i := range req.Topics {
		in := &req.Topics[i]
		out := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		out.Topic = in.Topic
		for j := range in.Partitions {
			p := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			_, err := b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) {
				return cluster.Reassign(im, in.Topic, in.Partitions[j].Partition, in.Partitions[j].Replicas, req.Version < 1 || req.AllowReplicationFactorChange)
			})
			p.Partition, p.ErrorCode, p.ErrorMessage = in.Partitions[j].Partition, code(err), message(err)
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}
