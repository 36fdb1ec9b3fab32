package broker

import (
	"context"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/replication"
)

// members are the replicas that a partition is to have, on the data directories that their
// brokers have now; nil while one of them is not registered.
func members(im *cluster.Image, p cluster.Partition) []replication.Member {
	var out []replication.Member
	for _, id := range p.Target() {
		n := im.Broker(id)
		if n == nil {
			return nil
		}
		out = append(out, replication.Member{Node: id, Identity: n.Identity})
	}
	return out
}

// align tells a replica which members its group should have; its leader brings them about.
func (b *Broker) align(x *replica) {
	p := x.partition()
	if p == nil {
		return
	}
	if target := members(b.meta.Image(), x.placement()); len(target) > 0 {
		if err := p.Reconcile(target); err != nil {
			b.log.Error("a partition cannot have these members", "topic", x.topic, "partition", x.key.partition, "members", target, "err", err)
		}
	}
}

// onMembership follows the members of a partition that is led here: all nodes are told who is in
// sync, and when a move has arrived the controller is.
func (b *Broker) onMembership(x *replica, m replication.Membership) {
	b.tellInSync(x)
	if m.Done && x.placement().Moving() {
		select {
		case b.arrived <- x:
		default: // the next round finds it
		}
	}
}

// movesInterval is how often arrived moves are looked for that nobody heard of.
const movesInterval = time.Second

// movesLoop tells the controller of moves that have arrived.
func (b *Broker) movesLoop() {
	for {
		select {
		case x := <-b.arrived:
			b.finishMove(x)
		case <-b.ctx.Done():
			return
		}
	}
}

// findMoves looks for moves that have arrived and that nobody heard of.
func (b *Broker) findMoves() {
	for _, x := range b.replicas.list() {
		if !x.placement().Moving() {
			continue
		}
		select {
		case b.arrived <- x:
		case <-b.ctx.Done():
			return
		}
	}
}

// arrivedAt reports whether the group has just the wanted members, all of them with a vote.
func arrivedAt(target []replication.Member, m replication.Membership) bool {
	for _, have := range m.Members {
		if !have.Voter || !slices.Contains(target, have.Member) {
			return false
		}
	}
	return len(target) > 0 && len(m.Members) == len(target)
}

func (b *Broker) finishMove(x *replica) {
	placed, p := x.placement(), x.partition()
	if p == nil || !placed.Moving() || !p.State().Leading || !arrivedAt(members(b.meta.Image(), placed), p.Membership()) {
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, forwardTimeout)
	defer cancel()
	req := kmsg.NewPtrAlterPartitionRequest()
	req.SetVersion(2)
	req.BrokerID = b.id
	topic := kmsg.NewAlterPartitionRequestTopic()
	topic.TopicID = x.key.topic
	part := kmsg.NewAlterPartitionRequestTopicPartition()
	part.Partition, part.LeaderEpoch, part.PartitionEpoch = x.key.partition, p.State().Epoch, placed.Epoch
	part.NewISR = placed.Target()
	topic.Partitions = append(topic.Partitions, part)
	req.Topics = append(req.Topics, topic)
	resp := req.ResponseKind().(*kmsg.AlterPartitionResponse)
	err := b.decide(ctx, req, resp)
	if err == nil {
		err = kerr.ErrorForCode(resp.ErrorCode)
	}
	if err != nil {
		b.log.Debug("the controller was not told that a move has arrived", "topic", x.topic, "partition", x.key.partition, "err", err)
		return
	}
	b.log.Info("partition moved", "topic", x.topic, "partition", x.key.partition, "replicas", placed.Target())
}

// alterPartition is the controller's side, in Kafka's request between brokers (KIP-497): the
// leader says that all wanted replicas are members.
func (b *Broker) alterPartition(ctx context.Context, req *kmsg.AlterPartitionRequest, resp *kmsg.AlterPartitionResponse) error {
	for i := range req.Topics {
		for _, p := range req.Topics[i].Partitions {
			_, err := b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) {
				return cluster.CompleteReassignment(im, cluster.TopicID(req.Topics[i].TopicID), p.Partition, p.PartitionEpoch)
			})
			if err != nil {
				resp.ErrorCode = code(err)
			}
		}
	}
	return nil
}
