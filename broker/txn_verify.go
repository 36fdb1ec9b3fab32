package broker

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/txn"
)

// Bounds of asking a coordinator.
const (
	verifyPause    = 20 * time.Millisecond
	verifyPatience = 3 * time.Second // while the coordinator changes
	verifyVersion  = 5
)

// verifyTransaction asks the coordinator of a transaction whether partitions are part of it;
// implicitAdd has it add them (KIP-890). It returns why not, for those that are not, in the
// coordinator's own codes.
func (b *Broker) verifyTransaction(ctx context.Context, transactionalID string, producerID int64, epoch int16, tps []topicPartition, implicitAdd bool) map[topicPartition]error {
	req := kmsg.NewPtrAddPartitionsToTxnRequest()
	req.SetVersion(verifyVersion)
	one := kmsg.NewAddPartitionsToTxnRequestTransaction()
	one.TransactionalID, one.ProducerID, one.ProducerEpoch, one.VerifyOnly = transactionalID, producerID, epoch, !implicitAdd
	for _, tp := range tps {
		if n := len(one.Topics); n == 0 || one.Topics[n-1].Topic != tp.topic {
			one.Topics = append(one.Topics, kmsg.AddPartitionsToTxnRequestTransactionTopic{Topic: tp.topic})
		}
		last := &one.Topics[len(one.Topics)-1]
		last.Partitions = append(last.Partitions, tp.partition)
	}
	req.Transactions = append(req.Transactions, one)
	deadline := time.Now().Add(verifyPatience)
	for {
		refused := b.askCoordinator(ctx, req, tps)
		if len(refused) == 0 || !allMoving(refused) || time.Now().After(deadline) {
			return refused
		}
		select {
		case <-time.After(verifyPause):
		case <-ctx.Done():
			return refused
		}
	}
}

// allMoving says that the coordinator was not there, or is not yet.
func allMoving(refused map[topicPartition]error) bool {
	for _, err := range refused {
		switch codeOf(err) {
		case kerr.NotCoordinator, kerr.CoordinatorNotAvailable, kerr.CoordinatorLoadInProgress:
		default:
			return false
		}
	}
	return true
}

// askCoordinator asks once.
func (b *Broker) askCoordinator(ctx context.Context, req *kmsg.AddPartitionsToTxnRequest, tps []topicPartition) map[topicPartition]error {
	refused := map[topicPartition]error{}
	resp := req.ResponseKind().(*kmsg.AddPartitionsToTxnResponse)
	node := b.transactionCoordinator(req.Transactions[0].TransactionalID)
	err := error(kerr.CoordinatorNotAvailable)
	if node >= 0 {
		err = b.askBroker(ctx, node, req, resp)
	}
	if err != nil {
		b.log.Debug("the transaction coordinator did not answer", "node", node, "err", err)
		for _, tp := range tps {
			refused[tp] = kerr.CoordinatorNotAvailable
		}
		return refused
	}
	for i := range resp.Transactions {
		for j := range resp.Transactions[i].Topics {
			t := &resp.Transactions[i].Topics[j]
			for _, p := range t.Partitions {
				if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
					refused[topicPartition{t.Topic, p.Partition}] = err
				}
			}
		}
	}
	return refused
}

// addPartitionsForBroker answers another broker's verifyTransaction.
func (b *Broker) addPartitionsForBroker(ctx context.Context, req *kmsg.AddPartitionsToTxnRequest, resp *kmsg.AddPartitionsToTxnResponse) error {
	b.txns.AddPartitionsToTxn(ctx, txn.Sender{}, req, resp)
	return nil
}
