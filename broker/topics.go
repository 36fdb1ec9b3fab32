package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// inSync is the number of replicas that a partition led here finds in sync.
func (b *Broker) inSync(x *replica) int {
	if l := b.leaders.get(x.key); l.isr != nil {
		return len(l.isr)
	}
	return len(x.placement().Replicas)
}

// nearer is the in-sync replica in a client's rack that should serve it instead of this node, -1
// for none (KIP-392).
func (b *Broker) nearer(t *cluster.Topic, partition int32, rack string) int32 {
	im := b.meta.Image()
	if me := im.Broker(b.id); rack == "" || me == nil || me.Rack == rack {
		return -1
	}
	l := b.leadership(im, t, partition)
	for _, id := range l.isr {
		if n := im.Broker(id); n != nil && n.Rack == rack && !n.Fenced && id != b.id {
			return id
		}
	}
	return -1
}

// elsewhere is the leader of a partition that this node has no replica of, -1 while it is unknown.
// A client that was sent here to read from a replica, which has moved away since, is sent back:
// an error would have some clients ask here again for ever.
func (b *Broker) elsewhere(t *cluster.Topic, partition int32) int32 {
	if l := b.leaders.get(replicaKey{t.ID, partition}); l.node != b.id && l.node >= 0 && b.nodes.alive(l.node) {
		return l.node
	}
	return -1
}

func (b *Broker) leadership(im *cluster.Image, t *cluster.Topic, partition int32) leadership {
	replicas := t.Partitions[partition].Replicas
	known := b.leaders.get(replicaKey{t.ID, partition})
	l := leadership{leader: known.node, epoch: known.epoch, isr: known.isr}
	if len(replicas) == 1 {
		l.leader = replicas[0] // nobody else can lead it
	}
	if l.isr == nil {
		l.isr = replicas
	}
	if l.leader >= 0 && !b.nodes.alive(l.leader) {
		l.leader = -1 // its successor is being elected
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

// autoCreate returns a topic that a client or the cluster itself needs; where it is not there
// yet the controller makes it, with its defaults.
func (b *Broker) autoCreate(ctx context.Context, name string) (*cluster.Topic, error) {
	if t := b.meta.Image().Topic(name); t != nil {
		return t, nil
	}
	req := kmsg.NewPtrMetadataRequest()
	req.SetVersion(4)
	topic := kmsg.NewMetadataRequestTopic()
	topic.Topic = &name
	req.Topics, req.AllowAutoTopicCreation = append(req.Topics, topic), true
	resp := req.ResponseKind().(*kmsg.MetadataResponse)
	if err := b.decide(ctx, req, resp); err != nil {
		return nil, err
	}
	for i := range resp.Topics {
		if err := kerr.ErrorForCode(resp.Topics[i].ErrorCode); err != nil {
			return nil, err
		}
	}
	if t := b.meta.Image().Topic(name); t != nil {
		return t, nil
	}
	return nil, kerr.UnknownTopicOrPartition
}

// createMissingTopics is the controller's side of autoCreate. The answer holds no more than codes.
func (b *Broker) createMissingTopics(ctx context.Context, req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) error {
	for i := range req.Topics {
		out := kmsg.NewMetadataResponseTopic()
		out.Topic = req.Topics[i].Topic
		out.ErrorCode = code(b.createMissing(ctx, *out.Topic))
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}

func (b *Broker) createMissing(ctx context.Context, name string) error {
	spec := b.newTopic(name)
	switch name {
	case offsetsTopic:
		spec = b.offsetsSpec()
	case transactionsTopic:
		spec = b.transactionsSpec()
	}
	_, err := b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) {
		if im.Topic(name) != nil {
			return nil, nil
		}
		return cluster.CreateTopic(im, spec, nil)
	})
	return err
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
