package broker

import "quorumlog/record"

// topicPartition names a partition as requests do.
type topicPartition struct {
	topic     string
	partition int32
}

// offsetsTransactionEnded is told of a marker that is committed in a partition of the offsets topic.
// No group holds offsets of transactions yet.
func (b *Broker) offsetsTransactionEnded(int32, record.Marker) {}
