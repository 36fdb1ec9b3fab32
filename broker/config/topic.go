package config

import "fmt"

// TopicConfig is a topic's configuration in force, in the units of its names: milliseconds and
// bytes. Negative limits are no limits.
type TopicConfig struct {
	Cleanup           CleanupPolicy
	Compression       string // "producer", "uncompressed", "gzip", "snappy", "lz4" or "zstd"
	CompressionLevel  int    // of that codec
	DeleteRetentionMs int64
	LogAppendTime     bool // message.timestamp.type is LogAppendTime
	MaxCompactionLag  int64
	MaxMessageBytes   int
	MinCleanableRatio float64
	MinCompactionLag  int64
	MinInSyncReplicas int
	RetentionBytes    int64
	RetentionMs       int64
	SegmentBytes      int64
	SegmentMs         int64
	TimestampAfterMs  int64 // how far a producer's timestamp may lie in the future
	TimestampBeforeMs int64 // and in the past
}

// CleanupPolicy is what happens to old records: any sum of the two policies, or 0 to keep all.
type CleanupPolicy uint8

// The policies.
const (
	CleanupDelete CleanupPolicy = 1 << iota
	CleanupCompact
)

// Deletes returns whether retention applies.
func (c CleanupPolicy) Deletes() bool { return c&CleanupDelete != 0 }

// Compacts returns whether only the last record of each key is kept.
func (c CleanupPolicy) Compacts() bool { return c&CleanupCompact != 0 }

// Topic returns the configuration in force of a topic that overrides these. Overrides that this
// version does not know, or cannot read, have no effect.
func (v *Values) Topic(overrides map[string]string) TopicConfig {
	r := topicReader{v.current.Load(), overrides}
	c := TopicConfig{
		Compression:       r.value("compression.type").text,
		DeleteRetentionMs: r.num("delete.retention.ms"),
		LogAppendTime:     r.value("message.timestamp.type").text == "LogAppendTime",
		MaxCompactionLag:  r.num("max.compaction.lag.ms"),
		MaxMessageBytes:   int(r.num("max.message.bytes")),
		MinCleanableRatio: r.value("min.cleanable.dirty.ratio").real,
		MinCompactionLag:  r.num("min.compaction.lag.ms"),
		MinInSyncReplicas: int(r.num("min.insync.replicas")),
		RetentionBytes:    r.num("retention.bytes"),
		RetentionMs:       r.num("retention.ms"),
		SegmentBytes:      r.num("segment.bytes"),
		SegmentMs:         r.num("segment.ms"),
		TimestampAfterMs:  r.num("message.timestamp.after.max.ms"),
		TimestampBeforeMs: r.num("message.timestamp.before.max.ms"),
	}
	for _, policy := range r.value("cleanup.policy").list {
		switch policy {
		case "delete":
			c.Cleanup |= CleanupDelete
		case "compact":
			c.Cleanup |= CleanupCompact
		}
	}
	if c.Cleanup.Compacts() {
		c.SegmentMs = min(c.SegmentMs, c.MaxCompactionLag) // what takes writes is not compacted (KIP-354)
	}
	switch c.Compression {
	case "gzip", "lz4", "zstd":
		c.CompressionLevel = int(r.num("compression." + c.Compression + ".level"))
	}
	return c
}

// ValidateTopic checks a topic's overrides one by one and together. The error wraps ErrUnknown or
// ErrInvalid.
func (v *Values) ValidateTopic(overrides map[string]string) error {
	for name := range sortedKeys(overrides) {
		if err := Topic.Validate(name, overrides[name]); err != nil {
			return err
		}
	}
	c := v.Topic(overrides)
	if c.MinCompactionLag > c.MaxCompactionLag {
		return &fault{ErrInvalid, fmt.Sprintf("conflict topic config setting min.compaction.lag.ms (%d) > max.compaction.lag.ms (%d)",
			c.MinCompactionLag, c.MaxCompactionLag)}
	}
	return nil
}

// topicReader resolves a topic's settings one at a time.
type topicReader struct {
	layers    *layers
	overrides map[string]string
}

func (r topicReader) value(name string) value {
	s := Topic.byName[name]
	return s.resolve(r.layers.chainOf(s, r.overrides, DynamicTopic))
}

func (r topicReader) num(name string) int64 { return r.value(name).num }

// chainOf is chain for a setting of a topic or a group: its own override, then the broker
// setting that is its default.
func (l *layers) chainOf(s *Setting, overrides map[string]string, source Source) []Link {
	var chain []Link
	if text, ok := overrides[s.Name]; ok {
		chain = append(chain, Link{s.Name, text, source, s, 1})
	}
	if len(s.From) == 0 {
		return append(chain, Link{s.Name, s.Default, Default, s, 1})
	}
	return append(chain, l.chain(Broker.byName[s.From[0].Name], max(s.From[0].Scale, 1))...)
}
