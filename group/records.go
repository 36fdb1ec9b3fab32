package group

import (
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions of the keys in __consumer_offsets, and of the values as Kafka 4 writes them.
const (
	offsetKeyOld         = 0 // read only
	offsetKeyVersion     = 1
	groupKeyVersion      = 2
	offsetValueExpiring  = 1 // the only version with a deadline of its own
	offsetValueVersion   = 4
	groupValueVersion    = 3
	maxGroupValueVersion = 4
)

// errUnknownRecord means a record of a kind that this coordinator does not keep.
var errUnknownRecord = errors.New("unknown kind of group record")

// keyValue is one record of the log; a nil value is a tombstone.
type keyValue struct{ key, value []byte }

func offsetKey(group, topic string, partition int32) []byte {
	k := kmsg.OffsetCommitKey{Version: offsetKeyVersion, Group: group, Topic: topic, Partition: partition}
	return k.AppendTo(make([]byte, 0, 10+len(group)+len(topic)))
}

func (o *committed) value() []byte {
	v := kmsg.OffsetCommitValue{
		Version:         offsetValueVersion,
		Offset:          o.offset,
		LeaderEpoch:     o.leaderEpoch,
		Metadata:        o.metadata,
		CommitTimestamp: o.commitMs,
		ExpireTimestamp: o.expireMs,
		TopicID:         o.topicID,
	}
	if o.expireMs >= 0 {
		v.Version = offsetValueExpiring
	}
	return v.AppendTo(make([]byte, 0, 48+len(o.metadata)))
}

func groupKey(group string) []byte {
	k := kmsg.GroupMetadataKey{Version: groupKeyVersion, Group: group}
	return k.AppendTo(make([]byte, 0, 4+len(group)))
}

// metadataValue is the group as its next record says it, with the assignments given.
func (g *group) metadataValue(assignment map[string][]byte) []byte {
	v := kmsg.GroupMetadataValue{
		Version:               groupValueVersion,
		ProtocolType:          g.protocolType,
		Generation:            g.generation,
		Protocol:              nullable(g.protocol),
		CurrentStateTimestamp: g.stateMs,
	}
	if g.leader != nil {
		v.Leader = &g.leader.id
	}
	for _, m := range g.members {
		v.Members = append(v.Members, kmsg.GroupMetadataValueMember{
			MemberID:               m.id,
			InstanceID:             m.instance,
			ClientID:               m.clientID,
			ClientHost:             m.clientHost,
			RebalanceTimeoutMillis: m.rebalanceMs,
			SessionTimeoutMillis:   m.sessionMs,
			Subscription:           m.metadata(g.protocol),
			Assignment:             assignment[m.id],
		})
	}
	return v.AppendTo(nil)
}

// decoder reads records without copying; what it returns aliases the record.
type decoder struct {
	offsetKey   kmsg.OffsetCommitKey
	offsetValue kmsg.OffsetCommitValue
	groupKey    kmsg.GroupMetadataKey
	groupValue  kmsg.GroupMetadataValue
}

// recordKey is what a record is about: a group, or one of its offsets.
type recordKey struct {
	group     string
	isOffset  bool
	topic     string
	partition int32
}

func (d *decoder) key(b []byte) (recordKey, error) {
	if len(b) < 2 {
		return recordKey{}, fmt.Errorf("key of %d bytes: %w", len(b), errUnknownRecord)
	}
	switch version := int16(b[0])<<8 | int16(b[1]); version {
	case offsetKeyOld, offsetKeyVersion:
		err := d.offsetKey.UnsafeReadFrom(b)
		return recordKey{d.offsetKey.Group, true, d.offsetKey.Topic, d.offsetKey.Partition}, err
	case groupKeyVersion:
		err := d.groupKey.UnsafeReadFrom(b)
		return recordKey{group: d.groupKey.Group}, err
	default:
		return recordKey{}, fmt.Errorf("key version %d: %w", version, errUnknownRecord)
	}
}

// offset reads the value of an offset's record.
func (d *decoder) offset(b []byte) (committed, error) {
	v := &d.offsetValue
	v.Version = -1
	if err := v.UnsafeReadFrom(b); err != nil {
		return committed{}, err
	}
	if v.Version < 0 || v.Version > offsetValueVersion {
		return committed{}, fmt.Errorf("offset value version %d: %w", v.Version, errUnknownRecord)
	}
	o := committed{
		offset: v.Offset, commitMs: v.CommitTimestamp, expireMs: -1, metadata: v.Metadata,
		topicID: v.TopicID, leaderEpoch: -1,
	}
	if v.Version == offsetValueExpiring {
		o.expireMs = v.ExpireTimestamp
	}
	if v.Version >= 3 {
		o.leaderEpoch = v.LeaderEpoch
	}
	return o, nil
}

// group reads the value of a group's record.
func (d *decoder) group(b []byte) (*kmsg.GroupMetadataValue, error) {
	v := &d.groupValue
	if err := v.UnsafeReadFrom(b); err != nil {
		return nil, err
	}
	if v.Version < 0 || v.Version > maxGroupValueVersion {
		return nil, fmt.Errorf("group value version %d: %w", v.Version, errUnknownRecord)
	}
	return v, nil
}

func nullable(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
