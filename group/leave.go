package group

import (
	"github.com/twmb/franz-go/pkg/kmsg"
)

// leaveBatch is the LeaveGroup version from which several members leave at once (KIP-345).
const leaveBatch = 3

// LeaveGroup answers versions 0-5. An administrator removes a static member by its instance id
// and an empty member id.
func (c *Coordinator) LeaveGroup(req *kmsg.LeaveGroupRequest, resp *kmsg.LeaveGroupResponse) {
	members := req.Members
	if req.Version < leaveBatch {
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID = req.MemberID
		members = []kmsg.LeaveGroupRequestMember{m}
	}
	code, results := c.leave(req.Group, members)
	resp.ErrorCode = code
	if req.Version >= leaveBatch {
		resp.Members = results
		return
	}
	for i := range results {
		if code == none {
			resp.ErrorCode = results[i].ErrorCode
		}
	}
}

func (c *Coordinator) leave(groupID string, members []kmsg.LeaveGroupRequestMember) (int16, []kmsg.LeaveGroupResponseMember) {
	if groupID == "" {
		return invalidGroupID, nil
	}
	s, code := c.enter(groupID)
	if code != none {
		return code, nil
	}
	defer s.mu.Unlock()
	g := s.group(groupID)
	if g != nil && g.state == Dead {
		return coordinatorNotAvailable, nil
	}
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
		return none, results
	}
	if g.state == Stable || g.state == CompletingRebalance {
		g.rebalance("members left")
	} else {
		g.maybeCompleteJoin()
	}
	s.image.dropIfVoid(g)
	return none, results
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
