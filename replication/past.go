package replication

import (
	"encoding/binary"
	"fmt"
)

// past is what the stable store remembers of a replica's log, beside the log itself: an empty
// directory alone does not tell a replica that is new from one that has lost everything.
type past byte

// The values are written to the stable store: never renumber.
const (
	pastNone past = 0
	// pastHolding: entries may have been acknowledged.
	pastHolding past = 1
	// pastEvicted: the log was lost and the group knows, so that the replica may begin again, as
	// a new member; it never founds the group.
	pastEvicted past = 2
)

const keyPast = "Past"

func (g *GroupStore) past() past {
	if v, err := g.Get([]byte(keyPast)); err == nil && len(v) == 1 {
		return past(v[0])
	}
	return pastNone
}

// setHolding returns when it is durable that the log holds entries, the last of them of that term,
// or the instance is stopped. A current term behind that is brought up.
func (g *GroupStore) setHolding(term uint64) {
	writes := map[string][]byte{g.prefix + keyPast: {byte(pastHolding)}}
	if have, err := g.GetUint64([]byte(keyTerm)); err != nil || have < term {
		writes[g.prefix+keyTerm] = binary.BigEndian.AppendUint64(nil, term)
	}
	g.insist(writes)
}

// Evicted says that the leader has answered this node's Evict: the replica may be opened, empty,
// and waits to be added again. Its term and vote stay.
func (n *Node) Evicted(group string) error {
	if err := n.init(); err != nil {
		return err
	}
	if err := n.Stable.Group(group).Set([]byte(keyPast), []byte{byte(pastEvicted)}); err != nil {
		return fmt.Errorf("partition %s: %w", group, storageError(err))
	}
	return nil
}
