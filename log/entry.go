// Package log stores one partition: a directory of segment files that is at the same time the
// partition's Kafka log and its Raft log.
//
// Every Raft entry is exactly one RecordBatch. Produced batches occupy offsets; Raft's own
// entries are control batches that occupy none. One goroutine writes (Append, TruncateSuffix);
// any number read, without locks, from an immutable list of segments.
package log

import (
	"errors"
	"fmt"
)

// Kind says what a Raft entry is.
type Kind uint8

// The kinds are written to the index and into control batches: never renumber them.
const (
	// KindData is a batch that a client produced (or a coordinator's, or a transaction marker):
	// it occupies offsets.
	KindData Kind = 1
	// KindNoop is the entry with which a new Raft leader asserts itself.
	KindNoop Kind = 2
	// KindConfiguration is a Raft membership change; its payload is Raft's encoding.
	KindConfiguration Kind = 3
	// KindBarrier is a Raft barrier.
	KindBarrier Kind = 4
	// KindCommand is a replicated instruction to the partition itself, such as "the log now
	// starts at offset n"; see Command.
	KindCommand Kind = 5

	// KindRemoved is an entry that compaction has removed. Its index and term are known still. It
	// is not written.
	KindRemoved Kind = 6
	// kindMap is the batch at the end of a compacted segment: see entryMap. It is no entry.
	kindMap Kind = 7
)

// Entry is one Raft entry.
type Entry struct {
	Index uint64
	Term  uint64
	Kind  Kind
	// Data is a whole RecordBatch for KindData and the bare payload for every other kind.
	// Append patches base offset and leader epoch of a KindData batch in place.
	Data []byte
}

// Errors of this package; details are wrapped around them.
var (
	// ErrCorrupt is returned when bytes below the commit index cannot be trusted: the replica
	// must stop and be rebuilt from the others.
	ErrCorrupt = errors.New("log is corrupt below its commit index")
	// ErrOutOfRange is returned for an offset below the log start or beyond the log end.
	ErrOutOfRange = errors.New("offset out of range")
	// ErrNotFound is returned for a Raft index that the log does not hold.
	ErrNotFound = errors.New("entry not found")
	// ErrClosed is returned by every call after Close.
	ErrClosed = errors.New("log is closed")
	// ErrFailed is returned after a write or sync failed in a way that leaves the tail of the
	// files unknown: the log must be opened again.
	ErrFailed = errors.New("log failed and must be reopened")
	// ErrFormat is returned for files written by a newer version.
	ErrFormat = errors.New("unknown on-disk format")
)

func corrupt(path, format string, args ...any) error {
	return fmt.Errorf("%s: %s: %w", path, fmt.Sprintf(format, args...), ErrCorrupt)
}
