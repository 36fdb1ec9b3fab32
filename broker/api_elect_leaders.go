package broker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// ElectLeaders (key 43), versions 0–2: preferred leaders only (KIP-183). An unclean election
// (KIP-460) is refused: a replica that lacks acknowledged records never leads.
var _ = route(func(b *Broker) protocol.API { return protocol.Serve(0, 2, b.electLeaders) })

func (b *Broker) electLeaders(ctx context.Context, req *kmsg.ElectLeadersRequest, resp *kmsg.ElectLeadersResponse) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(req.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	im := b.meta.Image()
	all := req.Topics == nil
	if all {
		req.Topics = everyPartition(im)
	}
	for i := range req.Topics {
		in := &req.Topics[i]
		out := kmsg.NewElectLeadersResponseTopic()
		out.Topic = in.Topic
		for _, n := range in.Partitions {
			err := b.electPreferred(ctx, im, in.Topic, n, req.ElectionType)
			if all && errors.Is(err, kerr.ElectionNotNeeded) {
				continue // as Kafka does: of all partitions, only those that had something to elect
			}
			p := kmsg.NewElectLeadersResponseTopicPartition()
			p.Partition, p.ErrorCode, p.ErrorMessage = n, code(err), message(err)
			out.Partitions = append(out.Partitions, p)
		}
		if len(out.Partitions) > 0 {
			resp.Topics = append(resp.Topics, out)
		}
	}
	return nil
}

func everyPartition(im *cluster.Image) []kmsg.ElectLeadersRequestTopic {
	out := []kmsg.ElectLeadersRequestTopic{}
	for _, t := range im.Topics() {
		topic := kmsg.NewElectLeadersRequestTopic()
		topic.Topic = t.Name
		for i := range t.Partitions {
			topic.Partitions = append(topic.Partitions, int32(i))
		}
		out = append(out, topic)
	}
	return out
}

// electPreferred moves a partition's leadership to its preferred replica.
func (b *Broker) electPreferred(ctx context.Context, im *cluster.Image, topic string, partition int32, kind int8) error {
	t := im.Topic(topic)
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) {
		return kerr.UnknownTopicOrPartition
	}
	if kind != 0 {
		return refuse(kerr.EligibleLeadersNotAvailable, "Unclean elections lose acknowledged records and are not possible: a partition needs a majority of its replicas.")
	}
	k := replicaKey{t.ID, partition}
	to, now := t.Partitions[partition].Replicas[0], b.leaders.get(k)
	switch {
	case now.node == to:
		return kerr.ElectionNotNeeded
	case !b.nodes.alive(to) || now.node < 0:
		return kerr.PreferredLeaderNotAvailable
	case now.node == b.id:
		return b.moveLeader(ctx, k, to)
	}
	_, err := b.peers.Ask(ctx, now.node, serviceMoveLeader, binary.BigEndian.AppendUint32(appendKey(nil, k), uint32(to)))
	if err != nil {
		return refuse(kerr.PreferredLeaderNotAvailable, fmt.Sprintf("The leader, node %d, did not hand over: %v", now.node, err))
	}
	return nil
}

// moveLeader hands a partition that is led here to another replica.
func (b *Broker) moveLeader(_ context.Context, k replicaKey, to int32) error {
	x := b.replicas.get(k.topic, k.partition)
	if x == nil {
		return kerr.NotLeaderForPartition
	}
	p, err := b.replicas.open(x)
	if err != nil {
		return err
	}
	return p.TransferLeadership(to)
}

// onMoveLeader answers another node's request to hand a leadership over: [topic id][partition
// uint32][to uint32].
func (b *Broker) onMoveLeader(ctx context.Context, _ int32, payload []byte) ([]byte, error) {
	if len(payload) != keySize+4 {
		return nil, errors.New("a request to hand over a leadership has the wrong length")
	}
	return nil, b.moveLeader(ctx, parseKey(payload), int32(binary.BigEndian.Uint32(payload[keySize:])))
}
