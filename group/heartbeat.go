package group

import "github.com/twmb/franz-go/pkg/kmsg"

// Heartbeat answers versions 0-4.
func (c *Coordinator) Heartbeat(req *kmsg.HeartbeatRequest, resp *kmsg.HeartbeatResponse) {
	resp.ErrorCode = c.heartbeat(req)
}

func (c *Coordinator) heartbeat(req *kmsg.HeartbeatRequest) int16 {
	if req.Group == "" {
		return invalidGroupID
	}
	s, code := c.enter(req.Group)
	if code == coordinatorLoadInProgress {
		return none // sessions begin anew when the group has been loaded
	}
	if code != none {
		return code
	}
	defer s.mu.Unlock()
	g := s.group(req.Group)
	if g == nil {
		return unknownMemberID
	}
	if g.state == Dead {
		return coordinatorNotAvailable
	}
	if code := g.validate(req.MemberID, req.InstanceID); code != none {
		return code
	}
	if req.Generation != g.generation {
		return illegalGeneration
	}
	g.touch(g.byID[req.MemberID])
	if g.state == PreparingRebalance {
		return rebalanceInProgress
	}
	return none
}
