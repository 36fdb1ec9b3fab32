package group

import (
	"cmp"
	"log/slog"
	"math"
	"time"
)

// Options configure a Coordinator. The zero value of a field is Kafka's default.
type Options struct {
	// Topics answers what the coordinator asks about topics. Required.
	Topics Topics
	// Logger defaults to slog.Default().
	Logger *slog.Logger

	InitialRebalanceDelay time.Duration // group.initial.rebalance.delay.ms; 3 s; negative: none
	MinSessionTimeout     time.Duration // group.min.session.timeout.ms; 6 s
	MaxSessionTimeout     time.Duration // group.max.session.timeout.ms; 30 min
	MaxSize               int           // group.max.size, members; unbounded
	MaxOffsetMetadata     int           // offset.metadata.max.bytes; 4096
	OffsetsRetention      time.Duration // offsets.retention.minutes; 7 days
	RetentionCheck        time.Duration // offsets.retention.check.interval.ms; 10 min
	CommitTimeout         time.Duration // offsets.commit.timeout.ms; 5 s
}

// newMemberJoinTimeout is how long a member may wait for its first rebalance. Such a member does
// not know its id yet and cannot send heartbeats; clients that gave up and came again would
// otherwise fill the group with members that nobody is.
const newMemberJoinTimeout = 5 * time.Minute

func (o Options) withDefaults() Options {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.InitialRebalanceDelay = max(0, cmp.Or(o.InitialRebalanceDelay, 3*time.Second))
	o.MinSessionTimeout = cmp.Or(o.MinSessionTimeout, 6*time.Second)
	o.MaxSessionTimeout = cmp.Or(o.MaxSessionTimeout, 30*time.Minute)
	o.MaxSize = cmp.Or(o.MaxSize, math.MaxInt32)
	o.MaxOffsetMetadata = cmp.Or(o.MaxOffsetMetadata, 4096)
	o.OffsetsRetention = cmp.Or(o.OffsetsRetention, 7*24*time.Hour)
	o.RetentionCheck = cmp.Or(o.RetentionCheck, 10*time.Minute)
	o.CommitTimeout = cmp.Or(o.CommitTimeout, 5*time.Second)
	return o
}

// TopicID identifies one incarnation of a topic; zero is unknown.
type TopicID = [16]byte

// Topics is what the coordinator asks about topics. Its methods must not block and must not
// call the coordinator.
type Topics interface {
	// Topic finds a topic by name.
	Topic(name string) (id TopicID, partitions int32, ok bool)
	// TopicByID finds a topic by its id.
	TopicByID(id TopicID) (name string, partitions int32, ok bool)
	// OffsetsPartitions is how many partitions __consumer_offsets has, or will have.
	OffsetsPartitions() int32
}
