package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// addsPartitions reports whether the client leaves it to Produce to add partitions to its
// transaction, as those of transaction version 2 do, by Produce's version.
func addsPartitions(version int16) bool { return version >= 12 }

// verify asks the coordinator of the request's transaction about the partitions in which a batch
// would begin it, and fails what may not be appended.
func (b *Broker) verify(ctx context.Context, req *kmsg.ProduceRequest, pending []produced) {
	var asked []*produced
	for i := range pending {
		p := &pending[i]
		switch {
		case p.guard == nil || p.batch == nil:
		case len(asked) > 0 && asked[0].batch.ProducerID() != p.batch.ProducerID():
			p.fail(refuse(kerr.InvalidProducerIDMapping, "Transactional records contained more than one producer ID"))
		case p.guard.Ask():
			asked = append(asked, p)
		}
	}
	if len(asked) == 0 {
		return
	}
	tps := make([]topicPartition, len(asked))
	for i, p := range asked {
		tps[i] = topicPartition{p.topic, p.key.partition}
	}
	first := asked[0].batch
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	refused := b.verifyTransaction(ctx, *req.TransactionID, first.ProducerID(), first.ProducerEpoch(), tps, addsPartitions(req.Version))
	for i, p := range asked {
		if err := refused[tps[i]]; err != nil {
			p.fail(unverified(err, req.Version))
		}
	}
}

// verifyTimeout bounds how long a connection waits for a coordinator.
const verifyTimeout = 10 * time.Second

// unverified is how a coordinator's answer is told to a producer of a version: by an error that this
// knows what to do about.
func unverified(err error, version int16) error {
	switch {
	case errors.Is(err, kerr.ProducerFenced):
		return kerr.InvalidProducerEpoch
	case errors.Is(err, kerr.InvalidTxnState), errors.Is(err, kerr.TransactionAbortable) && version < 11:
		return refuse(kerr.InvalidTxnState, "Partition was not added to the transaction")
	case errors.Is(err, kerr.ConcurrentTransactions) && version >= 12:
		return err
	case errors.Is(err, kerr.ConcurrentTransactions), errors.Is(err, kerr.CoordinatorLoadInProgress),
		errors.Is(err, kerr.CoordinatorNotAvailable), errors.Is(err, kerr.NotCoordinator), errors.Is(err, context.DeadlineExceeded):
		// Retriable for every client, and no reason to ask for the metadata.
		return refuse(kerr.NotEnoughReplicas, fmt.Sprintf("Unable to verify the partition has been added to the transaction. Underlying error: %v", codeOf(err)))
	}
	return err
}
