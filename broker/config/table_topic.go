package config

// Reasons that several rows share.
const (
	everyRecordSynced  = "every acknowledged record is on the disks of a majority already, before it is acknowledged"
	noTiering          = "there is no tiered storage: all segments are kept on local disks"
	noConsumerProtocol = "the consumer protocol (KIP-848) is not served yet"
	noThrottle         = "moving replicas is not throttled by lists of replicas"
)

const (
	hour   = 3_600_000
	minute = 60_000
)

var anyCompression = oneOf("uncompressed", "zstd", "lz4", "snappy", "gzip", "producer")

func from(name string) []Synonym { return []Synonym{{Name: name}} }

// topicSettings are all that Kafka 4.3 documents for topics.
var topicSettings = []Setting{
	{Name: "cleanup.policy", Type: List, Default: "delete", Valid: eachOf("compact", "delete"), From: from("log.cleanup.policy"),
		Doc: "What happens to old records: `delete` removes segments that retention.ms or retention.bytes let go, `compact` keeps the last record of each key, both do both, and an empty list keeps everything."},
	{Name: "compression.gzip.level", Type: Int, Default: "-1", Valid: betweenOr(1, 9, -1), From: from("compression.gzip.level"),
		Doc: "The level at which the broker compresses when compression.type is `gzip`; -1 is gzip's own default."},
	{Name: "compression.lz4.level", Type: Int, Default: "9", Valid: between(1, 17), From: from("compression.lz4.level"),
		Doc: "The level at which the broker compresses when compression.type is `lz4`."},
	{Name: "compression.type", Type: String, Default: "producer", Valid: anyCompression, From: from("compression.type"),
		Doc: "How batches are stored: `producer` keeps what the producer sent, `uncompressed` unpacks, a codec's name recompresses batches that arrive in another one."},
	{Name: "compression.zstd.level", Type: Int, Default: "3", Valid: between(-131072, 22), From: from("compression.zstd.level"),
		Doc: "The level at which the broker compresses when compression.type is `zstd`."},
	{Name: "delete.retention.ms", Type: Long, Default: "86400000", Valid: atLeast(0), From: from("log.cleaner.delete.retention.ms"),
		Doc: "How long a compacted topic keeps the marker of a deleted key, so that readers that started before it was written still see it."},
	{Name: "file.delete.delay.ms", Type: Long, Default: "60000", Valid: atLeast(0), From: from("log.segment.delete.delay.ms"), Effect: Accepted,
		Why: "files are unlinked at once; a reader that still has one open goes on reading it",
		Doc: "How long a removed segment's files stay in the file system."},
	{Name: "flush.messages", Type: Long, Default: "9223372036854775807", Valid: atLeast(1), From: from("log.flush.interval.messages"), Effect: Accepted,
		Why: everyRecordSynced, Doc: "After how many records data is forced to disk."},
	{Name: "flush.ms", Type: Long, Default: "9223372036854775807", Valid: atLeast(0), From: from("log.flush.interval.ms"), Effect: Accepted,
		Why: everyRecordSynced, Doc: "After how long data is forced to disk."},
	{Name: "follower.replication.throttled.replicas", Type: List, Valid: throttled("follower.replication.throttled.replicas"), Effect: Accepted,
		Why: noThrottle, Doc: "Replicas whose copying is throttled at the receiving side."},
	{Name: "index.interval.bytes", Type: Int, Default: "4096", Valid: atLeast(0), From: from("log.index.interval.bytes"), Effect: Accepted,
		Why: "the offset index is dense, one entry a batch", Doc: "How many bytes of log lie between two entries of the offset index."},
	{Name: "leader.replication.throttled.replicas", Type: List, Valid: throttled("leader.replication.throttled.replicas"), Effect: Accepted,
		Why: noThrottle, Doc: "Replicas whose copying is throttled at the sending side."},
	{Name: "local.retention.bytes", Type: Long, Default: "-2", Valid: atLeast(-2), From: from("log.local.retention.bytes"), Effect: Accepted,
		Why: noTiering, Doc: "The size up to which a tiered topic keeps segments locally; -2 means retention.bytes."},
	{Name: "local.retention.ms", Type: Long, Default: "-2", Valid: atLeast(-2), From: from("log.local.retention.ms"), Effect: Accepted,
		Why: noTiering, Doc: "How long a tiered topic keeps segments locally; -2 means retention.ms."},
	{Name: "max.compaction.lag.ms", Type: Long, Default: "9223372036854775807", Valid: atLeast(1), From: from("log.cleaner.max.compaction.lag.ms"),
		Doc: "The longest that a record of a compacted topic may stay out of reach of compaction."},
	{Name: "max.message.bytes", Type: Int, Default: "1048588", Valid: atLeast(0), From: from("message.max.bytes"),
		Doc: "The largest batch, as stored, that is taken; a larger one is answered MESSAGE_TOO_LARGE."},
	{Name: "message.timestamp.after.max.ms", Type: Long, Default: "3600000", Valid: atLeast(0), From: from("log.message.timestamp.after.max.ms"),
		Doc: "How far a producer's timestamp may lie in the future; beyond it the batch is answered INVALID_TIMESTAMP. Without effect with LogAppendTime."},
	{Name: "message.timestamp.before.max.ms", Type: Long, Default: "9223372036854775807", Valid: atLeast(0), From: from("log.message.timestamp.before.max.ms"),
		Doc: "How far a producer's timestamp may lie in the past; beyond it the batch is answered INVALID_TIMESTAMP. Without effect with LogAppendTime."},
	{Name: "message.timestamp.type", Type: String, Default: "CreateTime", Valid: oneOf("CreateTime", "LogAppendTime"), From: from("log.message.timestamp.type"),
		Doc: "Whether a record bears the producer's time or the time at which the leader appended it."},
	{Name: "min.cleanable.dirty.ratio", Type: Double, Default: "0.5", Valid: fraction(), From: from("log.cleaner.min.cleanable.ratio"),
		Doc: "The share of the log that must be uncompacted before compaction begins; smaller saves disk and costs work."},
	{Name: "min.compaction.lag.ms", Type: Long, Default: "0", Valid: atLeast(0), From: from("log.cleaner.min.compaction.lag.ms"),
		Doc: "The shortest time for which a record of a compacted topic stays as it was written."},
	{Name: "min.insync.replicas", Type: Int, Default: "1", Valid: atLeast(1), From: from("min.insync.replicas"),
		Doc: "How many replicas must be in sync for a produce with acks=all to be taken, and hold it when it is answered; a majority of the replicas always does."},
	{Name: "preallocate", Type: Boolean, Default: "false", From: from("log.preallocate"), Effect: Accepted,
		Why: "segments are always allocated ahead in steps", Doc: "Whether a new segment's file is allocated whole."},
	{Name: "remote.log.copy.disable", Type: Boolean, Default: "false", Effect: Accepted,
		Why: noTiering, Doc: "Whether a tiered topic stops copying segments away."},
	{Name: "remote.log.delete.on.disable", Type: Boolean, Default: "false", Effect: Accepted,
		Why: noTiering, Doc: "Whether tiered segments are deleted when tiering is turned off."},
	{Name: "remote.storage.enable", Type: Boolean, Default: "false", Effect: Refused,
		Why: "Tiered storage is not available. Topic cannot be configured with remote log storage.",
		Doc: "Whether segments are moved to remote storage."},
	{Name: "retention.bytes", Type: Long, Default: "-1", From: from("log.retention.bytes"),
		Doc: "The size of a partition above which its oldest segments are deleted; negative is no limit. A setting for each partition, not for the topic."},
	{Name: "retention.ms", Type: Long, Default: "604800000", Valid: atLeast(-1), From: from("log.retention.ms"),
		Doc: "How long records are kept, by the newest timestamp of their segment; -1 is for ever."},
	{Name: "segment.bytes", Type: Int, Default: "1073741824", Valid: atLeast(1 << 20), From: from("log.segment.bytes"),
		Doc: "The size at which a new segment begins. Retention and compaction work on whole segments."},
	{Name: "segment.index.bytes", Type: Int, Default: "10485760", Valid: atLeast(4), From: from("log.index.size.max.bytes"), Effect: Accepted,
		Why: "an index grows with its segment", Doc: "The size of a segment's index at which a new segment begins."},
	{Name: "segment.jitter.ms", Type: Long, Default: "0", Valid: atLeast(0), From: from("log.roll.jitter.ms"), Effect: Accepted,
		Why: "segments roll as they are written to, not all at one time", Doc: "A random time taken off segment.ms, so that partitions do not roll together."},
	{Name: "segment.ms", Type: Long, Default: "604800000", Valid: atLeast(1), From: from("log.roll.ms"),
		Doc: "The age at which a new segment begins though the old one is not full, so that retention and compaction reach its records."},
	{Name: "unclean.leader.election.enable", Type: Boolean, Default: "false", From: from("unclean.leader.election.enable"), Effect: Refused,
		Why: "a replica that lacks acknowledged records is never elected",
		Doc: "Whether a replica that is not in sync may become leader, at the price of acknowledged records."},
}
