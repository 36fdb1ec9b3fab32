package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/protocol"
)

// DescribeProducers (key 61), version 0 (KIP-664).
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 0, b.describeProducers) })

func (b *Broker) describeProducers(ctx context.Context, req *kmsg.DescribeProducersRequest, resp *kmsg.DescribeProducersResponse) error {
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewDescribeProducersResponseTopic()
		out.Topic = t.Topic
		for _, id := range t.Partitions {
			p := kmsg.NewDescribeProducersResponseTopicPartition()
			p.Partition = id
			part, err := b.led(ctx, t.Topic, id)
			p.ErrorCode, p.ErrorMessage = code(err), message(err)
			if err == nil {
				for _, s := range part.Producers() {
					a := kmsg.NewDescribeProducersResponseTopicPartitionActiveProducer()
					a.ProducerID, a.ProducerEpoch, a.LastSequence = s.ID, int32(s.Epoch), s.LastSeq()
					a.LastTimestamp, a.CoordinatorEpoch, a.CurrentTxnStartOffset = s.LastTimestamp, s.CoordinatorEpoch, s.TxnStart
					p.ActiveProducers = append(p.ActiveProducers, a)
				}
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}
