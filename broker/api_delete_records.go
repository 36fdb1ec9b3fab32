package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/broker/config"
	"quorumlog/protocol"
)

// DeleteRecords (key 21), versions 0–2 (KIP-107): the log start offset moves forward, by a
// replicated instruction; the segments below it go with the next retention round.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 2, b.deleteRecords) })

func (b *Broker) deleteRecords(ctx context.Context, req *kmsg.DeleteRecordsRequest, resp *kmsg.DeleteRecordsResponse) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(req.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewDeleteRecordsResponseTopic()
		out.Topic = t.Topic
		for _, in := range t.Partitions {
			p := kmsg.NewDeleteRecordsResponseTopicPartition()
			p.Partition, p.LowWatermark = in.Partition, -1
			low, err := b.deleteBefore(ctx, t.Topic, in.Partition, in.Offset)
			if err == nil {
				p.LowWatermark = low
			}
			p.ErrorCode = code(err)
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}

func (b *Broker) deleteBefore(ctx context.Context, topic string, partition int32, offset int64) (low int64, err error) {
	if isInternal(topic) {
		return -1, kerr.InvalidTopicException
	}
	x, err := b.led(ctx, topic, partition)
	if err != nil {
		return -1, err
	}
	if t := b.meta.Image().Topic(topic); t != nil {
		// Deleting by hand would break a topic that is only compacted (KIP-107).
		if c := b.settings.Topic(t.Configs); c.Cleanup == config.CleanupCompact {
			return -1, kerr.PolicyViolation
		}
	}
	if offset < -1 {
		return -1, kerr.OffsetOutOfRange
	}
	return x.DeleteRecords(ctx, offset)
}
