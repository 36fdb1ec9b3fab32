package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// Fetch (key 1), versions 4–18: sessions (KIP-227), leader epochs (KIP-320), divergence
// (KIP-595), topic ids (KIP-516), isolation levels; followers serve clients in their rack (KIP-392),
// and where such a replica has moved away they are sent back to the leader.
//
// Decided in order: the session. Waited for: min bytes, max wait, an error or a change of
// leadership; then batches go from the segment to the socket.
var _ = route(func(b *Broker) protocol.API { return protocol.API{Key: 1, Min: 4, Max: 18, Handle: b.fetch} })

func (b *Broker) fetch(_ context.Context, r *protocol.Request) protocol.Answer {
	req := r.Body.(*kmsg.FetchRequest)
	resp := &protocol.FetchResponse{}
	resp.Default()
	resp.SetVersion(req.Version)
	im := b.meta.Image()
	plan, err := b.sessions.plan(req, fetchParts(im, req), forgottenParts(req))
	if err != nil {
		resp.ErrorCode = code(err)
		return protocol.Answer{Response: resp}
	}
	f := &fetching{b: b, plan: plan, drained: r.Conn.Draining(), resp: resp, readCommitted: req.IsolationLevel == 1,
		fromFollower: req.Version >= 11, rack: req.Rack, hints: leaderHints{b: b, conn: r.Conn},
		minBytes: int(req.MinBytes), maxBytes: int(min(int64(req.MaxBytes), b.settings.Int("fetch.max.bytes"))),
		byID: req.Version >= 13,
	}
	resp.SessionID = plan.sessionID()
	maxWait := time.Duration(max(req.MaxWaitMillis, 0)) * time.Millisecond
	return protocol.Answer{Response: resp, Wait: func(ctx context.Context) { f.run(ctx, maxWait) }, Release: f.release}
}

// fetchParts lists the request's own partitions.
func fetchParts(im *cluster.Image, req *kmsg.FetchRequest) []*fetchPartition {
	n := 0
	for i := range req.Topics {
		n += len(req.Topics[i].Partitions)
	}
	parts := make([]*fetchPartition, 0, n)
	block := make([]fetchPartition, n) // one allocation for all
	for i := range req.Topics {
		t := &req.Topics[i]
		name, id := t.Topic, cluster.TopicID(t.TopicID)
		if req.Version >= 13 {
			name = ""
			if topic := im.TopicByID(id); topic != nil {
				name = topic.Name
			}
		}
		for j := range t.Partitions {
			p := &t.Partitions[j]
			part := &block[len(parts)]
			*part = fetchPartition{
				topic: name, id: id, partition: p.Partition, offset: p.FetchOffset, maxBytes: p.PartitionMaxBytes,
				leaderEpoch: p.CurrentLeaderEpoch, lastEpoch: p.LastFetchedEpoch, highMark: -1, logStart: -1,
			}
			parts = append(parts, part)
		}
	}
	return parts
}

func forgottenParts(req *kmsg.FetchRequest) (keys []partitionKey) {
	for i := range req.ForgottenTopics {
		t := &req.ForgottenTopics[i]
		for _, p := range t.Partitions {
			if req.Version >= 13 {
				keys = append(keys, partitionKey{id: cluster.TopicID(t.TopicID), partition: p})
			} else {
				keys = append(keys, partitionKey{topic: t.Topic, partition: p})
			}
		}
	}
	return keys
}
