package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
	"quorumlog/protocol"
)

// DeleteTopics (key 20), versions 1–6; by id from v6 on (KIP-516).
var _ = route(func(b *Broker) protocol.API { return onController(b, 1, 6, b.deleteTopics) })

func (b *Broker) deleteTopics(ctx context.Context, req *kmsg.DeleteTopicsRequest, resp *kmsg.DeleteTopicsResponse) error {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(max(req.TimeoutMillis, 0))*time.Millisecond)
	defer cancel()
	asked := req.Topics
	for _, name := range req.TopicNames {
		t := kmsg.NewDeleteTopicsRequestTopic()
		t.Topic = &name
		asked = append(asked, t)
	}
	for i := range asked {
		out := kmsg.NewDeleteTopicsResponseTopic()
		out.Topic, out.TopicID = asked[i].Topic, asked[i].TopicID
		name, id, err := b.deleteTopic(ctx, &asked[i], req.Version)
		if name != "" {
			out.Topic, out.TopicID = &name, id
		}
		out.ErrorCode, out.ErrorMessage = code(err), message(err)
		resp.Topics = append(resp.Topics, out)
	}
	return nil
}

func (b *Broker) deleteTopic(ctx context.Context, asked *kmsg.DeleteTopicsRequestTopic, version int16) (string, cluster.TopicID, error) {
	byID := asked.TopicID != [16]byte{}
	switch {
	case byID && asked.Topic != nil, !byID && asked.Topic == nil:
		return "", cluster.TopicID{}, refuse(kerr.InvalidRequest, "A topic is named either by its name or by its id.")
	case !b.settings.Bool("delete.topic.enable"):
		if version < 3 {
			return "", cluster.TopicID{}, kerr.InvalidRequest
		}
		return "", cluster.TopicID{}, kerr.TopicDeletionDisabled
	}
	name := ""
	if asked.Topic != nil {
		name = *asked.Topic
	}
	t, err := topicOf(b.meta.Image(), name, cluster.TopicID(asked.TopicID), byID)
	if err != nil {
		return "", cluster.TopicID{}, err
	}
	_, err = b.meta.Change(ctx, func(im *cluster.Image) ([]cluster.Record, error) { return cluster.DeleteTopicByID(im, t.ID) })
	return t.Name, t.ID, err
}
