package cluster

import (
	"fmt"
	"slices"
)

// Record is one change of the metadata. Records are what deciders return, what the metadata log
// and its snapshots hold, and the only thing that changes an Image. docs/formats/metadata.md
// describes their bytes.
type Record interface {
	kind() recordKind
	// encode appends the body in the newest version.
	encode(w *writer)
	// apply changes the image being built; an error means that the record does not belong there.
	apply(d *delta) error
}

// recordKind is a record's type on disk. Numbers are never used twice.
type recordKind uint64

const (
	kindCluster recordKind = 1 + iota
	kindFeature
	kindBroker
	kindBrokerFence
	kindBrokerRemoved
	kindTopic
	kindTopicRemoved
	kindPartitions
	kindReplicas
	kindConfig
	kindProducerIDs
)

// recordFormat is what the decoder knows of a type.
type recordFormat struct {
	name string
	// version is the newest one, which is written.
	version uint64
	decode  func(r *reader, version uint64) Record
}

var recordFormats = map[recordKind]recordFormat{
	kindCluster:       {"cluster", 1, decodeCluster},
	kindFeature:       {"feature", 1, decodeFeature},
	kindBroker:        {"broker", 1, decodeBroker},
	kindBrokerFence:   {"broker fence", 1, decodeBrokerFence},
	kindBrokerRemoved: {"broker removed", 1, decodeBrokerRemoved},
	kindTopic:         {"topic", 2, decodeTopic},
	kindTopicRemoved:  {"topic removed", 1, decodeTopicRemoved},
	kindPartitions:    {"partitions", 2, decodePartitions},
	kindReplicas:      {"replicas", 1, decodeReplicas},
	kindConfig:        {"config", 1, decodeConfig},
	kindProducerIDs:   {"producer ids", 1, decodeProducerIDs},
}

// ClusterRecord names the cluster; the first leader writes it.
type ClusterRecord struct{ ID string }

func (ClusterRecord) kind() recordKind         { return kindCluster }
func (r ClusterRecord) encode(w *writer)       { w.string(r.ID) }
func decodeCluster(r *reader, _ uint64) Record { return ClusterRecord{r.string()} }
func (r ClusterRecord) apply(d *delta) error   { return d.setClusterID(r.ID) }

// FeatureRecord sets a feature's finalized level; 0 removes it.
type FeatureRecord struct {
	Name  string
	Level int16
}

func (FeatureRecord) kind() recordKind { return kindFeature }

func (r FeatureRecord) encode(w *writer) {
	w.string(r.Name)
	w.int(int64(r.Level))
}

func decodeFeature(r *reader, _ uint64) Record {
	return FeatureRecord{Name: r.string(), Level: r.int16()}
}

func (r FeatureRecord) apply(d *delta) error {
	d.setFeature(r.Name, r.Level)
	return nil
}

// BrokerRecord registers a broker, in place of any earlier registration of its id. With another
// data directory it counts up the epoch of every partition that names the broker.
type BrokerRecord struct{ Broker Broker }

func (BrokerRecord) kind() recordKind { return kindBroker }

func (r BrokerRecord) encode(w *writer) {
	b := r.Broker
	w.int(int64(b.ID))
	w.string(b.Incarnation)
	w.string(b.Identity)
	w.string(b.Host)
	w.int(int64(b.Port))
	w.string(b.RaftAddress)
	w.string(b.Rack)
	w.bool(b.Fenced)
}

func decodeBroker(r *reader, _ uint64) Record {
	return BrokerRecord{Broker{
		ID: r.int32(), Incarnation: r.string(), Identity: r.string(), Host: r.string(), Port: r.int32(),
		RaftAddress: r.string(), Rack: r.string(), Fenced: r.bool(),
	}}
}

