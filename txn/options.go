package txn

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"quorumlog/record"
)

// Options configure a Coordinator. The zero value of a duration is Kafka's default.
type Options struct {
	// PartitionFor is the partition of __transaction_state that holds an id. It must not block.
	// Required.
	PartitionFor func(id string) int32
	// ProducerID returns a producer id that nobody has. Required.
	ProducerID func(ctx context.Context) (int64, error)
	// Markers writes the markers of transactions that have ended. Required.
	Markers Markers
	// Logger defaults to slog.Default().
	Logger *slog.Logger

	// Now is the wall clock, which the log's times are of. It defaults to time.Now.
	Now func() time.Time

	MaxTimeout time.Duration // transaction.max.timeout.ms; 15 min
	Expiration time.Duration // transactional.id.expiration.ms; 7 days
}

func (o Options) withDefaults() Options {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	if o.Now == nil {
		o.Now = time.Now
	}
	o.MaxTimeout = cmp.Or(o.MaxTimeout, 15*time.Minute)
	o.Expiration = cmp.Or(o.Expiration, 7*24*time.Hour)
	return o
}

// Markers writes what ends a transaction in its partitions.
type Markers interface {
	// Write has a marker written into each partition that still exists, however long that takes, and
	// then calls written, once, from a goroutine of its own. It returns at once. When ctx ends the
	// coordinator has changed: the next one writes the markers again.
	Write(ctx context.Context, e Ended, written func())
}

// Ended is a transaction of which it is decided how it ends.
type Ended struct {
	TransactionalID string
	Marker          record.Marker
	Version         Version // V2: the marker's epoch is higher than any that the producer has written with
	Partitions      []TopicPartition
}
