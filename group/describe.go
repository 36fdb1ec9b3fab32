package group

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// describeNotFound is the DescribeGroups version from which a group that does not exist is an
// error (KIP-1043); before, it is a group in state Dead.
const describeNotFound = 6

// DescribeGroups answers versions 0-6, without authorized operations.
func (c *Coordinator) DescribeGroups(req *kmsg.DescribeGroupsRequest, resp *kmsg.DescribeGroupsResponse) {
	resp.Groups = make([]kmsg.DescribeGroupsResponseGroup, len(req.Groups))
	for i, id := range req.Groups {
		r := &resp.Groups[i]
		r.Default()
		r.Group = id
		s, code := c.enter(id)
		if code != none {
			r.ErrorCode = code
			continue
		}
		s.describe(r, req.Version)
		s.mu.Unlock()
	}
}

func (s *shard) describe(r *kmsg.DescribeGroupsResponseGroup, version int16) {
	g := s.group(r.Group)
	if g == nil || g.state == Dead {
		r.State = Dead.String()
		if version >= describeNotFound {
			r.ErrorCode = groupIDNotFound
			r.ErrorMessage = kmsg.StringPtr(fmt.Sprintf("Group %s not found.", r.Group))
		}
		return
	}
	r.State, r.ProtocolType = g.state.String(), g.protocolType
	if g.state == Stable {
		r.Protocol = g.protocol
	}
	r.Members = make([]kmsg.DescribeGroupsResponseGroupMember, len(g.members))
	for i, m := range g.members {
		d := &r.Members[i]
		d.Default()
		d.MemberID, d.InstanceID = m.id, m.instance
		d.ClientID, d.ClientHost = m.clientID, m.clientHost
		d.ProtocolMetadata, d.MemberAssignment = []byte{}, []byte{}
		if g.state == Stable {
			d.ProtocolMetadata = m.metadata(g.protocol)
		}
		if m.assignment != nil {
			d.MemberAssignment = m.assignment
		}
	}
}
