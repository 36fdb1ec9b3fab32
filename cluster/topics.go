package cluster

import (
	"maps"
	"math/rand/v2"
	"slices"
)

const (
	maxTopicName = 249
	// maxNewPartitions is the most that one change may create, as in Kafka.
	maxNewPartitions = 10_000
)

// Assignment places one partition by hand.
type Assignment struct {
	Partition int32
	Replicas  []int32
}

// NewTopic is what CreateTopic is asked for.
type NewTopic struct {
	Name string
	// Partitions and ReplicationFactor are -1 for the defaults below, and with Assignments.
	Partitions        int32
	ReplicationFactor int16
	// Assignments places every partition by hand; empty for automatic placement.
	Assignments []Assignment
	// Configs are the topic's settings, validated by the caller.
	Configs map[string]string
	// DefaultPartitions and DefaultReplicationFactor stand in for -1; 0 means 1.
	DefaultPartitions        int32
	DefaultReplicationFactor int16
}

// ValidateTopicName checks Kafka's rules: 1 to 249 of ASCII letters, digits, '.', '_' and '-',
// and neither "." nor "..". Error: ErrInvalidTopicName.
func ValidateTopicName(name string) error {
	switch {
	case name == "":
		return refuse(ErrInvalidTopicName, "Topic name is invalid: the empty string is not allowed")
	case name == "." || name == "..":
		return refuse(ErrInvalidTopicName, "Topic name is invalid: '%s' is not allowed", name)
	case len(name) > maxTopicName:
		return refuse(ErrInvalidTopicName, "Topic name is invalid: the length of '%s' is longer than the max allowed length %d", name, maxTopicName)
	}
	for _, c := range []byte(name) {
		if !topicNameByte(c) {
			return refuse(ErrInvalidTopicName, "Topic name is invalid: '%s' contains one or more characters other than ASCII alphanumerics, '.', '_' and '-'", name)
		}
	}
	return nil
}

func topicNameByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '.' || c == '_' || c == '-'
}

func collides(name, existing string) error {
	return refuse(ErrInvalidTopicName, "Topic '%s' collides with existing topic: %s", name, existing)
}

// CreateTopic decides on a new topic. rnd chooses id and placement; nil is the process's own
// random source. Errors: ErrInvalidTopicName, ErrTopicExists, ErrInvalidPartitions,
// ErrTooManyPartitions, ErrInvalidReplicationFactor, ErrInvalidReplicaAssignment,
// ErrInvalidRequest.
func CreateTopic(i *Image, n NewTopic, rnd *rand.Rand) ([]Record, error) {
	if err := ValidateTopicName(n.Name); err != nil {
		return nil, err
	}
	if i.Topic(n.Name) != nil {
		return nil, refuse(ErrTopicExists, "Topic '%s' already exists.", n.Name)
	}
	if other, ok := i.collisions.get(collisionKey(n.Name)); ok {
		return nil, collides(n.Name, other)
	}
	var partitions []Partition
	var err error
	if len(n.Assignments) > 0 {
		partitions, err = n.assigned(i)
	} else {
		partitions, err = n.placed(i, rnd)
	}
	if err != nil {
		return nil, err
	}
	t := Topic{Name: n.Name, ID: NewTopicID(rnd), Partitions: partitions}
	if len(n.Configs) > 0 {
		t.Configs = maps.Clone(n.Configs)
	}
	return []Record{TopicRecord{t}}, nil
}

