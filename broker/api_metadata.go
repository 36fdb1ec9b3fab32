package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// Metadata (key 3), versions 0–13. Topics are made on first use where
// auto.create.topics.enable and the request allow it.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeRequest(0, 13, b.metadata) })

func (b *Broker) metadata(ctx context.Context, r *protocol.Request, req *kmsg.MetadataRequest, resp *kmsg.MetadataResponse) error {
	topics := b.askedTopics(ctx, req)
	im := b.meta.Image()
	id := im.ClusterID()
	resp.ClusterID = &id
	resp.ControllerID = b.controllerFor(im)
	for _, n := range im.Brokers() {
		if n.Fenced {
			continue
		}
		out := kmsg.NewMetadataResponseBroker()
		out.NodeID, out.Rack = n.ID, rackOf(n)
		out.Host, out.Port = b.address(r.Conn, n)
		resp.Brokers = append(resp.Brokers, out)
	}
	if req.IncludeClusterAuthorizedOperations {
		resp.AuthorizedOperations = clusterOperations
	}
	for _, t := range topics {
		resp.Topics = append(resp.Topics, b.topicMetadata(im, t, req.IncludeTopicAuthorizedOperations))
	}
	return nil
}

// askedTopic is a topic of a Metadata request: found, or with the error to answer.
type askedTopic struct {
	topic *cluster.Topic
	name  *string
	id    cluster.TopicID
	err   error
}

// askedTopics finds the topics that a request is about: v0 takes an empty list for all, later
// versions null; it makes those that do not exist.
func (b *Broker) askedTopics(ctx context.Context, req *kmsg.MetadataRequest) []askedTopic {
	im := b.meta.Image()
	if req.Topics == nil || req.Version == 0 && len(req.Topics) == 0 {
		all := im.Topics()
		out := make([]askedTopic, len(all))
		for i, t := range all {
			out[i].topic = t
		}
		return out
	}
	out := make([]askedTopic, 0, len(req.Topics))
	seen := map[string]bool{}
	for i := range req.Topics {
		a := askedTopic{name: req.Topics[i].Topic, id: cluster.TopicID(req.Topics[i].TopicID)}
		if a.name == nil {
			a.topic, a.err = topicOf(im, "", a.id, true)
			out = append(out, a)
			continue
		}
		if seen[*a.name] {
			continue
		}
		seen[*a.name] = true
		a.topic = im.Topic(*a.name)
		if a.topic == nil {
			a.topic, a.err = b.missingTopic(ctx, *a.name, req.Version < 4 || req.AllowAutoTopicCreation)
		}
		out = append(out, a)
	}
	return out
}

func (b *Broker) missingTopic(ctx context.Context, name string, allowed bool) (*cluster.Topic, error) {
	if err := cluster.ValidateTopicName(name); err != nil {
		return nil, err
	}
	if !allowed || !b.settings.Bool("auto.create.topics.enable") {
		return nil, kerr.UnknownTopicOrPartition
	}
	return b.autoCreate(ctx, name)
}

func (b *Broker) topicMetadata(im *cluster.Image, a askedTopic, operations bool) kmsg.MetadataResponseTopic {
	out := kmsg.NewMetadataResponseTopic()
	if a.topic == nil {
		out.ErrorCode, out.Topic, out.TopicID = code(a.err), a.name, a.id
		if a.name != nil {
			out.IsInternal = isInternal(*a.name)
		}
		return out
	}
	name := a.topic.Name
	out.Topic, out.TopicID, out.IsInternal = &name, a.topic.ID, isInternal(name)
	if operations {
		out.AuthorizedOperations = topicOperations
	}
	out.Partitions = make([]kmsg.MetadataResponseTopicPartition, len(a.topic.Partitions))
	for i := range a.topic.Partitions {
		p := &out.Partitions[i]
		p.Default()
		l := b.leadership(im, a.topic, int32(i))
		if l.leader < 0 {
			p.ErrorCode = kerr.LeaderNotAvailable.Code
		}
		p.Partition, p.Leader, p.LeaderEpoch = int32(i), l.leader, l.epoch
		p.Replicas, p.ISR, p.OfflineReplicas = a.topic.Partitions[i].Replicas, l.isr, l.offline
	}
	return out
}

func rackOf(n *cluster.Broker) *string {
	if n.Rack == "" {
		return nil
	}
	return &n.Rack
}
