package broker

import (
	"context"
	"errors"

	"github.com/twmb/franz-go/pkg/kerr"

	"quorumlog/cluster"
	"quorumlog/log"
	"quorumlog/record"
	"quorumlog/replication"
)

// answers maps errors of the packages below to Kafka's codes, the first match wins.
var answers = []struct {
	is   error
	code *kerr.Error
}{
	{replication.ErrNotLeader, kerr.NotLeaderForPartition},
	{replication.ErrUnavailable, kerr.RequestTimedOut},
	{replication.ErrStorage, kerr.KafkaStorageError},
	{replication.ErrEmptied, kerr.KafkaStorageError},
	{log.ErrOutOfRange, kerr.OffsetOutOfRange},
	{log.ErrOutOfOrderSequence, kerr.OutOfOrderSequenceNumber},
	{log.ErrStaleEpoch, kerr.InvalidProducerEpoch},
	{log.ErrUnknownProducer, kerr.UnknownProducerID},
	{log.ErrTransactionState, kerr.InvalidTxnState},
	{log.ErrCoordinatorFenced, kerr.TransactionCoordinatorFenced},
	{log.ErrCorrupt, kerr.KafkaStorageError},
	{log.ErrFailed, kerr.KafkaStorageError},
	{log.ErrClosed, kerr.NotLeaderForPartition},
	{record.ErrUnsupportedCodec, kerr.UnsupportedCompressionType},
	{record.ErrTooLarge, kerr.MessageTooLarge},
	{record.ErrUnpacked, kerr.InvalidRecord},
	{record.ErrMagic, kerr.InvalidRecord},
	{record.ErrTimestamp, kerr.InvalidTimestamp},
	{record.ErrInvalid, kerr.InvalidRecord},
	{record.ErrCorrupt, kerr.CorruptMessage},
	{cluster.ErrTopicExists, kerr.TopicAlreadyExists},
	{cluster.ErrUnknownTopic, kerr.UnknownTopicOrPartition},
	{cluster.ErrInvalidTopicName, kerr.InvalidTopicException},
	{cluster.ErrInvalidPartitions, kerr.InvalidPartitions},
	{cluster.ErrInvalidReplicationFactor, kerr.InvalidReplicationFactor},
	{cluster.ErrInvalidReplicaAssignment, kerr.InvalidReplicaAssignment},
	{cluster.ErrUnknownTopicID, kerr.UnknownTopicID},
	{cluster.ErrTooManyPartitions, kerr.PolicyViolation},
	{cluster.ErrInvalidRequest, kerr.InvalidRequest},
	{cluster.ErrUnknownBroker, kerr.BrokerIDNotRegistered},
	{cluster.ErrBrokerInUse, kerr.InvalidRequest},
	{cluster.ErrNoReassignment, kerr.NoReassignmentInProgress},
	{cluster.ErrDuplicateBroker, kerr.DuplicateBrokerRegistration},
	{cluster.ErrNotController, kerr.NotController},
	{cluster.ErrClosed, kerr.NotController},
	{context.DeadlineExceeded, kerr.RequestTimedOut},
	{context.Canceled, kerr.RequestTimedOut},
}

// codeOf returns the Kafka error that a client is told for err; nil for nil.
func codeOf(err error) *kerr.Error {
	if err == nil {
		return nil
	}
	var k *kerr.Error
	if errors.As(err, &k) {
		return k
	}
	for _, a := range answers {
		if errors.Is(err, a.is) {
			return a.code
		}
	}
	return kerr.UnknownServerError
}

// code is codeOf's number; 0 for nil.
func code(err error) int16 {
	if k := codeOf(err); k != nil {
		return k.Code
	}
	return 0
}

// refusal is a Kafka error with words for a person.
type refusal struct {
	code *kerr.Error
	text string
}

func (r *refusal) Error() string { return r.text }

// Unwrap gives codeOf the Kafka error.
func (r *refusal) Unwrap() error { return r.code }

func refuse(code *kerr.Error, text string) error { return &refusal{code, text} }

// message returns the words for a person that go with an error; nil for nil.
func message(err error) *string {
	if err == nil {
		return nil
	}
	var k *kerr.Error
	text := err.Error()
	if errors.As(err, &k) && text == k.Error() {
		text = k.Description
	}
	return &text
}