// placed places a new topic automatically.
func (n NewTopic) placed(i *Image, rnd *rand.Rand) ([]Partition, error) {
	if n.ReplicationFactor < -1 || n.ReplicationFactor == 0 {
		return nil, refuse(ErrInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if n.Partitions < -1 || n.Partitions == 0 {
		return nil, refuse(ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	count, factor := n.Partitions, n.ReplicationFactor
	if count == -1 {
		count = max(n.DefaultPartitions, 1)
	}
	if factor == -1 {
		factor = max(n.DefaultReplicationFactor, 1)
	}
	if count > maxNewPartitions {
		return nil, tooManyPartitions()
	}
	return place(i, nil, int(count), int(factor), rnd)
}

func tooManyPartitions() error {
	return refuse(ErrTooManyPartitions, "Excessively large number of partitions per request.")
}

// assigned takes a new topic's placement as given.
func (n NewTopic) assigned(i *Image) ([]Partition, error) {
	if n.ReplicationFactor != -1 {
		return nil, refuse(ErrInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if n.Partitions != -1 {
		return nil, refuse(ErrInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	if len(n.Assignments) > maxNewPartitions {
		return nil, tooManyPartitions()
	}
	partitions := make([]Partition, len(n.Assignments))
	for _, a := range n.Assignments {
		if a.Partition < 0 || int(a.Partition) >= len(partitions) {
			return nil, refuse(ErrInvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		if partitions[a.Partition].Replicas != nil {
			return nil, refuse(ErrInvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		if err := checkAssignment(i, a, len(n.Assignments[0].Replicas)); err != nil {
			return nil, err
		}
		partitions[a.Partition].Replicas = slices.Clone(a.Replicas)
	}
	return partitions, nil
}

// checkAssignment checks the placement of one new partition that must have this many replicas.
func checkAssignment(i *Image, a Assignment, factor int) error {
	if err := checkReplicas(i, a.Replicas); err != nil {
		return err
	}
	if n := len(a.Replicas); n != factor {
		return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", n, factor)
	}
	if !slices.ContainsFunc(a.Replicas, func(id int32) bool { return !i.Broker(id).Fenced }) {
		return refuse(ErrInvalidReplicaAssignment, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", a.Partition)
	}
	return nil
}

// checkReplicas checks that replicas are brokers, each named once.
func checkReplicas(i *Image, replicas []int32) error {
	if len(replicas) == 0 {
		return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted := slices.Sorted(slices.Values(replicas))
	for n, id := range sorted {
		if i.Broker(id) == nil {
			return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if n > 0 && sorted[n-1] == id {
			return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
	}
	return nil
}

// DeleteTopic decides on a topic's removal by name. Error: ErrUnknownTopic.
func DeleteTopic(i *Image, name string) ([]Record, error) {
	t := i.Topic(name)
	if t == nil {
		return nil, unknownTopic()
	}
	return []Record{TopicRemovedRecord{t.ID}}, nil
}

// DeleteTopicByID decides on a topic's removal by id. Error: ErrUnknownTopicID.
func DeleteTopicByID(i *Image, id TopicID) ([]Record, error) {
	if i.TopicByID(id) == nil {
		return nil, refuse(ErrUnknownTopicID, "This server does not host this topic ID.")
	}
	return []Record{TopicRemovedRecord{id}}, nil
}

func unknownTopic() error {
	return refuse(ErrUnknownTopic, "This server does not host this topic-partition.")
}

// AddPartitions decides on a topic's growth to count partitions. assignments places the new ones
// by hand, in order; nil is for automatic placement, where rnd chooses what the old partitions
// do not determine. Errors: ErrUnknownTopic, ErrInvalidPartitions, ErrTooManyPartitions,
// ErrInvalidReplicationFactor, ErrInvalidReplicaAssignment.
func AddPartitions(i *Image, topic string, count int32, assignments [][]int32, rnd *rand.Rand) ([]Record, error) {
	t := i.Topic(topic)
	if t == nil {
		return nil, unknownTopic()
	}
	old := int32(len(t.Partitions))
	switch {
	case count == old:
		return nil, refuse(ErrInvalidPartitions, "Topic already has %d partition(s).", old)
	case count < old:
		return nil, refuse(ErrInvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", topic, old, count)
	case count-old > maxNewPartitions:
		return nil, tooManyPartitions()
	}
	added, err := addedPartitions(i, t, int(count-old), assignments, rnd)
	if err != nil {
		return nil, err
	}
	return []Record{PartitionsRecord{Topic: t.ID, First: old, Partitions: added}}, nil
}

func addedPartitions(i *Image, t *Topic, count int, assignments [][]int32, rnd *rand.Rand) ([]Partition, error) {
	factor := len(t.Partitions[0].Target())
	if assignments == nil {
		return place(i, t.Partitions, count, factor, rnd)
	}
	if len(assignments) != count {
		return nil, refuse(ErrInvalidReplicaAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", count, len(assignments))
	}
	added := make([]Partition, count)
	for n, replicas := range assignments {
		a := Assignment{Partition: int32(len(t.Partitions) + n), Replicas: replicas}
		if err := checkAssignment(i, a, factor); err != nil {
			return nil, err
		}
		added[n].Replicas = slices.Clone(replicas)
	}
	return added, nil
}
