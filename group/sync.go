package group

import (
	"bytes"
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// syncProtocol is the SyncGroup version from which a member names the protocol (KIP-559).
const syncProtocol = 5

// SyncGroup answers versions 0-5. Members wait for the leader's assignment to be committed.
func (c *Coordinator) SyncGroup(req *kmsg.SyncGroupRequest, resp *kmsg.SyncGroupResponse) (wait func(context.Context)) {
	if req.Version >= syncProtocol && (req.ProtocolType == nil || req.Protocol == nil) {
		syncError(resp, inconsistentGroupProtocol)
		return nil
	}
	if req.Group == "" {
		syncError(resp, invalidGroupID)
		return nil
	}
	s, code := c.enter(req.Group)
	if code != none {
		syncError(resp, code)
		return nil
	}
	defer s.mu.Unlock()
	g := s.group(req.Group)
	if g == nil {
		syncError(resp, unknownMemberID)
		return nil
	}
	if code := g.checkSync(req); code != none {
		syncError(resp, code)
		return nil
	}
	m := g.byID[req.MemberID]
	g.setPendingSync(m, false)
	if g.state == Stable {
		g.assign(m, resp)
		return nil
	}
	m.sync.answer(func(r *kmsg.SyncGroupResponse) { syncError(r, rebalanceInProgress) })
	w := newWaiter(&s.mu, resp)
	m.sync = w
	if m == g.leader {
		g.store(req.GroupAssignment)
	}
	return w.wait
}

func (g *group) checkSync(req *kmsg.SyncGroupRequest) int16 {
	if g.state == Dead {
		return coordinatorNotAvailable
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != none {
		return code
	}
	differs := func(a *string, b string) bool { return a != nil && *a != b }
	switch {
	case req.Generation != g.generation:
		return illegalGeneration
	case differs(req.ProtocolType, g.protocolType), differs(req.Protocol, g.protocol):
		return inconsistentGroupProtocol
	case g.state == PreparingRebalance:
		return rebalanceInProgress
	case g.state == Empty:
		return unknownMemberID
	}
	return none
}

// store writes the leader's assignment. Once that is committed the group is stable and all
// who wait have their answer, unless a rebalance has begun meanwhile.
func (g *group) store(as []kmsg.SyncGroupRequestGroupAssignment) {
	assignment := make(map[string][]byte, len(g.members))
	for i := range as {
		if m := g.byID[as[i].MemberID]; m != nil {
			assignment[m.id] = bytes.Clone(as[i].MemberAssignment)
		}
	}
	generation := g.generation
	g.write(g.metadataValue(assignment), func(err error) {
		if g.state != CompletingRebalance || g.generation != generation {
			return
		}
		if err != nil {
			g.failSync(appendCode(err))
			g.prepareRebalance("the assignment could not be written")
			return
		}
		g.become(Stable)
		for _, m := range g.members {
			m.assignment = assignment[m.id]
			if w := m.sync; w != nil {
				m.sync = nil
				w.answer(func(r *kmsg.SyncGroupResponse) { g.assign(m, r) })
				g.touch(m)
			}
		}
	})
}

// assign answers a SyncGroup with the member's assignment.
func (g *group) assign(m *member, r *kmsg.SyncGroupResponse) {
	r.ErrorCode = none
	r.ProtocolType, r.Protocol = nullable(g.protocolType), nullable(g.protocol)
	r.MemberAssignment = m.assignment
	if r.MemberAssignment == nil {
		r.MemberAssignment = []byte{}
	}
}

// failSync takes back all assignments and answers the parked SyncGroups with an error.
func (g *group) failSync(code int16) {
	for _, m := range g.members {
		m.assignment = nil
		if w := m.sync; w != nil {
			m.sync = nil
			w.answer(func(r *kmsg.SyncGroupResponse) { syncError(r, code) })
			g.touch(m)
		}
	}
}

// stopSync forgets who has not asked for an assignment.
func (g *group) stopSync() {
	for _, m := range g.members {
		m.pendingSync = false
	}
	g.unsynced = 0
	g.s.timers.stop(&g.syncTimer)
}

// syncExpired removes the members that have joined a generation but not asked for their
// assignment within the rebalance timeout.
func (g *group) syncExpired() {
	if g.unsynced == 0 || g.state != CompletingRebalance && g.state != Stable {
		return
	}
	for _, m := range append([]*member(nil), g.members...) {
		if m.pendingSync {
			g.s.logger.Info("removed a member that did not sync", "group", g.id, "member", m.id)
			g.expel(m)
		}
	}
	g.prepareRebalance("members did not sync in time")
}

func syncError(r *kmsg.SyncGroupResponse, code int16) {
	r.ErrorCode = code
	r.ProtocolType, r.Protocol = nil, nil
	r.MemberAssignment = []byte{}
}
