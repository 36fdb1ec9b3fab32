package group

import (
	"errors"
	"fmt"

	"quorumlog/record"
)

// Log is the partition of __consumer_offsets that holds a shard's state.
type Log interface {
	// Append decides the batch's place in the log in call order and keeps the batch until done.
	Append(b record.Batch) Pending
	// Replay yields the committed batches in order, from an offset, or the start of the log where
	// that is higher, to the high watermark, until yield returns false. A batch is only read
	// during its call.
	Replay(from int64, yield func(record.Batch) bool) error
}

// Pending is a batch on its way into the log.
type Pending interface {
	// Done is closed when the batch is committed or has failed.
	Done() <-chan struct{}
	// Err is nil if the batch was committed. Call it after Done.
	Err() error
	// Offset is the committed batch's base offset. Call it after Done with a nil Err.
	Offset() int64
}

// Errors that a Log wraps, for the answers that clients get; any other error is answered with
// COORDINATOR_NOT_AVAILABLE.
var (
	// ErrNotLeader means that another node leads the partition, or that this node's disk
	// failed: NOT_COORDINATOR, upon which clients look for the coordinator again.
	ErrNotLeader = errors.New("not the leader of the offsets partition")
	// ErrTooLarge means that the log refuses a batch of this size: UNKNOWN_SERVER_ERROR.
	ErrTooLarge = errors.New("group state too large for the log")
	// ErrFenced means that a transaction's producer has been replaced: INVALID_PRODUCER_EPOCH.
	ErrFenced = errors.New("the transaction's producer is fenced")
	// ErrEnded means that a transaction has ended: INVALID_TXN_STATE.
	ErrEnded = errors.New("the transaction has ended")
)

// appendCode is what a request is answered whose record was not committed.
func appendCode(err error) int16 {
	switch {
	case err == nil:
		return none
	case errors.Is(err, ErrNotLeader):
		return notCoordinator
	case errors.Is(err, ErrTooLarge):
		return unknownServerError
	case errors.Is(err, ErrFenced):
		return invalidProducerEpoch
	case errors.Is(err, ErrEnded):
		return invalidTxnState
	default:
		return coordinatorNotAvailable
	}
}

// errUnexpected means that the log has more batches than the shard knows of.
var errUnexpected = fmt.Errorf("group records from elsewhere in the log: %w", ErrNotLeader)

// errBusy means that too much waits for the log already.
var errBusy = errors.New("too many group records wait for the log")
