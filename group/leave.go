package group

import (
	"context"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveBatch is the LeaveGroup version from which several members leave at once (KIP-345).
const leaveBatch = 3

// LeaveGroup answers versions 0-5. An administrator removes a static member by its instance id
// and an empty member id. Whoever leaves last waits until it is committed that the group is empty:
// a coordinator that took over without knowing would keep the group waiting for its session to end.
func (c *Coordinator) LeaveGroup(req *kmsg.LeaveGroupRequest, resp *kmsg.LeaveGroupResponse) (wait func(context.Context)) {
	members := req.Members
	if req.Version < leaveBatch {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = req.MemberID
		members = []kmsg.LeaveGroupRequestMember{m}
	}
	if req.Group == "" {
		resp.ErrorCode = invalidGroupID
		return nil
	}
	s, code := c.enter(req.Group)
	if code != none {
		resp.ErrorCode = code
		return nil
	}
	defer s.mu.Unlock()
	g := s.group(req.Group)
	if g != nil && g.state == Dead {
		resp.ErrorCode = coordinatorNotAvailable
		return nil
	}
	results := g.leave(members)
	if req.Version >= leaveBatch {
		resp.Members = results
	} else {
		resp.ErrorCode = results[0].ErrorCode
	}
	if g == nil || g.state != Empty || g.writes == 0 {
		return nil
	}
	w := newWaiter(&s.mu, resp)
	s.submit(&write{done: func(err error) {
		w.answer(func(r *kmsg.LeaveGroupResponse) {
			if err != nil {
				r.ErrorCode = notCoordinator
			}
		})
	}})
	return w.waitAtMost(c.opts.CommitTimeout, func(*kmsg.LeaveGroupResponse) {})
}

// leave removes members and lets the others rebalance. The receiver may be nil: nobody is a member
// of no group.
func (g *group) leave(members []kmsg.LeaveGroupRequestMember) []kmsg.LeaveGroupResponseMember {
	results := make([]kmsg.LeaveGroupResponseMember, len(members))
	left := false
	for i := range members {
		m, r := &members[i], &results[i]
		r.Default()
		r.MemberID, r.InstanceID = m.MemberID, m.InstanceID
		if g == nil {
			r.ErrorCode = unknownMemberID
			continue
		}
		r.ErrorCode = g.leaves(m.MemberID, m.InstanceID)
		left = left || r.ErrorCode == none
	}
	if !left {
		return results
	}
	if g.state == Stable || g.state == CompletingRebalance {
		g.rebalance("members left")
	} else {
		g.maybeCompleteJoin()
	}
	g.s.image.dropIfVoid(g)
	return results
}

// leaves removes one member.
func (g *group) leaves(id string, instance *string) int16 {
	if id == "" && instance != nil {
		if m := g.static[*instance]; m != nil {
			g.expel(m)
			return none
		}
		return unknownMemberID
	}
	if g.pending[id] != nil {
		g.removePending(id)
		return none
	}
	if code := g.validate(id, instance); code != none {
		return code
	}
	g.expel(g.byID[id])
	return none
}
