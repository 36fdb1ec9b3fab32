package broker

import (
	"context"

	"github.com/twmb/franz-go/pkg/kerr"

	"quorumlog/record"
)

// topicPartition names a partition as requests do.
type topicPartition struct {
	topic     string
	partition int32
}

// verifyTransaction asks the coordinator of a transaction whether partitions are part of it;
// implicitAdd has it add them (KIP-890). It returns why not, for those that are not. There is no
// coordinator yet.
func (b *Broker) verifyTransaction(_ context.Context, _ string, _ int64, _ int16, tps []topicPartition, _ bool) map[topicPartition]error {
	refused := make(map[topicPartition]error, len(tps))
	for _, tp := range tps {
		refused[tp] = kerr.CoordinatorNotAvailable
	}
	return refused
}

// offsetsTransactionEnded is told of a marker that is committed in a partition of the offsets topic.
// No group holds offsets of transactions yet.
func (b *Broker) offsetsTransactionEnded(int32, record.Marker) {}
