package txn

import (
	"errors"
	"fmt"

	"quorumlog/internal/shards"
)

// errUnexpected means that the log has more batches than the shard knows of.
var errUnexpected = fmt.Errorf("transaction records from elsewhere in the log: %w", shards.ErrNotLeader)

// appendCode is what a request is answered whose record was not committed.
func appendCode(err error) int16 {
	switch {
	case err == nil:
		return none
	case errors.Is(err, shards.ErrNotLeader):
		return notCoordinator
	case errors.Is(err, shards.ErrTooLarge):
		return unknownServerError
	default:
		return coordinatorNotAvailable
	}
}
