package broker

import (
	"fmt"
	"time"

	"quorumlog/cluster"
	"quorumlog/group"
	"quorumlog/protocol"
	"quorumlog/txn"
)

// transactionsSpec is how the controller makes the topic of transactions.
func (b *Broker) transactionsSpec() cluster.NewTopic {
	// A cluster smaller than the wanted factor starts with what it has.
	replicas := min(b.settings.Int("transaction.state.log.replication.factor"), b.liveBrokers())
	return cluster.NewTopic{
		Name:              transactionsTopic,
		Partitions:        int32(b.settings.Int("transaction.state.log.num.partitions")),
		ReplicationFactor: int16(replicas),
		Configs: map[string]string{
			"cleanup.policy":      "compact",
			"compression.type":    "uncompressed",
			"min.insync.replicas": fmt.Sprint(min(b.settings.Int("transaction.state.log.min.isr"), replicas)),
			"segment.bytes":       fmt.Sprint(b.settings.Int("transaction.state.log.segment.bytes")),
		},
	}
}

// interval is a setting in milliseconds.
func (b *Broker) interval(setting string) time.Duration {
	return time.Duration(b.settings.Int(setting)) * time.Millisecond
}

// newTxns returns the transaction coordinator with this broker's settings.
func (b *Broker) newTxns() *txn.Coordinator {
	return txn.New(txn.Options{
		PartitionFor: b.transactionPartition, ProducerID: b.producerIDs.next, Markers: b.markers,
		Logger: b.log.With("part", "transactions"), Now: b.now,
		MaxTimeout: b.interval("transaction.max.timeout.ms"),
		Expiration: b.interval("transactional.id.expiration.ms"),
	})
}

// transactionPartition is the partition of __transaction_state that holds a transactional id: the
// one that a group of that name would have.
func (b *Broker) transactionPartition(id string) int32 {
	n := int32(b.settings.Int("transaction.state.log.num.partitions"))
	if t := b.meta.Image().Topic(transactionsTopic); t != nil {
		n = int32(len(t.Partitions))
	}
	return group.PartitionFor(id, n)
}

// transactionCoordinator is the node that coordinates an id, -1 while there is none.
func (b *Broker) transactionCoordinator(id string) int32 {
	im := b.meta.Image()
	t := im.Topic(transactionsTopic)
	if t == nil {
		return -1
	}
	return b.leadership(im, t, b.transactionPartition(id)).leader
}

// senderOf is the connection of a request, as the coordinator tells late requests by it.
func senderOf(r *protocol.Request) txn.Sender {
	return txn.Sender{Conn: r.Conn.ID, Opened: r.Conn.Opened}
}
