package group

import (
	"errors"
	"fmt"

	"quorumlog/internal/shards"
)

// Errors that the log of a transaction wraps, beside those of every shard.
var (
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
	case errors.Is(err, shards.ErrNotLeader):
		return notCoordinator
	case errors.Is(err, shards.ErrTooLarge):
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
var errUnexpected = fmt.Errorf("group records from elsewhere in the log: %w", shards.ErrNotLeader)

// errBusy means that too much waits for the log already.
var errBusy = errors.New("too many group records wait for the log")
