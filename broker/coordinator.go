package broker

import (
	"errors"
	"fmt"
	"time"

	"quorumlog/cluster"
	"quorumlog/group"
	"quorumlog/internal/shards"
	"quorumlog/protocol"
	"quorumlog/record"
	"quorumlog/replication"
)

// offsetsSpec is how the controller makes the offsets topic.
func (b *Broker) offsetsSpec() cluster.NewTopic {
	return cluster.NewTopic{
		Name:       offsetsTopic,
		Partitions: int32(b.settings.Int("offsets.topic.num.partitions")),
		// A cluster smaller than the wanted factor starts with what it has.
		ReplicationFactor: int16(min(b.settings.Int("offsets.topic.replication.factor"), b.liveBrokers())),
		Configs: map[string]string{
			"cleanup.policy":   "compact",
			"compression.type": "producer",
			"segment.bytes":    fmt.Sprint(b.settings.Int("offsets.topic.segment.bytes")),
		},
	}
}

func (b *Broker) liveBrokers() (n int64) {
	for _, x := range b.meta.Image().Brokers() {
		if !x.Fenced {
			n++
		}
	}
	return max(n, 1)
}

// newGroups returns the group coordinator with this broker's settings.
func (b *Broker) newGroups() *group.Coordinator {
	ms := func(name string) time.Duration { return time.Duration(b.settings.Int(name)) * time.Millisecond }
	delay := ms("group.initial.rebalance.delay.ms")
	if delay == 0 {
		delay = -1 // none; 0 would be the default
	}
	return group.New(group.Options{
		Topics: groupTopics{b}, Logger: b.log.With("part", "groups"),
		InitialRebalanceDelay: delay,
		MinSessionTimeout:     ms("group.min.session.timeout.ms"),
		MaxSessionTimeout:     ms("group.max.session.timeout.ms"),
		MaxSize:               int(b.settings.Int("group.max.size")),
		MaxOffsetMetadata:     int(b.settings.Int("offset.metadata.max.bytes")),
		OffsetsRetention:      time.Duration(b.settings.Int("offsets.retention.minutes")) * time.Minute,
		RetentionCheck:        ms("offsets.retention.check.interval.ms"),
		CommitTimeout:         ms("offsets.commit.timeout.ms"),
	})
}

// groupTopics answers the coordinator's questions from the metadata.
type groupTopics struct{ b *Broker }

func (g groupTopics) Topic(name string) (group.TopicID, int32, bool) {
	if t := g.b.meta.Image().Topic(name); t != nil {
		return group.TopicID(t.ID), int32(len(t.Partitions)), true
	}
	return group.TopicID{}, 0, false
}

func (g groupTopics) TopicByID(id group.TopicID) (string, int32, bool) {
	if t := g.b.meta.Image().TopicByID(cluster.TopicID(id)); t != nil {
		return t.Name, int32(len(t.Partitions)), true
	}
	return "", 0, false
}

func (g groupTopics) OffsetsPartitions() int32 {
	if t := g.b.meta.Image().Topic(offsetsTopic); t != nil {
		return int32(len(t.Partitions))
	}
	return int32(g.b.settings.Int("offsets.topic.num.partitions"))
}

// onRole hands the partitions of the coordinators' topics that this node leads to them. It is
// called in order for each partition.
func (b *Broker) onRole(x *replica, p *replication.Partition, s replication.State) {
	b.noteLeader(x, p, s)
	if s.Leading {
		b.elections.Add(1)
	}
	switch {
	case x.topic == offsetsTopic && s.Leading:
		b.groups.Lead(x.key.partition, s.Epoch, shardLog{p})
	case x.topic == offsetsTopic:
		b.groups.Resign(x.key.partition)
	case x.topic == transactionsTopic && s.Leading:
		b.txns.Lead(x.key.partition, s.Epoch, shardLog{p})
	case x.topic == transactionsTopic:
		b.txns.Resign(x.key.partition)
	}
}

// shardLog is a partition of a coordinator's topic as the coordinator sees it.
type shardLog struct{ p *replication.Partition }

func (l shardLog) Append(r record.Batch) shards.Pending { return shardAppend{l.p.Append(r)} }

func (l shardLog) Replay(from int64, yield func(record.Batch) bool) error {
	return l.p.Batches(max(from, l.p.StartOffset()), l.p.HighWatermark(), yield)
}

// shardAppend is an append whose errors a coordinator knows by its own names.
type shardAppend struct{ *replication.Append }

func (a shardAppend) Err() error {
	_, err := a.Result()
	switch {
	case errors.Is(err, replication.ErrNotLeader), errors.Is(err, replication.ErrStorage):
		return fmt.Errorf("%w: %w", shards.ErrNotLeader, err)
	case errors.Is(err, record.ErrTooLarge):
		return fmt.Errorf("%w: %w", shards.ErrTooLarge, err)
	}
	return err
}

func (a shardAppend) Offset() int64 {
	r, _ := a.Result()
	return r.BaseOffset
}

// clientOf names the client of a request as DescribeGroups shows it.
func clientOf(r *protocol.Request) group.ClientInfo {
	c := group.ClientInfo{Host: "/" + addrOf(r.Conn.RemoteAddr()).String()}
	if r.ClientID != nil {
		c.ID = *r.ClientID
	}
	return c
}
