package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// DescribeQuorum (key 55), versions 0–2 (KIP-595, KIP-836, KIP-853): the metadata group, under
// the name that Kafka's tools ask for. The leader answers, whoever is asked, since it alone knows
// how far the others are; without one the node answers with what it knows itself. A voter's
// listener CONTROLLER is where the nodes reach it, which is no port for clients.
var _ = route(func(b *Broker) protocol.API {
	decidedByController(b, b.quorum)
	return protocol.Serve(0, 2, b.describeQuorum)
})

const metadataTopic = "__cluster_metadata"

// controllerListener is what Kafka's tools call the listener of the metadata group.
const controllerListener = "CONTROLLER"

// quorumTimeout bounds the wait for the leader's answer.
const quorumTimeout = time.Second

func (b *Broker) describeQuorum(ctx context.Context, req *kmsg.DescribeQuorumRequest, resp *kmsg.DescribeQuorumResponse) error {
	if leader, _ := b.meta.Leader(); leader >= 0 && leader != b.id {
		limited, cancel := context.WithTimeout(ctx, quorumTimeout)
		defer cancel()
		err := b.forward(limited, leader, req, resp)
		if err == nil {
			return nil
		}
		b.log.Debug("the leader of the metadata does not describe its quorum", "leader", leader, "err", err)
	}
	return b.quorum(ctx, req, resp)
}

func (b *Broker) quorum(_ context.Context, req *kmsg.DescribeQuorumRequest, resp *kmsg.DescribeQuorumResponse) error {
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
		host, port, err := splitAddress(b.resolve(v.ID))
		if err != nil {
			continue // the address is not known
		}
		node := kmsg.NewDescribeQuorumResponseNode()
		node.NodeID = v.ID
		l := kmsg.NewDescribeQuorumResponseNodeListener()
		l.Name, l.Host, l.Port = controllerListener, host, port
		node.Listeners = append(node.Listeners, l)
		resp.Nodes = append(resp.Nodes, node)
	}
	return nil
}

// describeGroup fills in what this node knows; offsets are indexes of the metadata log. Of the
// others only a leader knows more than their names.
func describeGroup(q cluster.Quorum, now int64, p *kmsg.DescribeQuorumResponseTopicPartition) {
	p.LeaderID, p.LeaderEpoch, p.HighWatermark = q.Leader, int32(q.Term), int64(q.Committed)
	member := func(v cluster.Voter) kmsg.DescribeQuorumResponseTopicPartitionReplicaState {
		s := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		s.ReplicaID, s.ReplicaDirectoryID, s.LogEndOffset = v.ID, directoryID(v.Identity), -1
		if v.ID == q.Leader && q.Followers != nil {
			s.LogEndOffset, s.LastFetchTimestamp, s.LastCaughtUpTimestamp = int64(q.Last), now, now
		}
		if f, ok := q.Followers[v.ID]; ok {
			s.LastFetchTimestamp, s.LastCaughtUpTimestamp = millis(f.LastContact), millis(f.CaughtUp)
			if f.Match > 0 {
				s.LogEndOffset = int64(f.Match)
			}
		}
		return s
	}
	for _, v := range q.Voters {
		p.CurrentVoters = append(p.CurrentVoters, member(v))
	}
	for _, v := range q.Observers {
		p.Observers = append(p.Observers, member(v))
	}
}

// millis is a time as the protocol has it, -1 for none.
func millis(t time.Time) int64 {
	if t.IsZero() {
		return -1
	}
	return t.UnixMilli()
}

// directoryID is a data directory's UUID as bytes; zero where it is none.
func directoryID(identity string) [16]byte {
	id, err := cluster.ParseTopicID(identity)
	if err != nil {
		return [16]byte{}
	}
	return id
}
