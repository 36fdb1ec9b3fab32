package group

// State is a classic group's state; its names are Kafka's.
type State int8

// The states of a group.
const (
	// Empty has no members; it may have offsets.
	Empty State = iota
	// PreparingRebalance waits for members to join the next generation.
	PreparingRebalance
	// CompletingRebalance has its members and waits for the leader's assignment.
	CompletingRebalance
	// Stable has an assignment.
	Stable
	// Dead is being deleted; a group that does not exist is called so too.
	Dead
)

var stateNames = [...]string{"Empty", "PreparingRebalance", "CompletingRebalance", "Stable", "Dead"}

// String is the name that Kafka's protocol uses.
func (s State) String() string { return stateNames[s] }
