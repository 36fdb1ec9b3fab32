package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// replace lets a static member that has come back without an id take the place of m, which is
// fenced (KIP-345). A stable group goes on as it is if the member's protocols allow that.
func (g *group) replace(m *member, id string, req *kmsg.JoinGroupRequest, w *joinWaiter) {
	g.s.logger.Info("static member came back", "group", g.id, "instance", *m.instance, "member", id, "fenced", m.id)
	leader, before := g.leader.id, *m
	g.rename(m, id)
	g.update(m, req, w)
	g.touch(m)
	switch {
	case g.state == PreparingRebalance:
		g.maybeCompleteJoin()
	case g.state == Stable && g.protocol == g.vote():
		g.keep(m, &before, leader, w)
	default:
		// In CompletingRebalance the leader may be assigning to the old id.
		g.prepareRebalance("static member " + *m.instance + " came back; client reason: " + reason(req.Reason))
	}
}

// rename gives a static member a new id. Whoever waits under the old one is fenced.
func (g *group) rename(m *member, id string) {
	m.join.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, m.id, fencedInstanceID) })
	g.park(m, nil)
	m.sync.answer(func(r *kmsg.SyncGroupResponse) { syncError(r, fencedInstanceID) })
	m.sync = nil
	delete(g.byID, m.id)
	m.id = id
	g.byID[id] = m
}

// keep writes the member's new id and lets it have its old assignment, without a rebalance. If
// that cannot be written everything is as it was before.
func (g *group) keep(m, before *member, leader string, w *joinWaiter) {
	g.write(g.metadataValue(g.assignments()), func(err error) {
		if err != nil {
			w.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, "", appendCode(err)) })
			if g.byID[m.id] == m {
				g.restoreID(m, before)
			}
			return
		}
		if m.join != w {
			return // a rebalance has answered it, or a newer one has fenced it
		}
		g.park(m, nil)
		w.answer(func(r *kmsg.JoinGroupResponse) {
			g.welcome(m, r)
			if r.Version >= joinSkipAssignment {
				r.SkipAssignment = m == g.leader
				return
			}
			// An older client that finds itself the leader would assign anew, which the group
			// does not wait for: it is told the leader's old id.
			r.LeaderID, r.Members = leader, nil
		})
	})
}

// restoreID undoes a replacement.
func (g *group) restoreID(m, before *member) {
	g.rename(m, before.id)
	g.count(m, -1)
	m.protocols, m.rebalanceMs, m.sessionMs = before.protocols, before.rebalanceMs, before.sessionMs
	g.count(m, 1)
	g.touch(m)
}

// assignments is the members' assignments by member id.
func (g *group) assignments() map[string][]byte {
	out := make(map[string][]byte, len(g.members))
	for _, m := range g.members {
		out[m.id] = m.assignment
	}
	return out
}
