package replication

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// ErrEmptied is returned by OpenPartition for a replica that has acknowledged entries and whose
// log is gone. Under its old name it would vote as if it had them: it must be taken out of the
// group first (Partition.Evict on the leader, then Node.Evicted here), and comes back as a new
// member. A replica that was alone cannot be rebuilt.
var ErrEmptied = errors.New("replica has lost the log that it acknowledged")

// admission decides which elections a replica may take part in. Raft lets a member without a
// configuration vote for anybody; one that waits to be added, in the place of another that was
// there before it (its disk was wiped, its log was set aside), would then vote for candidates
// that lack what its predecessor acknowledged. So a replica votes only in a group that it knows
// itself a member of, and stands only where it is a voter. See docs/adr/0008.
type admission struct {
	id   raft.ServerID
	raft atomic.Pointer[raft.Raft] // nil until it runs
}

var errNotMember = errors.New("this replica is not a member of the group")

// check returns why a request may not reach Raft.
func (a *admission) check(request any) error {
	var ok bool
	switch request.(type) {
	case *raft.RequestVoteRequest, *raft.RequestPreVoteRequest:
		_, ok = a.suffrage()
	case *raft.TimeoutNowRequest:
		s, member := a.suffrage()
		ok = member && s == raft.Voter
	default:
		return nil
	}
	if !ok {
		return fmt.Errorf("%T: %w", request, errNotMember)
	}
	return nil
}

// suffrage is this replica's own in the latest configuration it knows of.
func (a *admission) suffrage() (s raft.ServerSuffrage, member bool) {
	r := a.raft.Load()
	if r == nil {
		return 0, false
	}
	return suffrageOf(r.GetConfiguration().Configuration(), a.id)
}

// leads reports whether Raft leads.
func (a *admission) leads() bool {
	r := a.raft.Load()
	return r != nil && r.State() == raft.Leader
}

func suffrageOf(c raft.Configuration, id raft.ServerID) (s raft.ServerSuffrage, member bool) {
	for _, s := range c.Servers {
		if s.ID == id {
			return s.Suffrage, true
		}
	}
	return 0, false
}
