package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// DescribeQuorum (key 55), versions 0–2 (KIP-595, KIP-836, KIP-853): the metadata group, under
// the name that Kafka's tools ask for.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeRequest(0, 2, b.describeQuorum) })

const metadataTopic = "__cluster_metadata"

func (b *Broker) describeQuorum(_ context.Context, r *protocol.Request, req *kmsg.DescribeQuorumRequest, resp *kmsg.DescribeQuorumResponse) error {
	q := b.meta.Quorum()
	for i := range req.Topics {
		t := &req.Topics[i]
		out := kmsg.NewDescribeQuorumResponseTopic()
		out.Topic = t.Topic
		for _, in := range t.Partitions {
			p := kmsg.NewDescribeQuorumResponseTopicPartition()
			p.Partition, p.LeaderID = in.Partition, -1
			if t.Topic == metadataTopic && in.Partition == 0 {
				describeGroup(q, b.now().UnixMilli(), &p)
			} else {
				p.ErrorCode = kerr.UnknownTopicOrPartition.Code
			}
			out.Partitions = append(out.Partitions, p)
		}
		resp.Topics = append(resp.Topics, out)
	}
	for _, v := range q.Voters {
		n := b.meta.Image().Broker(v.ID)
		if n == nil {
			continue
		}
		node := kmsg.NewDescribeQuorumResponseNode()
		node.NodeID = v.ID
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		host, port := b.address(r.Conn, n)
		l.Name, l.Host, l.Port = "CONTROLLER", host, uint16(port)
		node.Listeners = append(node.Listeners, l)
		resp.Nodes = append(resp.Nodes, node)
	}
	return nil
}

// describeGroup fills in what this node knows; offsets are indexes of the metadata log. Of other
// voters it knows no more than that they vote.
func describeGroup(q cluster.Quorum, now int64, p *kmsg.DescribeQuorumResponseTopicPartition) {
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = q.Leader, int32(q.Term), int64(q.Committed)
	for _, v := range q.Voters {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.ReplicaDirectoryID, s.LogEndOffset = v.ID, directoryID(v.Identity), -1
		if v.ID == q.Leader {
			s.LogEndOffset, s.LastFetchTimestamp, s.LastCaughtUpTimestamp = int64(q.Last), now, now
		}
		p.CurrentVoters = append(p.CurrentVoters, s)
	}
}

// directoryID is a data directory's UUID as bytes; zero where it is none.
func directoryID(identity string) [16]byte {
	id, err := cluster.ParseTopicID(identity)
	if err != nil {
		return [16]byte{}
	}
	return id
}
