package txn

import "github.com/twmb/franz-go/pkg/kmsg"

// State is a transaction's state; names and numbers are Kafka's.
type State int8

// The states of a transactional id. Kafka's PrepareEpochFence (7) is never written to the log.
const (
	// Empty has a producer id and has not had a transaction with it.
	Empty State = iota
	// Ongoing has partitions.
	Ongoing
	// PrepareCommit is decided: whatever happens, every partition gets a commit marker.
	PrepareCommit
	// PrepareAbort is decided: whatever happens, every partition gets an abort marker.
	PrepareAbort
	// CompleteCommit has all its markers.
	CompleteCommit
	// CompleteAbort has all its markers.
	CompleteAbort
)

// known are the states that may stand in the log.
func (s State) known() bool { return s >= Empty && s <= CompleteAbort }

// ending says that markers are being written.
func (s State) ending() bool { return s == PrepareCommit || s == PrepareAbort }

// ended says that there is no transaction.
func (s State) ended() bool { return s == Empty || s == CompleteCommit || s == CompleteAbort }

// commits says which way a transaction goes, or went.
func (s State) commits() bool { return s == PrepareCommit || s == CompleteCommit }

// String is the name that Kafka's protocol uses.
func (s State) String() string { return kmsg.TransactionState(s).String() }

// stateNamed finds a state by the name that a client filters by. Two of Kafka's names are known
// though no id is ever seen in them.
func stateNamed(name string) (State, bool) {
	const last = 7
	for s := Empty; s <= last; s++ {
		if s.String() == name {
			return s, true
		}
	}
	return 0, false
}
