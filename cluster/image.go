package cluster

import (
	"cmp"
	"iter"
	"maps"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Image is the state of the cluster at one index of the metadata log. It never changes: readers
// may keep it and everything reached from it, and must not write to any of it.
type Image struct {
	index     uint64
	clusterID string
	features  map[string]int16
	brokers   []*Broker // by id
	topics    []*Topic  // by name
	byName    table[string, *Topic]
	byID      table[TopicID, *Topic]
	// collisions holds the names with '.' read as '_': those that metrics cannot tell apart.
	collisions     table[string, string]
	configs        map[Resource]map[string]string
	partitions     int
	nextProducerID int64
}

// Topic is one topic; immutable.
type Topic struct {
	Name       string
	ID         TopicID
	Partitions []Partition
	// Configs are the topic's own settings, without defaults; nil for none.
	Configs map[string]string
}

// Partition is one partition's placement; its index is its place in Topic.Partitions. The zero
// values of Adding, Removing and Epoch are those of a partition as it was created.
type Partition struct {
	// Replicas are node ids, the preferred leader first. While the partition moves (KIP-455) they
	// are the target, followed by what is to go.
	Replicas []int32
	// Adding are the replicas that the move brought in: without them are the original ones, to
	// which a cancelled move returns. Removing are those that go at its end. A replica that an
	// earlier target brought in and the present one does not want is in both.
	Adding, Removing []int32
	// Epoch counts the changes of the placement, and of the data directory behind any of the
	// Replicas. All who see epoch 0 see the same directories: those of the creation.
	Epoch int32
	// Founders are the replicas of epoch 0, kept at later epochs for those of them that found the
	// group late; see FoundersOf. None are kept once a move is complete: then it was founded.
	Founders []Voter
}

// Moving reports whether replicas are to come or to go.
func (p Partition) Moving() bool { return len(p.Adding) > 0 || len(p.Removing) > 0 }

// Target is where the partition is to be: all of Replicas unless it moves.
func (p Partition) Target() []int32 { return without(p.Replicas, p.Removing) }

// FoundersOf are the first members of a partition's group, on the data directories that they had
// when it was created: the same for every image, so that each of them founds the same group,
// whatever has changed since. None are returned for a partition that was founded long ago.
func (i *Image) FoundersOf(p Partition) []Voter {
	if p.Epoch > 0 {
		return p.Founders
	}
	founders := make([]Voter, 0, len(p.Replicas))
	for _, id := range p.Replicas {
		b := i.Broker(id)
		if b == nil {
			return nil
		}
		founders = append(founders, Voter{ID: id, Identity: b.Identity})
	}
	return founders
}

// original is where the partition was before it began to move.
func (p Partition) original() []int32 { return without(p.Replicas, p.Adding) }

// without returns the ids that are not excluded; ids itself where none is.
func without(ids, excluded []int32) []int32 {
	if len(excluded) == 0 {
		return ids
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id int32) bool { return slices.Contains(excluded, id) })
}

// Broker is one registered broker; immutable.
type Broker struct {
	ID int32
	// Incarnation names one run of the process.
	Incarnation string
	// Identity is the UUID of the data directory.
	Identity string
	// Host and Port are where clients reach it.
	Host string
	Port int32
	// RaftAddress is where nodes reach it, HOST:PORT; empty for a broker alone.
	RaftAddress string
	// Rack is empty where none is set.
	Rack string
	// Fenced brokers get no new replicas and are not shown to clients.
	Fenced bool
}

// ResourceType is Kafka's code of what a configuration belongs to.
type ResourceType int8

// The resource types, with Kafka's numbers.
const (
	TopicResource         ResourceType = 2
	BrokerResource        ResourceType = 4
	ClientMetricsResource ResourceType = 16
	GroupResource         ResourceType = 32
)

// Resource is what a configuration belongs to. The name of a BrokerResource is a node id, or
// empty for the default of all brokers.
type Resource struct {
	Type ResourceType
	Name string
}

// ClusterDefault is the configuration that holds for every broker.
var ClusterDefault = Resource{Type: BrokerResource}

// BrokerConfig is the configuration of one broker.
func BrokerConfig(id int32) Resource {
	return Resource{Type: BrokerResource, Name: strconv.Itoa(int(id))}
}

// Index is the index of the last change the image holds.
func (i *Image) Index() uint64 { return i.index }

// ClusterID is Kafka's cluster id, empty until the first leader has written it.
func (i *Image) ClusterID() string { return i.clusterID }

// Feature is the finalized level of a feature, 0 where none is set.
func (i *Image) Feature(name string) int16 { return i.features[name] }

// Features are all finalized levels.
func (i *Image) Features() map[string]int16 { return i.features }

// Broker returns a registered broker, nil where there is none.
func (i *Image) Broker(id int32) *Broker {
	if n, ok := i.findBroker(id); ok {
		return i.brokers[n]
	}
	return nil
}

func (i *Image) findBroker(id int32) (int, bool) {
	return slices.BinarySearchFunc(i.brokers, id, func(b *Broker, id int32) int { return cmp.Compare(b.ID, id) })
}

// Brokers are the registered brokers, fenced ones included, by id.
func (i *Image) Brokers() []*Broker { return i.brokers }

// Topic returns a topic, nil where there is none.
func (i *Image) Topic(name string) *Topic {
	t, _ := i.byName.get(name)
	return t
}

// TopicByID returns a topic, nil where there is none.
func (i *Image) TopicByID(id TopicID) *Topic {
	t, _ := i.byID.get(id)
	return t
}

// Topics are all topics by name.
func (i *Image) Topics() []*Topic { return i.topics }

// TopicsFrom are the topics whose name is not below name: a page begins here.
func (i *Image) TopicsFrom(name string) []*Topic {
	n := sort.Search(len(i.topics), func(n int) bool { return i.topics[n].Name >= name })
	return i.topics[n:]
}

// TopicsSince yields the topics that differ from an older image's, by id and in no order: as they were
// and as they are, nil where there was or is none. For one of many it costs a 64th of looking at all.
func (i *Image) TopicsSince(old *Image) iter.Seq2[*Topic, *Topic] { return i.byID.since(&old.byID) }

// Partitions is the number of partitions of all topics.
func (i *Image) Partitions() int { return i.partitions }

// Config returns the settings made for a resource itself, without defaults; nil for none.
func (i *Image) Config(r Resource) map[string]string {
	if r.Type == TopicResource {
		if t := i.Topic(r.Name); t != nil {
			return t.Configs
		}
		return nil
	}
	return i.configs[r]
}

// ConfiguredResources are the resources other than topics that have settings, by type and name.
func (i *Image) ConfiguredResources() []Resource {
	return slices.SortedFunc(maps.Keys(i.configs), func(a, b Resource) int {
		return cmp.Or(cmp.Compare(a.Type, b.Type), strings.Compare(a.Name, b.Name))
	})
}

// NextProducerID is the first producer id that was never handed out.
func (i *Image) NextProducerID() int64 { return i.nextProducerID }

// Apply returns the image with further records, for a decision that builds on an earlier part
// of itself. Nothing is written, and Index stays.
func (i *Image) Apply(records ...Record) (*Image, error) {
	d := i.delta()
	for _, r := range records {
		if err := r.apply(d); err != nil {
			return nil, err
		}
	}
	return d.image(i.index), nil
}

// collisionKey is a name as metrics see it.
func collisionKey(name string) string { return strings.ReplaceAll(name, ".", "_") }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
