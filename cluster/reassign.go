package cluster

import (
	"iter"
	"slices"
)

// Reassign decides on a move of a partition (KIP-455): it starts one, gives a present one another
// target, or with a nil target cancels it. A cancelled move goes back to where the partition was,
// and replicas that earlier targets brought in stay until CompleteReassignment: they may have
// votes already. What leads nowhere new needs no record. allowFactorChange is KIP-860's, true for
// those who cannot ask. Errors: ErrUnknownTopic, ErrNoReassignment, ErrInvalidReplicaAssignment,
// ErrInvalidReplicationFactor.
func Reassign(i *Image, topic string, partition int32, target []int32, allowFactorChange bool) ([]Record, error) {
	t := i.Topic(topic)
	if t == nil {
		return nil, refuse(ErrUnknownTopic, "Unable to find a topic named %s.", topic)
	}
	if partition < 0 || int(partition) >= len(t.Partitions) {
		return nil, refuse(ErrUnknownTopic, "Unable to find partition %s:%d.", topic, partition)
	}
	p := t.Partitions[partition]
	if target == nil {
		if !p.Moving() {
			return nil, refuse(ErrNoReassignment, "No partition reassignment is in progress.")
		}
		target = p.original()
	} else if err := checkTarget(i, p, target, allowFactorChange); err != nil {
		return nil, err
	}
	if slices.Equal(p.Target(), target) {
		return nil, nil
	}
	leaving := without(p.Replicas, target)
	r := ReplicasRecord{Topic: t.ID, Partition: partition, Replicas: slices.Concat(target, leaving)}
	if len(leaving) > 0 {
		r.Removing = leaving
	}
	if adding := without(r.Replicas, p.original()); len(adding) > 0 {
		r.Adding = adding
	}
	return []Record{r}, nil
}

func checkTarget(i *Image, p Partition, target []int32, allowFactorChange bool) error {
	if err := checkReplicas(i, target); err != nil {
		return err
	}
	if now := len(p.Target()); !allowFactorChange && len(target) != now {
		return refuse(ErrInvalidReplicationFactor, "The replication factor is changed from %d to %d", now, len(target))
	}
	return nil
}

// CompleteReassignment decides on the end of a move, whose target has all there is: what is to go
// goes. Where the placement is not that of the epoch any more, or does not move, there is nothing
// to decide.
func CompleteReassignment(i *Image, topic TopicID, partition, epoch int32) ([]Record, error) {
	t := i.TopicByID(topic)
	if t == nil || partition < 0 || int(partition) >= len(t.Partitions) {
		return nil, nil
	}
	p := t.Partitions[partition]
	if p.Epoch != epoch || !p.Moving() {
		return nil, nil
	}
	return []Record{ReplicasRecord{Topic: topic, Partition: partition, Replicas: p.Target()}}, nil
}

// Reassignments yields the partitions that move: topic and index, by name.
func Reassignments(i *Image) iter.Seq2[*Topic, int32] {
	return func(yield func(*Topic, int32) bool) {
		for _, t := range i.topics {
			for n, p := range t.Partitions {
				if p.Moving() && !yield(t, int32(n)) {
					return
				}
			}
		}
	}
}
