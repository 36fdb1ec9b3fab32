package replication

import (
	"time"

	"github.com/hashicorp/raft"
)

// InSync returns the nodes whose replicas are in sync, as Kafka means it: they vote, and have all of
// their leader's log, or had it within Timing.Lag. A new leader gives the others as long to show it. Only
// the leader knows; others return nil.
func (p *Partition) InSync(now time.Time) []int32 {
	in, m, leading := p.membership()
	if !leading {
		return nil
	}
	begun := in.followers.begun(uint64(p.State().Epoch))
	nodes := make([]int32, 0, len(m.Servers))
	for _, s := range m.Servers {
		if s.Suffrage != raft.Voter {
			continue
		}
		f := m.follower(s.ID)
		seen := f.CaughtUp
		if seen.Before(begun) {
			seen = begun
		}
		if s.ID == m.self || f.Match >= m.last || now.Sub(seen) <= p.node.Timing.Lag {
			nodes = append(nodes, memberOf(s.ID).Node)
		}
	}
	return nodes
}

// HeldBy returns how many voters have an entry that is committed, this leader included, and a
// channel that is closed when that may have changed; 0 and nil where this replica does not lead.
func (p *Partition) HeldBy(index uint64) (n int, news <-chan struct{}) {
	in, m, leading := p.membership()
	if !leading {
		return 0, nil
	}
	news = in.followers.next()
	for _, s := range m.Servers {
		if s.Suffrage == raft.Voter && (s.ID == m.self || m.follower(s.ID).Match >= index) {
			n++
		}
	}
	return n, news
}
