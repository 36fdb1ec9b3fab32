// Package shards is what the coordinators of groups and of transactions have in common: each serves
// the partitions of a topic that its node leads, and keeps in their logs what it must not forget.
package shards

import (
	"errors"

	"quorumlog/record"
)

// Log is a partition that holds a shard's state.
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
	ErrNotLeader = errors.New("not the leader of the coordinator's partition")
	// ErrTooLarge means that the log refuses a batch of this size: UNKNOWN_SERVER_ERROR.
	ErrTooLarge = errors.New("too large for the coordinator's log")
)
