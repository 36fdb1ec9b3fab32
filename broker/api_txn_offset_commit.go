package broker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/group"
	"quorumlog/internal/shards"
	"quorumlog/log"
	"quorumlog/protocol"
	"quorumlog/record"
	"quorumlog/replication"
)

// TxnOffsetCommit (key 28), versions 0–6 (KIP-98, KIP-447); from v5 on it joins the group's offsets to
// the transaction by itself (KIP-890), topic ids from v6 on (KIP-848).
//
// Waited for: the transaction's coordinator, where this is the first commit of the transaction here;
// the commit to the log. The offsets count once the transaction is committed.
var _ = route(func(b *Broker) protocol.API { return protocol.ServeWait(0, 6, b.txnOffsetCommit) })

// txnCommitJoins is the version from which the request adds the group's offsets to the transaction.
const txnCommitJoins = 5

func (b *Broker) txnOffsetCommit(_ context.Context, _ *protocol.Request, req *kmsg.TxnOffsetCommitRequest, resp *kmsg.TxnOffsetCommitResponse) (func(context.Context), error) {
	return func(ctx context.Context) {
		guard, err := b.guardOffsets(ctx, req)
		if err != nil {
			resp.Topics = group.TxnCommitError(req, code(err))
			return
		}
		append := func(batch record.Batch) shards.Pending { return txnAppend{guard.AppendBatch(batch)} }
		if wait := b.groups.TxnOffsetCommit(req, resp, append); wait != nil {
			wait(ctx)
		}
	}, nil
}

// guardOffsets returns what lets a transaction's offsets into the group's partition, after asking the
// transaction's coordinator, where need be.
func (b *Broker) guardOffsets(ctx context.Context, req *kmsg.TxnOffsetCommitRequest) (*replication.Guard, error) {
	switch {
	case req.Group == "":
		return nil, kerr.InvalidGroupID
	case req.TransactionalID == "" || req.ProducerID < 0 || req.ProducerEpoch < 0:
		return nil, kerr.InvalidRequest
	}
	tp := topicPartition{offsetsTopic, b.groups.PartitionFor(req.Group)}
	p, err := b.led(ctx, tp.topic, tp.partition)
	if err != nil {
		return nil, kerr.NotCoordinator
	}
	like := record.NewBuilder(record.BuilderOptions{
		Transactional: true,
		Producer:      &record.Producer{ID: req.ProducerID, Epoch: req.ProducerEpoch, Sequence: -1},
	})
	like.Add(record.Record{Timestamp: b.now().UnixMilli()})
	guard := p.Guard(like.Build(), false)
	if !guard.Ask() {
		return guard, nil
	}
	ctx, cancel := context.WithTimeout(ctx, verifyTimeout)
	defer cancel()
	refused := b.verifyTransaction(ctx, req.TransactionalID, req.ProducerID, req.ProducerEpoch, []topicPartition{tp}, req.Version >= txnCommitJoins)
	return guard, unjoined(refused[tp], req.Version)
}

// unjoined is how the coordinator's answer is told to a client of a version.
func unjoined(err error, version int16) error {
	switch k := codeOf(err); {
	case err == nil:
		return nil
	case k == kerr.TransactionAbortable && version < txnCommitJoins:
		return kerr.InvalidTxnState
	case k == kerr.ProducerFenced:
		return kerr.InvalidProducerEpoch
	case k == kerr.NotCoordinator: // of the transaction, not of the group, which the client would look for
		return kerr.CoordinatorNotAvailable
	case k == kerr.ConcurrentTransactions && version < txnCommitJoins:
		return kerr.CoordinatorLoadInProgress // which every client retries
	default:
		return k
	}
}

// txnAppend is an append for a transaction, whose errors the group coordinator knows by its own names.
type txnAppend struct{ *replication.Append }

func (a txnAppend) Err() error {
	_, err := a.Result()
	switch {
	case errors.Is(err, log.ErrStaleEpoch):
		return fmt.Errorf("%w: %w", group.ErrFenced, err)
	case errors.Is(err, log.ErrTransactionState):
		return fmt.Errorf("%w: %w", group.ErrEnded, err)
	}
	return a.plain().Err()
}

func (a txnAppend) Offset() int64 { return a.plain().Offset() }

func (a txnAppend) plain() shardAppend {
	return shardAppend(a)
}

// endedTimeout bounds how long a marker's writer waits for the group coordinator to read it.
const endedTimeout = 5 * time.Second

// offsetsTransactionEnded tells the group coordinator of a marker that is committed in a partition of
// the offsets topic: it reads it from there.
func (b *Broker) offsetsTransactionEnded(partition int32, _ record.Marker) {
	ctx, cancel := context.WithTimeout(b.ctx, endedTimeout)
	defer cancel()
	b.groups.TransactionEnded(ctx, partition)
}
