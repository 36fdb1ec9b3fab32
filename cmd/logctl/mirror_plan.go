package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// plan finds what is to be copied, and makes the topics that the target lacks.
func (m *mirror) plan(ctx context.Context, source, target *kadm.Client, from, to *kgo.Client, names []string, cluster string) error {
	topics, err := m.source.topics(ctx, source, names, false)
	if err != nil {
		return err
	}
	ends, err := (&consume{app: m.source}).readable(ctx, source, topics)
	if err != nil {
		return err
	}
	there, err := m.targetTopics(ctx, target, from, to, topics)
	if err != nil {
		return err
	}
	bounds, err := m.target.bounds(ctx, target, there, false)
	if err != nil {
		return err
	}
	saved, err := m.target.offsets(ctx, target, m.positionsGroup(cluster))
	if err != nil {
		return err
	}
	m.copies = map[partitionID]*partitionCopy{}
	for _, t := range topics {
		for _, p := range t.Partitions.Sorted() {
			id := partitionID{t.Topic, p.Partition}
			b := ends[t.Topic][p.Partition]
			if b.err != nil {
				return refused("%s cannot be read on %s: %s", id, m.source.at(), reason(b.err, ""))
			}
			c := &partitionCopy{id: id, target: m.prefix + t.Topic, stop: b.end}
			at, known := bounds[c.target][p.Partition] // not, where a dry run has made no topic
			if known && at.err != nil {
				return refused("%s-%d cannot be written on %s: %s", c.target, p.Partition, m.target.at(), reason(at.err, ""))
			}
			o, _ := saved.Lookup(c.target, p.Partition)
			if err := m.begin(c, b, at, o, cluster); err != nil {
				return err
			}
			m.copies[id] = c
		}
	}
	return nil
}

// savedPosition is the metadata of what positionSaver commits.
type savedPosition struct {
	Source int64 `json:"source"` // everything before is at the target, before the committed offset
}

// begin finds where copying a partition goes on: where the last run was, less what it had written
// but not yet saved.
func (m *mirror) begin(c *partitionCopy, source, target bounds, saved kadm.OffsetResponse, cluster string) error {
	var p savedPosition
	known := saved.Err == nil && saved.At >= 0 && saved.Metadata != "" && json.Unmarshal([]byte(saved.Metadata), &p) == nil
	switch {
	case known && target.end < saved.At:
		return refused("%s-%d on %s ends at %d, though records up to %d were copied there before; delete that topic and the group that counts, and begin anew: logctl -b %s group delete %s --yes",
			c.target, c.id.partition, m.target.at(), target.end, saved.At, m.target.at(), m.positionsGroup(cluster))
	case known:
		c.next, c.present = p.Source, target.end-saved.At
		c.beginSrc, c.beginDst = p.Source, saved.At
	case target.end > target.start && !m.appending:
		return refused("%s-%d on %s holds records that were not copied by this; add --append to copy behind them, --prefix to copy elsewhere, or delete that topic",
			c.target, c.id.partition, m.target.at())
	default:
		c.next = source.start
		c.beginSrc, c.beginDst = source.start, target.end
	}
	if c.next < source.start { // retention was faster; of what the target has, as much is gone as can be
		c.present = max(0, c.present-(source.start-c.next))
		m.note("%s has lost its records %d to %d before they could be copied.", c.id, c.next, source.start-1)
		c.next = source.start
	}
	c.start, c.srcNext, c.dstNext = c.next, c.next, c.beginDst
	return nil
}

// targetTopics returns the topics to write to, after making those that are not there.
func (m *mirror) targetTopics(ctx context.Context, target *kadm.Client, from, to *kgo.Client, topics []kadm.TopicDetail) ([]kadm.TopicDetail, error) {
	all, err := target.ListTopics(ctx)
	if err != nil {
		return nil, m.target.explain(err, "list topics")
	}
	brokers, err := target.ListBrokers(ctx)
	if err != nil {
		return nil, m.target.explain(err, "list brokers")
	}
	var made []string
	for _, t := range topics {
		name := m.prefix + t.Topic
		if there, ok := all[name]; ok {
			if len(there.Partitions) < len(t.Partitions) {
				return nil, refused("topic %s has %d partitions on %s and %d on %s; add some with logctl -b %s topic add-partitions %s --total %d",
					name, len(there.Partitions), m.target.at(), len(t.Partitions), m.source.at(), m.target.at(), name, len(t.Partitions))
			}
			continue
		}
		if m.dryRun {
			continue
		}
		configs, err := m.settingsToCopy(ctx, from, t.Topic)
		if err != nil {
			return nil, err
		}
		replicas := int16(min(max(1, t.Partitions.NumReplicas()), len(brokers)))
		answer, err := target.CreateTopic(ctx, int32(len(t.Partitions)), replicas, configs, name)
		if errors.Is(err, kerr.InvalidConfig) {
			m.note("Topic %s is made without its settings, as %s refuses them: %s", name, m.target.at(), reason(err, answer.ErrMessage))
			answer, err = target.CreateTopic(ctx, int32(len(t.Partitions)), replicas, nil, name)
		}
		if err != nil {
			return nil, refused("topic %s was not created on %s: %s", name, m.target.at(), reason(err, answer.ErrMessage))
		}
		made = append(made, name)
	}
	m.target.appear(ctx, to, made)
	all, err = target.ListTopics(ctx)
	if err != nil {
		return nil, m.target.explain(err, "list topics")
	}
	var out []kadm.TopicDetail
	for _, t := range topics {
		if there, ok := all[m.prefix+t.Topic]; ok {
			out = append(out, there)
		}
	}
	return out, nil
}

// settingsToCopy are those that were made for a topic, but for what names brokers or would change
// what is copied while it is copied.
func (m *mirror) settingsToCopy(ctx context.Context, from *kgo.Client, topic string) (map[string]*string, error) {
	r := resource{kmsg.ConfigResourceTypeTopic, topic}
	all, err := m.source.settingsOf(ctx, from, []resource{r})
	if err != nil {
		return nil, err
	}
	out := map[string]*string{}
	for _, s := range all[0] {
		switch s.name {
		case "leader.replication.throttled.replicas", "follower.replication.throttled.replicas", "message.timestamp.type":
			continue
		}
		if s.source == r.own() && s.value != nil {
			out[s.name] = s.value
		}
	}
	return out, nil
}

// positionSaver commits how far the copies are.
type positionSaver struct {
	m     *mirror
	adm   *kadm.Client
	group string
}

func (p *positionSaver) save(ctx context.Context) error {
	offsets := kadm.Offsets{}
	for id, c := range p.m.copies {
		src, dst := c.position()
		b, err := json.Marshal(savedPosition{src})
		if err != nil {
			return err
		}
		offsets.Add(kadm.Offset{Topic: c.target, Partition: id.partition, At: dst, LeaderEpoch: -1, Metadata: string(b)})
	}
	answers, err := patiently(ctx, p.m.target, func() (kadm.OffsetResponses, error) { return p.adm.CommitOffsets(ctx, p.group, offsets) })
	if err == nil {
		err = answers.Error()
	}
	if err != nil {
		return p.m.target.explain(err, fmt.Sprintf("keep how far it is (group %s)", p.group))
	}
	return nil
}