func (r BrokerRecord) apply(d *delta) error {
	n, known := d.next.findBroker(r.Broker.ID)
	if !known || d.next.brokers[n].Identity != r.Broker.Identity {
		d.countEpochs(r.Broker.ID)
	}
	d.putBroker(&r.Broker)
	return nil
}

// BrokerFenceRecord fences or unfences a broker.
type BrokerFenceRecord struct {
	ID     int32
	Fenced bool
}

func (BrokerFenceRecord) kind() recordKind { return kindBrokerFence }

func (r BrokerFenceRecord) encode(w *writer) {
	w.int(int64(r.ID))
	w.bool(r.Fenced)
}

func decodeBrokerFence(r *reader, _ uint64) Record {
	return BrokerFenceRecord{ID: r.int32(), Fenced: r.bool()}
}

func (r BrokerFenceRecord) apply(d *delta) error {
	n, ok := d.next.findBroker(r.ID)
	if !ok {
		return unknownBroker(r.ID)
	}
	b := *d.next.brokers[n]
	b.Fenced = r.Fenced
	d.putBroker(&b)
	return nil
}

// BrokerRemovedRecord takes a broker's registration back. Partitions that name it still are
// counted up, as its id may come back with another data directory.
type BrokerRemovedRecord struct{ ID int32 }

func (BrokerRemovedRecord) kind() recordKind         { return kindBrokerRemoved }
func (r BrokerRemovedRecord) encode(w *writer)       { w.int(int64(r.ID)) }
func decodeBrokerRemoved(r *reader, _ uint64) Record { return BrokerRemovedRecord{r.int32()} }

func (r BrokerRemovedRecord) apply(d *delta) error {
	n, ok := d.next.findBroker(r.ID)
	if !ok {
		return unknownBroker(r.ID)
	}
	d.countEpochs(r.ID)
	d.removeBroker(n)
	return nil
}

// TopicRecord creates a topic with its partitions and settings.
type TopicRecord struct{ Topic Topic }

func (TopicRecord) kind() recordKind { return kindTopic }

func (r TopicRecord) encode(w *writer) {
	w.string(r.Topic.Name)
	w.id(r.Topic.ID)
	w.partitions(r.Topic.Partitions)
	w.strings(r.Topic.Configs)
}

func decodeTopic(r *reader, version uint64) Record {
	return TopicRecord{Topic{Name: r.string(), ID: r.id(), Partitions: r.partitions(version), Configs: r.strings()}}
}

func (r TopicRecord) apply(d *delta) error {
	if _, ok := d.next.byName.get(r.Topic.Name); ok {
		return refuse(ErrTopicExists, "Topic '%s' already exists.", r.Topic.Name)
	}
	if _, ok := d.next.byID.get(r.Topic.ID); ok {
		return refuse(ErrTopicExists, "Topic id %s already exists.", r.Topic.ID)
	}
	if other, ok := d.next.collisions.get(collisionKey(r.Topic.Name)); ok {
		return collides(r.Topic.Name, other)
	}
	d.putTopic(&r.Topic)
	return nil
}

// TopicRemovedRecord deletes a topic and its settings.
type TopicRemovedRecord struct{ ID TopicID }

func (TopicRemovedRecord) kind() recordKind         { return kindTopicRemoved }
func (r TopicRemovedRecord) encode(w *writer)       { w.id(r.ID) }
func decodeTopicRemoved(r *reader, _ uint64) Record { return TopicRemovedRecord{r.id()} }

func (r TopicRemovedRecord) apply(d *delta) error {
	t, err := d.topic(r.ID)
	if err == nil {
		d.removeTopic(t)
	}
	return err
}

// PartitionsRecord adds partitions to a topic.
type PartitionsRecord struct {
	Topic TopicID
	// First is the index of the first new partition: the number there were.
	First      int32
	Partitions []Partition
}

func (PartitionsRecord) kind() recordKind { return kindPartitions }

func (r PartitionsRecord) encode(w *writer) {
	w.id(r.Topic)
	w.int(int64(r.First))
	w.partitions(r.Partitions)
}

