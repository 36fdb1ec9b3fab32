package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// OffsetForLeaderEpoch (key 23), versions 2–4 (KIP-101, KIP-279, KIP-320). An epoch that the
// log does not know is answered with -1, -1.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(2, 4, b.offsetForLeaderEpoch) })

func (b *Broker) offsetForLeaderEpoch(ctx context.Context, req *kmsg.OffsetForLeaderEpochRequest, resp *kmsg.OffsetForLeaderEpochResponse) error {
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewOffsetForLeaderEpochResponseTopic()
		out.Topic = t.Topic
		for j := range t.Partitions {
			in := &t.Partitions[j]
			p := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
			p.Partition = in.Partition
			part, err := b.led(ctx, t.Topic, in.Partition)
			if err == nil {
				err = checkEpoch(part.State(), in.CurrentLeaderEpoch)
			}
			if err == nil {
				p.LeaderEpoch, p.EndOffset = part.EpochEnd(in.LeaderEpoch)
			}
			p.ErrorCode = code(err)
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}
