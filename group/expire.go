package group

import (
	"maps"
	"slices"
	"time"
)

// expireBatch is how many groups one decision about expired offsets looks at.
const expireBatch = 256

// expireOffsets begins a round in which offsets beyond their retention are deleted, and the
// groups that have nothing left.
func (s *shard) expireOffsets() {
	s.after(&s.cleanup, s.c.opts.RetentionCheck)
	for ids := range slices.Chunk(slices.Collect(maps.Keys(s.image.groups)), expireBatch) {
		s.removeGroups(ids, func(g *group) (records []keyValue) { return g.expired(time.Now().UnixMilli()) })
	}
}

// removeGroups lets decide delete something of each group that still exists. What decide has
// marked Dead is Empty again if the records cannot be written.
func (s *shard) removeGroups(ids []string, decide func(*group) []keyValue) {
	var dead []*group
	s.submit(&write{
		decide: func() (records []keyValue) {
			for _, id := range ids {
				g := s.group(id)
				if g == nil || g.state == Dead {
					continue
				}
				records = append(records, decide(g)...)
				if g.state == Dead {
					dead = append(dead, g)
				}
			}
			return records
		},
		done: func(err error) {
			for _, g := range dead {
				s.killed(g, err)
			}
		},
	})
}

// expired is the records that delete what has expired in a group.
func (g *group) expired(now int64) []keyValue {
	var records []keyValue
	left := false
	for topic, parts := range g.offsets {
		id, _, _ := g.s.c.opts.Topics.Topic(topic)
		for i := range parts {
			o := &parts[i]
			if g.unstable[topicPartition{topic, o.partition}] == 0 && (g.hasExpired(topic, o, now) || !o.of(id)) {
				records = append(records, keyValue{key: offsetKey(g.id, topic, o.partition)})
			} else {
				left = true
			}
		}
	}
	if !left && g.state == Empty && g.stored != nil && len(g.pending) == 0 && g.writes == 0 && len(g.unstable) == 0 {
		return g.kill()
	}
	return records
}

// hasExpired says whether an offset's retention is over. It counts from the last commit for
// consumers without group management and for topics that the group has ceased to consume, and
// from when a group lost its last member for the others (KIP-211).
func (g *group) hasExpired(topic string, o *committed, now int64) bool {
	since := o.commitMs
	switch {
	case g.protocolType == "":
	case g.state == Empty:
		if g.stateMs >= 0 {
			since = g.stateMs
		}
	case g.state != Stable || g.subscribed == nil || g.subscribes(topic):
		return false
	}
	if o.expireMs >= 0 {
		return now >= o.expireMs
	}
	return now-since >= g.s.c.opts.OffsetsRetention.Milliseconds()
}

// DeletedTopic is a topic that is gone; with a zero ID, whatever had the name.
type DeletedTopic struct {
	Name string
	ID   TopicID
}

// OnTopicsDeleted deletes the offsets of topics that have been deleted, in every partition that
// this node leads. It does not wait for that. Offsets committed for a newer topic of the same
// name are kept.
func (c *Coordinator) OnTopicsDeleted(topics ...DeletedTopic) {
	for _, s := range c.shards.All() {
		if s.enter() != none {
			continue
		}
		for ids := range slices.Chunk(slices.Collect(maps.Keys(s.image.groups)), expireBatch) {
			s.removeGroups(ids, func(g *group) []keyValue { return g.forget(topics) })
		}
		s.mu.Unlock()
	}
}

func (g *group) forget(topics []DeletedTopic) (records []keyValue) {
	for _, t := range topics {
		parts := g.offsets[t.Name]
		for i := range parts {
			if o := &parts[i]; o.of(t.ID) {
				records = append(records, keyValue{key: offsetKey(g.id, t.Name, o.partition)})
			}
		}
		for p := range g.unstable {
			if p.topic == t.Name && g.s.image.onlyOpen(g, p, t.ID) {
				records = append(records, keyValue{key: offsetKey(g.id, t.Name, p.partition)})
			}
		}
	}
	return records
}
