package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/log"
	"quorumlog/protocol"
)

// ListOffsets (key 2), versions 1–11. There is no tiered storage: earliest local (-4, KIP-405)
// is the log start, latest tiered (-5, KIP-1005) and earliest pending upload (-6, KIP-1023) are
// unknown.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(1, 11, b.listOffsets) })

// Timestamps of a ListOffsets request that are questions of their own.
const (
	latest                = -1
	earliest              = -2
	maxTimestamp          = -3 // v7
	earliestLocal         = -4 // v8
	latestTiered          = -5 // v9
	earliestPendingUpload = -6 // v11
)

func (b *Broker) listOffsets(ctx context.Context, req *kmsg.ListOffsetsRequest, resp *kmsg.ListOffsetsResponse) error {
	seen := map[partitionKey]bool{}
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewListOffsetsResponseTopic()
		out.Topic = t.Topic
		for j := range t.Partitions {
			in := &t.Partitions[j]
			p := kmsg.NewListOffsetsResponseTopicPartition()
			p.Partition = in.Partition
			k := partitionKey{topic: t.Topic, partition: in.Partition}
			err := error(kerr.InvalidRequest) // a partition asked for twice
			if !seen[k] {
				err = b.listOffset(ctx, req, t.Topic, in, &p)
			}
			seen[k] = true
			p.ErrorCode = code(err)
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}

func (b *Broker) listOffset(ctx context.Context, req *kmsg.ListOffsetsRequest, topic string, in *kmsg.ListOffsetsRequestTopicPartition, out *kmsg.ListOffsetsResponseTopicPartition) error {
	p, err := b.led(ctx, topic, in.Partition)
	if err != nil {
		return err
	}
	if err := checkEpoch(p.State(), in.CurrentLeaderEpoch); err != nil {
		return err
	}
	limit := p.HighWatermark
	if req.IsolationLevel == 1 {
		limit = p.LastStableOffset
	}
	var found log.TimestampOffset
	switch in.Timestamp {
	case latest:
		found = log.TimestampOffset{Offset: limit(), Timestamp: -1, Epoch: p.State().Epoch}
	case earliest, earliestLocal:
		start := p.StartOffset()
		found = log.TimestampOffset{Offset: start, Timestamp: -1, Epoch: p.EpochAt(start)}
	case maxTimestamp:
		found, err = p.MaxTimestamp()
		found = below(found, limit())
	case latestTiered, earliestPendingUpload:
		found = log.TimestampOffset{Offset: -1, Timestamp: -1, Epoch: -1}
	default:
		if in.Timestamp < 0 {
			return kerr.UnsupportedVersion
		}
		found, err = p.OffsetForTimestamp(in.Timestamp)
		found = below(found, limit())
	}
	if err != nil {
		return err
	}
	out.Offset, out.Timestamp, out.LeaderEpoch = found.Offset, found.Timestamp, found.Epoch
	return nil
}

// below keeps a record that the client may read. One beyond the limit answers the question, but not
// yet: another that is not the first, or the newest, must not take its place.
func below(found log.TimestampOffset, limit int64) log.TimestampOffset {
	if found.Offset >= limit {
		return log.TimestampOffset{Offset: -1, Timestamp: -1, Epoch: -1}
	}
	return found
}