func decodePartitions(r *reader, version uint64) Record {
	return PartitionsRecord{Topic: r.id(), First: r.int32(), Partitions: r.partitions(version)}
}

func (r PartitionsRecord) apply(d *delta) error {
	t, err := d.topic(r.Topic)
	if err != nil {
		return err
	}
	if int(r.First) != len(t.Partitions) {
		return fmt.Errorf("%w: partitions from %d for topic %s that has %d", ErrInvalidPartitions, r.First, t.Name, len(t.Partitions))
	}
	t.Partitions = slices.Concat(t.Partitions, r.Partitions)
	d.ownPartitions[t.ID] = struct{}{}
	d.putTopic(t)
	return nil
}

// ReplicasRecord changes the placement of one partition, and counts its epoch up.
type ReplicasRecord struct {
	Topic     TopicID
	Partition int32
	// As in Partition.
	Replicas, Adding, Removing []int32
}

func (ReplicasRecord) kind() recordKind { return kindReplicas }

func (r ReplicasRecord) encode(w *writer) {
	w.id(r.Topic)
	w.int(int64(r.Partition))
	w.ints(r.Replicas)
	w.ints(r.Adding)
	w.ints(r.Removing)
}

func decodeReplicas(r *reader, _ uint64) Record {
	return ReplicasRecord{Topic: r.id(), Partition: r.int32(), Replicas: r.ints(), Adding: r.ints(), Removing: r.ints()}
}

func (r ReplicasRecord) apply(d *delta) error {
	t, err := d.topic(r.Topic)
	if err != nil {
		return err
	}
	if r.Partition < 0 || int(r.Partition) >= len(t.Partitions) {
		return refuse(ErrUnknownTopic, "topic %s has no partition %d", t.Name, r.Partition)
	}
	old := t.Partitions[r.Partition]
	now := Partition{Replicas: r.Replicas, Adding: r.Adding, Removing: r.Removing, Epoch: old.Epoch + 1}
	if !old.Moving() || now.Moving() { // else its leader says that the move is complete
		now.Founders = d.next.FoundersOf(old)
	}
	d.clonePartitions(t)
	t.Partitions[r.Partition] = now
	d.putTopic(t)
	return nil
}

// ConfigRecord sets or removes one setting of a resource.
type ConfigRecord struct {
	Resource Resource
	Name     string
	// Value is nil to remove the setting.
	Value *string
}

func (ConfigRecord) kind() recordKind { return kindConfig }

func (r ConfigRecord) encode(w *writer) {
	w.int(int64(r.Resource.Type))
	w.string(r.Resource.Name)
	w.string(r.Name)
	w.bool(r.Value != nil)
	if r.Value != nil {
		w.string(*r.Value)
	}
}

func decodeConfig(r *reader, _ uint64) Record {
	c := ConfigRecord{Resource: Resource{Type: ResourceType(r.int8()), Name: r.string()}, Name: r.string()}
	if r.bool() {
		v := r.string()
		c.Value = &v
	}
	return c
}

func (r ConfigRecord) apply(d *delta) error { return d.setConfig(r.Resource, r.Name, r.Value) }

// ProducerIDsRecord says that every producer id below Next was handed out.
type ProducerIDsRecord struct{ Next int64 }

func (ProducerIDsRecord) kind() recordKind         { return kindProducerIDs }
func (r ProducerIDsRecord) encode(w *writer)       { w.int(r.Next) }
func decodeProducerIDs(r *reader, _ uint64) Record { return ProducerIDsRecord{r.int()} }

func (r ProducerIDsRecord) apply(d *delta) error {
	if r.Next < d.next.nextProducerID {
		return fmt.Errorf("%w: producer ids go back from %d to %d", ErrCorrupt, d.next.nextProducerID, r.Next)
	}
	d.next.nextProducerID = r.Next
	return nil
}
