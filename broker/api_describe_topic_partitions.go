package broker

import (
	"cmp"
	"context"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// DescribeTopicPartitions (key 75), version 0 (KIP-966): Metadata in pages. Topics come sorted
// by name; the cursor is the first partition of the next page.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 0, b.describeTopicPartitions) })

// maxPartitionsPage is the largest page (max.request.partition.size.limit in Kafka).
const maxPartitionsPage = 2000

func (b *Broker) describeTopicPartitions(_ context.Context, req *kmsg.DescribeTopicPartitionsRequest, resp *kmsg.DescribeTopicPartitionsResponse) error {
	im := b.meta.Image()
	names := describedNames(im, req)
	room := maxPartitionsPage
	if n := int(req.ResponsePartitionLimit); n > 0 {
		room = min(room, n)
	}
	first := int32(0)
	if c := req.Cursor; c != nil {
		names = slices.DeleteFunc(names, func(n string) bool { return n < c.Topic })
		if len(names) > 0 && names[0] == c.Topic {
			first = max(c.Partition, 0)
		}
	}
	for _, name := range names {
		out := kmsg.NewDescribeTopicPartitionsResponseTopic()
		out.Topic, out.IsInternal = &name, isInternal(name)
		t := im.Topic(name)
		if t == nil {
			out.ErrorCode = kerr.UnknownTopicOrPartition.Code
			if cluster.ValidateTopicName(name) != nil {
				out.ErrorCode = kerr.InvalidTopicException.Code
			}
			resp.Topics = append(resp.Topics, out)
			continue
		}
		out.TopicID, out.AuthorizedOperations = t.ID, topicOperations
		next := b.describePage(im, t, first, room, &out)
		first = 0
		room -= len(out.Partitions)
		if len(out.Partitions) > 0 || next < 0 {
			resp.Topics = append(resp.Topics, out)
		}
		if next >= 0 {
			resp.NextCursor = &kmsg.DescribeTopicPartitionsResponseNextCursor{Topic: name, Partition: next}
			break
		}
	}
	return nil
}

func describedNames(im *cluster.Image, req *kmsg.DescribeTopicPartitionsRequest) []string {
	var names []string
	if len(req.Topics) == 0 {
		for _, t := range im.Topics() {
			names = append(names, t.Name)
		}
		return names
	}
	for i := range req.Topics {
		names = append(names, req.Topics[i].Topic)
	}
	slices.SortFunc(names, cmp.Compare[string])
	return slices.Compact(names)
}

// describePage adds at most room partitions from first on, and returns the one that did not
// fit, or -1.
func (b *Broker) describePage(im *cluster.Image, t *cluster.Topic, first int32, room int, out *kmsg.DescribeTopicPartitionsResponseTopic) int32 {
	for i := first; int(i) < len(t.Partitions); i++ {
		if len(out.Partitions) == room {
			return i
		}
		p := kmsg.NewDescribeTopicPartitionsResponseTopicPartition()
		l := b.leadership(im, t, i)
		if l.leader < 0 {
			p.ErrorCode = kerr.LeaderNotAvailable.Code
		}
		p.Partition, p.LeaderID, p.LeaderEpoch = i, l.leader, l.epoch
		p.Replicas, p.ISR, p.OfflineReplicas = t.Partitions[i].Replicas, l.isr, l.offline
		// Raft needs neither; the Java client fails on null.
		p.EligibleLeaderReplicas, p.LastKnownELR = []int32{}, []int32{}
		out.Partitions = append(out.Partitions, p)
	}
	return -1
}
