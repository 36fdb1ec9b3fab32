package cluster

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// delta is an image being built from an older one: it shares what it does not change. It is
// used by one goroutine and is spent once image was called.
type delta struct {
	next Image
	// Shards of next's tables that are already copies.
	ownNames, ownIDs, ownCollisions uint64
	ownBrokers, ownConfigs          bool
	// ownPartitions are the topics whose partitions are copies: many of them may change at once.
	ownPartitions map[TopicID]struct{}
	// changed are the names whose place in next.topics is out of date.
	changed map[string]struct{}
}

func (i *Image) delta() *delta {
	return &delta{next: *i, changed: map[string]struct{}{}, ownPartitions: map[TopicID]struct{}{}}
}

// image ends the delta.
func (d *delta) image(index uint64) *Image {
	d.next.index = index
	d.next.topics = d.sortTopics()
	next := d.next
	return &next
}

// sortTopics merges the changed topics into the old order, copying the runs between them.
func (d *delta) sortTopics() []*Topic {
	if len(d.changed) == 0 {
		return d.next.topics
	}
	old := d.next.topics
	merged := make([]*Topic, 0, d.next.byName.len)
	for _, name := range slices.Sorted(maps.Keys(d.changed)) {
		n, found := slices.BinarySearchFunc(old, name, func(t *Topic, name string) int { return strings.Compare(t.Name, name) })
		merged = append(merged, old[:n]...)
		if found {
			n++
		}
		old = old[n:]
		if t, ok := d.next.byName.get(name); ok {
			merged = append(merged, t)
		}
	}
	return append(merged, old...)
}

// putTopic stores a topic that is new or replaces the one of its name and id.
func (d *delta) putTopic(t *Topic) {
	if old, ok := d.next.byName.get(t.Name); ok {
		d.next.partitions -= len(old.Partitions)
	}
	d.next.partitions += len(t.Partitions)
	d.next.byName.set(t.Name, t, &d.ownNames)
	d.next.byID.set(t.ID, t, &d.ownIDs)
	d.next.collisions.set(collisionKey(t.Name), t.Name, &d.ownCollisions)
	d.changed[t.Name] = struct{}{}
}

func (d *delta) removeTopic(t *Topic) {
	delete(d.ownPartitions, t.ID)
	d.next.partitions -= len(t.Partitions)
	d.next.byName.delete(t.Name, &d.ownNames)
	d.next.byID.delete(t.ID, &d.ownIDs)
	d.next.collisions.delete(collisionKey(t.Name), &d.ownCollisions)
	d.changed[t.Name] = struct{}{}
}

// topic returns a copy of a topic's struct, to be changed and put back. Its slices and maps are
// still shared.
func (d *delta) topic(id TopicID) (*Topic, error) {
	t, ok := d.next.byID.get(id)
	if !ok {
		return nil, refuse(ErrUnknownTopicID, "there is no topic with id %s", id)
	}
	c := *t
	return &c, nil
}

// clonePartitions makes the partitions of a topic, got from topic, its own.
func (d *delta) clonePartitions(t *Topic) {
	if _, own := d.ownPartitions[t.ID]; !own {
		d.ownPartitions[t.ID] = struct{}{}
		t.Partitions = slices.Clone(t.Partitions)
	}
}

// countEpochs counts up the epoch of every partition that names a broker, whose data directory
// is not what it was.
func (d *delta) countEpochs(id int32) {
	named := func(p Partition) bool { return slices.Contains(p.Replicas, id) }
	for _, t := range d.next.byName.all() {
		if !slices.ContainsFunc(t.Partitions, named) {
			continue
		}
		c := *t
		d.clonePartitions(&c)
		for n, p := range c.Partitions {
			if named(p) {
				c.Partitions[n].Founders = d.next.FoundersOf(p)
				c.Partitions[n].Epoch++
			}
		}
		d.putTopic(&c)
	}
}

func (d *delta) putBroker(b *Broker) {
	d.cloneBrokers()
	n, found := d.next.findBroker(b.ID)
	if found {
		d.next.brokers[n] = b
		return
	}
	d.next.brokers = slices.Insert(d.next.brokers, n, b)
}

func (d *delta) removeBroker(n int) {
	d.cloneBrokers()
	d.next.brokers = slices.Delete(d.next.brokers, n, n+1)
}

func (d *delta) cloneBrokers() {
	if !d.ownBrokers {
		d.ownBrokers = true
		d.next.brokers = slices.Clone(d.next.brokers)
	}
}

// setConfig sets a value of a resource; nil removes it.
func (d *delta) setConfig(r Resource, name string, value *string) error {
	if r.Type == TopicResource {
		return d.setTopicConfig(r.Name, name, value)
	}
	if !d.ownConfigs {
		d.ownConfigs = true
		d.next.configs = maps.Clone(d.next.configs)
		if d.next.configs == nil {
			d.next.configs = map[Resource]map[string]string{}
		}
	}
	if c := withConfig(d.next.configs[r], name, value); c != nil {
		d.next.configs[r] = c
	} else {
		delete(d.next.configs, r)
	}
	return nil
}

func (d *delta) setTopicConfig(topic, name string, value *string) error {
	old, ok := d.next.byName.get(topic)
	if !ok {
		return refuse(ErrUnknownTopic, "The topic '%s' does not exist.", topic)
	}
	t := *old
	t.Configs = withConfig(t.Configs, name, value)
	d.putTopic(&t)
	return nil
}

// withConfig returns a changed copy, nil once it is empty.
func withConfig(old map[string]string, name string, value *string) map[string]string {
	c := maps.Clone(old)
	switch {
	case value == nil:
		delete(c, name)
	case c == nil:
		c = map[string]string{name: *value}
	default:
		c[name] = *value
	}
	if len(c) == 0 {
		return nil
	}
	return c
}

func (d *delta) setFeature(name string, level int16) {
	f := maps.Clone(d.next.features)
	switch {
	case level == 0:
		delete(f, name)
	case f == nil:
		f = map[string]int16{name: level}
	default:
		f[name] = level
	}
	d.next.features = f
}

func (d *delta) setClusterID(id string) error {
	if d.next.clusterID != "" && d.next.clusterID != id {
		return fmt.Errorf("%w: cluster id %s cannot become %s", ErrCorrupt, d.next.clusterID, id)
	}
	d.next.clusterID = id
	return nil
}
