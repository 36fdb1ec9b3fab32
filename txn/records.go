package txn

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// Versions of the records as Kafka 4 writes them; values of version 0 are read too.
const (
	keyVersion   = 0
	valueVersion = 1
)

// errUnknownRecord means a record of a kind that this coordinator does not keep.
var errUnknownRecord = errors.New("unknown kind of transaction record")

// keyValue is one record of the log; a nil value is a tombstone.
type keyValue struct{ key, value []byte }

// recordOverhead is about what a record takes in a batch beside its key and value, bytes.
const recordOverhead = 12

func (r keyValue) size() int { return recordOverhead + len(r.key) + len(r.value) }

func key(id string) []byte {
	k := kmsg.TxnMetadataKey{Version: keyVersion, TransactionalID: id}
	return k.AppendTo(make([]byte, 0, 4+len(id)))
}

// record is a transaction as the log keeps it.
func (t *transaction) record() keyValue {
	v := kmsg.TxnMetadataValue{
		Version:                  valueVersion,
		ProducerID:               t.producerID,
		ProducerEpoch:            t.epoch,
		TimeoutMillis:            t.timeoutMs,
		State:                    kmsg.TransactionState(t.state),
		LastUpdateTimestamp:      t.updateMs,
		StartTimestamp:           t.startMs,
		PreviousProducerID:       t.previousID,
		NextProducerID:           t.nextID,
		ClientTransactionVersion: int16(t.version),
		NextProducerEpoch:        noEpoch,
	}
	if t.state != Empty {
		v.Topics = []kmsg.TxnMetadataValueTopic{}
	}
	for _, p := range t.partitions {
		if n := len(v.Topics); n == 0 || v.Topics[n-1].Topic != p.Topic {
			v.Topics = append(v.Topics, kmsg.TxnMetadataValueTopic{Topic: p.Topic})
		}
		last := &v.Topics[len(v.Topics)-1]
		last.Partitions = append(last.Partitions, p.Partition)
	}
	return keyValue{key(t.id), v.AppendTo(nil)}
}

// parseKey reads what a record is about.
func parseKey(b []byte) (id string, err error) {
	if len(b) < 2 {
		return "", fmt.Errorf("key of %d bytes: %w", len(b), errUnknownRecord)
	}
	if version := int16(b[0])<<8 | int16(b[1]); version != keyVersion {
		return "", fmt.Errorf("key version %d: %w", version, errUnknownRecord)
	}
	var k kmsg.TxnMetadataKey
	if err := k.ReadFrom(b); err != nil {
		return "", err
	}
	return k.TransactionalID, nil
}

// parseValue reads what a record says of an id.
func parseValue(id string, b []byte) (*transaction, error) {
	var v kmsg.TxnMetadataValue
	if err := v.ReadFrom(b); err != nil {
		return nil, err
	}
	if v.Version < 0 || v.Version > valueVersion {
		return nil, fmt.Errorf("value version %d: %w", v.Version, errUnknownRecord)
	}
	t := &transaction{
		id: id, producerID: v.ProducerID, epoch: v.ProducerEpoch,
		previousID: v.PreviousProducerID, nextID: v.NextProducerID, version: Version(v.ClientTransactionVersion),
		timeoutMs: v.TimeoutMillis, state: State(v.State), startMs: v.StartTimestamp, updateMs: v.LastUpdateTimestamp,
	}
	if !t.state.known() {
		return nil, fmt.Errorf("state %d: %w", v.State, errUnknownRecord)
	}
	for i := range v.Topics {
		topic := strings.Clone(v.Topics[i].Topic)
		for _, p := range v.Topics[i].Partitions {
			t.partitions = append(t.partitions, TopicPartition{topic, p})
		}
	}
	slices.SortFunc(t.partitions, comparePartitions)
	t.partitions = slices.Compact(t.partitions)
	return t, nil
}
