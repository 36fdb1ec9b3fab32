package replication

import (
	"errors"
	"fmt"

	"quorumlog/log"
)

// Errors of a partition; details are wrapped around them. Those of package log (sequence
// numbers, producer epochs, offsets out of range) come through as they are.
var (
	// ErrNotLeader is returned by whatever only the leader may do. After it the outcome of an
	// Append that was in flight is unknown: the next leader may have it.
	ErrNotLeader = errors.New("not the leader of this partition")
	// ErrUnavailable is returned while there is no quorum to answer, when the partition is
	// overloaded, and when it is closing. Trying again later is right.
	ErrUnavailable = errors.New("partition is unavailable")
	// ErrStorage is returned while this replica's disk does not take writes.
	ErrStorage = errors.New("storage error")
	// ErrNoRoute is returned for an RPC to a node that this one has no connection to.
	ErrNoRoute = errors.New("no route to node")
)

// storageError tells the cause without the log's own sentinels: callers retry, they need not
// know that the log is being reopened.
func storageError(cause error) error { return fmt.Errorf("%w: %v", ErrStorage, cause) }

// readError hides that the log is being replaced or closed from readers. A log that turns out to
// be damaged ends the replica.
func (p *Partition) readError(err error) error {
	switch {
	case errors.Is(err, log.ErrClosed):
		return fmt.Errorf("%w: %v", ErrUnavailable, err)
	case errors.Is(err, log.ErrCorrupt):
		p.onWriteError(err)
		return storageError(err)
	}
	return err
}
