package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"

	"quorumlog/cluster"
	"quorumlog/replication"
)

// Names of the topics that the cluster keeps for itself.
const (
	offsetsTopic      = "__consumer_offsets"
	transactionsTopic = "__transaction_state"
)

func isInternal(topic string) bool { return topic == offsetsTopic || topic == transactionsTopic }

// Authorized operations as bits of AclOperation (KIP-430). Without an authorizer a client may
// do whatever the resource supports.
const (
	topicOperations   = 1<<3 | 1<<4 | 1<<5 | 1<<6 | 1<<7 | 1<<8 | 1<<10 | 1<<11
	groupOperations   = 1<<3 | 1<<6 | 1<<8 | 1<<10 | 1<<11
	clusterOperations = 1<<5 | 1<<7 | 1<<8 | 1<<9 | 1<<10 | 1<<11 | 1<<12
)

// topicOf finds a topic by id or by name.
func topicOf(im *cluster.Image, name string, id cluster.TopicID, byID bool) (*cluster.Topic, error) {
	if byID {
		if t := im.TopicByID(id); t != nil {
			return t, nil
		}
		return nil, kerr.UnknownTopicID
	}
	if t := im.Topic(name); t != nil {
		return t, nil
	}
	return nil, kerr.UnknownTopicOrPartition
}

// replica returns this node's copy of a partition.
func (b *Broker) replica(t *cluster.Topic, partition int32) (*replica, error) {
	if partition < 0 || int(partition) >= len(t.Partitions) {
		return nil, kerr.UnknownTopicOrPartition
	}
	x := b.replicas.get(t.ID, partition)
	if x == nil {
		return nil, kerr.NotLeaderForPartition
	}
	return x, nil
}

// led returns a partition that this node leads, for a client's request.
func (b *Broker) led(ctx context.Context, topic string, partition int32) (*replication.Partition, error) {
	t := b.meta.Image().Topic(topic)
	if t == nil {
		return nil, kerr.UnknownTopicOrPartition
	}
	x, err := b.replica(t, partition)
	if err != nil {
		return nil, err
	}
	p, err := b.replicas.ready(ctx, x)
	if err != nil {
		return nil, err
	}
	if !p.State().Leading {
		return nil, kerr.NotLeaderForPartition
	}
	return p, nil
}

// leadership is what a client is told of a partition.
type leadership struct {
	leader, epoch int32 // -1 while unknown
	isr           []int32
	offline       []int32
}

func (b *Broker) leadership(im *cluster.Image, t *cluster.Topic, partition int32) leadership {
	replicas := t.Partitions[partition].Replicas
	l := leadership{leader: -1, epoch: -1, isr: replicas}
	if len(replicas) == 1 {
		l.leader = replicas[0] // nobody else can lead it
	}
	if x := b.replicas.get(t.ID, partition); x != nil {
		if p := x.partition(); p != nil {
			if s := p.State(); s.Leader >= 0 {
				l.leader, l.epoch = s.Leader, s.Epoch
			}
		}
	}
	for _, id := range replicas {
		if n := im.Broker(id); n == nil || n.Fenced {
			l.offline = append(l.offline, id)
		}
	}
	return l
}

// newTopic is a topic with the broker's defaults.
func (b *Broker) newTopic(name string) cluster.NewTopic {
	return cluster.NewTopic{
		Name: name, Partitions: -1, ReplicationFactor: -1,
		DefaultPartitions:        int32(b.settings.Int("num.partitions")),
		DefaultReplicationFactor: int16(b.settings.Int("default.replication.factor")),
	}
}

// autoCreate makes a topic that a client named, with the broker's defaults.
func (b *Broker) autoCreate(ctx context.Context, name string) (*cluster.Topic, error) {
	if isInternal(name) {
		return b.ensureInternal(ctx, name)
	}
	return b.ensure(ctx, b.newTopic(name))
}

// ensure makes a topic, or returns the one that is there.
func (b *Broker) ensure(ctx context.Context, spec cluster.NewTopic) (*cluster.Topic, error) {
	im, err := b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) {
		if im.Topic(spec.Name) != nil {
			return nil, nil
		}
		return cluster.CreateTopic(im, spec, nil)
	})
	if err != nil {
		return nil, err
	}
	if t := im.Topic(spec.Name); t != nil {
		return t, nil
	}
	return nil, kerr.UnknownTopicOrPartition
}

// change decides and commits; a dry run decides only, and returns the image as it would be.
func (b *Broker) change(ctx context.Context, dry bool, decide func(*cluster.Image) ([]cluster.Record, error)) (*cluster.Image, error) {
	if !dry {
		return b.meta.Change(ctx, decide)
	}
	im := b.meta.Image()
	records, err := decide(im)
	if err != nil {
		return nil, err
	}
	return im.Apply(records...)
}
