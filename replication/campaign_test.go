package replication

import (
	"errors"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// A vote that is split leaves candidates behind, whom Raft itself would let wait for an election
// timeout.
func TestACandidateThatHasNotWonStandsAgainWhenItIsTold(t *testing.T) {
	n := newNode(t, t.TempDir(), 1)
	n.Timing.Heartbeat = time.Hour // nobody else is reached
	p, err := n.OpenPartition(PartitionConfig{Group: "g-0", Dir: t.TempDir(), Voters: disks(1, 2, 3)})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for range 3 {
		before := p.Term()
		p.Campaign()
		eventually(t, "another election", func() bool {
			return p.Term() > before && p.inst.Load().raft.State() == raft.Candidate && p.inst.Load().stable.votedFor(1) == p.Term()
		})
	}
}

// votedFor is the last term in which a node gave its vote to this one.
func (g *GroupStore) votedFor(node int32) uint64 {
	candidate, _ := g.Get([]byte(keyVoteCandidate))
	if string(candidate) != string(NodeAddress(node)) {
		return 0
	}
	term, _ := g.GetUint64([]byte(keyVoteTerm))
	return term
}

// Raft lets a leader without followers wait for its lease to end, and heeds nothing until then.
func TestALeaderThatResignsFailsWhatIsInFlightAtOnce(t *testing.T) {
	c := newCluster(t, time.Hour)
	lead := c.leader()
	mustAppend(t, lead, batchOf("one"))
	c.net.setCut(lead.node.ID, true)
	a := lead.Append(batchOf("two"))
	lead.Resign()
	<-a.Done()
	if _, err := a.Result(); !errors.Is(err, ErrNotLeader) {
		t.Fatalf("append: %v", err)
	}
	c.stopLeading(lead)
	c.net.setCut(lead.node.ID, false)
	mustAppend(t, c.leader(), batchOf("three"))
	c.settled()
}
