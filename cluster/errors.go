package cluster

import (
	"errors"
	"fmt"
)

// What a decider refuses. The wrapping message has Kafka's words and is meant for people.
var (
	// ErrTopicExists: a topic of that name exists (TOPIC_ALREADY_EXISTS).
	ErrTopicExists = errors.New("topic already exists")
	// ErrUnknownTopic: no topic of that name or id (UNKNOWN_TOPIC_OR_PARTITION).
	ErrUnknownTopic = errors.New("unknown topic or partition")
	// ErrUnknownTopicID: no topic of that id (UNKNOWN_TOPIC_ID).
	ErrUnknownTopicID = errors.New("unknown topic id")
	// ErrInvalidTopicName: the name breaks Kafka's rules or collides with another one
	// (INVALID_TOPIC_EXCEPTION).
	ErrInvalidTopicName = errors.New("invalid topic")
	// ErrInvalidPartitions: a count that is not positive, or not an increase (INVALID_PARTITIONS).
	ErrInvalidPartitions = errors.New("invalid partitions")
	// ErrTooManyPartitions: more partitions than one change may create (POLICY_VIOLATION).
	ErrTooManyPartitions = errors.New("too many partitions")
	// ErrInvalidReplicationFactor: not positive, or more than there are brokers
	// (INVALID_REPLICATION_FACTOR).
	ErrInvalidReplicationFactor = errors.New("invalid replication factor")
	// ErrInvalidReplicaAssignment: an explicit placement that cannot be (INVALID_REPLICA_ASSIGNMENT).
	ErrInvalidReplicaAssignment = errors.New("invalid replica assignment")
	// ErrNoReassignment: the partition does not move (NO_REASSIGNMENT_IN_PROGRESS).
	ErrNoReassignment = errors.New("no reassignment in progress")
	// ErrInvalidRequest: fields that exclude each other or make no sense (INVALID_REQUEST).
	ErrInvalidRequest = errors.New("invalid request")
	// ErrUnknownBroker: no broker of that id is registered (BROKER_ID_NOT_REGISTERED).
	ErrUnknownBroker = errors.New("broker id not registered")
	// ErrDuplicateBroker: the id belongs to another data directory (DUPLICATE_BROKER_REGISTRATION).
	ErrDuplicateBroker = errors.New("duplicate broker registration")
	// ErrBrokerInUse: the broker has replicas, so it cannot be forgotten (INVALID_REQUEST).
	ErrBrokerInUse = errors.New("broker has replicas")
)

// What the methods of Metadata and Open return.
var (
	// ErrNotController: this node does not lead the metadata group; errors.As to
	// *NotControllerError tells who does (NOT_CONTROLLER). A change in flight when leadership was
	// lost may still be committed.
	ErrNotController = errors.New("not controller")
	// ErrClosed: the metadata is closed.
	ErrClosed = errors.New("metadata is closed")
	// ErrTooLarge: one decision does not fit one entry.
	ErrTooLarge = errors.New("metadata change is too large")
	// ErrNotCaughtUp: members that are to have a vote do not have the log yet.
	ErrNotCaughtUp = errors.New("members have not caught up")
	// ErrNoMajority: no majority of the voters would be live after the change.
	ErrNoMajority = errors.New("no majority of the voters would be left")
	// ErrNoSuccessor: no other voter can take the lead.
	ErrNoSuccessor = errors.New("nobody can take over the lead")
	// ErrFailed: the metadata stopped because it could not apply what was committed.
	ErrFailed = errors.New("metadata stopped")
)

// What the decoder refuses.
var (
	// ErrCorrupt: bytes that no version wrote.
	ErrCorrupt = errors.New("corrupt metadata")
	// ErrNewerVersion: written by a newer version of this program; nothing is guessed.
	ErrNewerVersion = errors.New("metadata of a newer version")
)

// NotControllerError is ErrNotController with the leader's node id.
type NotControllerError struct {
	// Leader is the node to ask, -1 while there is none.
	Leader int32
}

func (e *NotControllerError) Error() string {
	if e.Leader < 0 {
		return "No controller appears to be active."
	}
	return fmt.Sprintf("The active controller appears to be node %d.", e.Leader)
}

// Is makes errors.Is(err, ErrNotController) true.
func (e *NotControllerError) Is(target error) bool { return target == ErrNotController }

// refusal is a sentinel with a message of its own: clients see the message, code the sentinel.
type refusal struct {
	kind error
	msg  string
}

func (r *refusal) Error() string { return r.msg }
func (r *refusal) Unwrap() error { return r.kind }

func refuse(kind error, format string, args ...any) error {
	return &refusal{kind: kind, msg: fmt.Sprintf(format, args...)}
}
