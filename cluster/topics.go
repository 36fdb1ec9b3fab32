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

// CreateTopic is the decision on a new topic.
type CreateTopic struct {
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
	// Rand chooses id and placement; nil is the process's own random source.
	Rand *rand.Rand
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

// Decide returns the topic's record. Errors: ErrInvalidTopicName, ErrTopicExists,
// ErrInvalidPartitions, ErrTooManyPartitions, ErrInvalidReplicationFactor,
// ErrInvalidReplicaAssignment, ErrInvalidRequest.
func (c CreateTopic) Decide(i *Image) ([]Record, error) {
	if err := ValidateTopicName(c.Name); err != nil {
		return nil, err
	}
	if i.Topic(c.Name) != nil {
		return nil, refuse(ErrTopicExists, "Topic '%s' already exists.", c.Name)
	}
	if other, ok := i.collisions.get(collisionKey(c.Name)); ok {
		return nil, collides(c.Name, other)
	}
	place := c.placed
	if len(c.Assignments) > 0 {
		place = c.assigned
	}
	partitions, err := place(i)
	if err != nil {
		return nil, err
	}
	t := Topic{Name: c.Name, ID: NewTopicID(c.Rand), Partitions: partitions}
	if len(c.Configs) > 0 {
		t.Configs = maps.Clone(c.Configs)
	}
	return []Record{TopicRecord{t}}, nil
}

// placed places a new topic automatically.
func (c CreateTopic) placed(i *Image) ([]Partition, error) {
	if c.ReplicationFactor < -1 || c.ReplicationFactor == 0 {
		return nil, refuse(ErrInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value.")
	}
	if c.Partitions < -1 || c.Partitions == 0 {
		return nil, refuse(ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value.")
	}
	count, factor := c.Partitions, c.ReplicationFactor
	if count == -1 {
		count = max(c.DefaultPartitions, 1)
	}
	if factor == -1 {
		factor = max(c.DefaultReplicationFactor, 1)
	}
	if count > maxNewPartitions {
		return nil, tooManyPartitions()
	}
	return place(i.Brokers(), nil, int(count), int(factor), c.Rand)
}

func tooManyPartitions() error {
	return refuse(ErrTooManyPartitions, "Excessively large number of partitions per request.")
}

// assigned takes a new topic's placement as given.
func (c CreateTopic) assigned(i *Image) ([]Partition, error) {
	if c.ReplicationFactor != -1 {
		return nil, refuse(ErrInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1.")
	}
	if c.Partitions != -1 {
		return nil, refuse(ErrInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1.")
	}
	if len(c.Assignments) > maxNewPartitions {
		return nil, tooManyPartitions()
	}
	partitions := make([]Partition, len(c.Assignments))
	for _, a := range c.Assignments {
		if a.Partition < 0 || int(a.Partition) >= len(partitions) {
			return nil, refuse(ErrInvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence")
		}
		if partitions[a.Partition].Replicas != nil {
			return nil, refuse(ErrInvalidReplicaAssignment, "Found multiple manual partition assignments for partition %d", a.Partition)
		}
		if err := checkAssignment(i, a, len(c.Assignments[0].Replicas)); err != nil {
			return nil, err
		}
		partitions[a.Partition].Replicas = slices.Clone(a.Replicas)
	}
	return partitions, nil
}

// checkAssignment checks the placement of one partition that must have this many replicas.
func checkAssignment(i *Image, a Assignment, factor int) error {
	if len(a.Replicas) == 0 {
		return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes an empty replica list.")
	}
	sorted, active := slices.Sorted(slices.Values(a.Replicas)), false
	for n, id := range sorted {
		b := i.Broker(id)
		if b == nil {
			return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes broker %d, but no such broker is registered.", id)
		}
		if n > 0 && sorted[n-1] == id {
			return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes the broker %d more than once.", id)
		}
		active = active || !b.Fenced
	}
	if len(sorted) != factor {
		return refuse(ErrInvalidReplicaAssignment, "The manual partition assignment includes a partition with %d replica(s), but this is not consistent with previous partitions, which have %d replica(s).", len(sorted), factor)
	}
	if !active {
		return refuse(ErrInvalidReplicaAssignment, "All brokers specified in the manual partition assignment for partition %d are fenced or in controlled shutdown.", a.Partition)
	}
	return nil
}

// DeleteTopic is the decision on a topic's removal, by ID where it is set, else by name.
type DeleteTopic struct {
	Name string
	ID   TopicID
}

// Decide returns the removal. Errors: ErrUnknownTopic by name, ErrUnknownTopicID by id.
func (c DeleteTopic) Decide(i *Image) ([]Record, error) {
	if !c.ID.IsZero() {
		if i.TopicByID(c.ID) == nil {
			return nil, refuse(ErrUnknownTopicID, "This server does not host this topic ID.")
		}
		return []Record{TopicRemovedRecord{c.ID}}, nil
	}
	t := i.Topic(c.Name)
	if t == nil {
		return nil, unknownTopic()
	}
	return []Record{TopicRemovedRecord{t.ID}}, nil
}

func unknownTopic() error {
	return refuse(ErrUnknownTopic, "This server does not host this topic-partition.")
}

// AddPartitions is the decision on a topic's growth.
type AddPartitions struct {
	Topic string
	// Count is the number of partitions that there will be.
	Count int32
	// Assignments places the new partitions by hand, in order; nil for automatic placement.
	Assignments [][]int32
	// Rand chooses the placement; nil is the process's own random source.
	Rand *rand.Rand
}

// Decide returns the new partitions. Errors: ErrUnknownTopic, ErrInvalidPartitions,
// ErrTooManyPartitions, ErrInvalidReplicationFactor, ErrInvalidReplicaAssignment.
func (c AddPartitions) Decide(i *Image) ([]Record, error) {
	t := i.Topic(c.Topic)
	if t == nil {
		return nil, unknownTopic()
	}
	old := int32(len(t.Partitions))
	switch {
	case c.Count == old:
		return nil, refuse(ErrInvalidPartitions, "Topic already has %d partition(s).", old)
	case c.Count < old:
		return nil, refuse(ErrInvalidPartitions, "The topic %s currently has %d partition(s); %d would not be an increase.", c.Topic, old, c.Count)
	case c.Count-old > maxNewPartitions:
		return nil, tooManyPartitions()
	}
	added, err := c.place(i, t)
	if err != nil {
		return nil, err
	}
	return []Record{PartitionsRecord{Topic: t.ID, First: old, Partitions: added}}, nil
}

func (c AddPartitions) place(i *Image, t *Topic) ([]Partition, error) {
	count, factor := int(c.Count)-len(t.Partitions), len(t.Partitions[0].Replicas)
	if c.Assignments == nil {
		return place(i.Brokers(), t.Partitions, count, factor, c.Rand)
	}
	if len(c.Assignments) != count {
		return nil, refuse(ErrInvalidReplicaAssignment, "Attempted to add %d additional partition(s), but only %d assignment(s) were specified.", count, len(c.Assignments))
	}
	added := make([]Partition, count)
	for n, replicas := range c.Assignments {
		a := Assignment{Partition: int32(len(t.Partitions) + n), Replicas: replicas}
		if err := checkAssignment(i, a, factor); err != nil {
			return nil, err
		}
		added[n].Replicas = slices.Clone(replicas)
	}
	return added, nil
}

// ChangeReplicas is the decision on another placement of one partition.
type ChangeReplicas struct {
	Topic     string
	Partition int32
	Replicas  []int32
}

// Decide returns the placement, or nothing where it is in place. Errors: ErrUnknownTopic,
// ErrInvalidReplicaAssignment.
func (c ChangeReplicas) Decide(i *Image) ([]Record, error) {
	t := i.Topic(c.Topic)
	if t == nil || c.Partition < 0 || int(c.Partition) >= len(t.Partitions) {
		return nil, unknownTopic()
	}
	if err := checkAssignment(i, Assignment{c.Partition, c.Replicas}, len(c.Replicas)); err != nil {
		return nil, err
	}
	if slices.Equal(t.Partitions[c.Partition].Replicas, c.Replicas) {
		return nil, nil
	}
	return []Record{ReplicasRecord{Topic: t.ID, Partition: c.Partition, Replicas: slices.Clone(c.Replicas)}}, nil
}
