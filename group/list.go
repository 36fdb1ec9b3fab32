package group

import (
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// classicType is the group type that ListGroups 5 names.
const classicType = "classic"

// ListGroups answers versions 0-5: the groups of the partitions that this node leads, filtered by
// state (KIP-518) and type (KIP-848). While one of them is loading the answer is
// COORDINATOR_LOAD_IN_PROGRESS.
func (c *Coordinator) ListGroups(req *kmsg.ListGroupsRequest, resp *kmsg.ListGroupsResponse) {
	resp.Groups = []kmsg.ListGroupsResponseGroup{}
	if !listed(req.TypesFilter, classicType) {
		return
	}
	for _, s := range c.shards.All() {
		switch code := s.enter(); code {
		case none:
			resp.Groups = s.list(resp.Groups, req.StatesFilter)
			s.mu.Unlock()
		case coordinatorLoadInProgress:
			resp.ErrorCode, resp.Groups = code, []kmsg.ListGroupsResponseGroup{}
			return
		}
	}
}

func (s *shard) list(out []kmsg.ListGroupsResponseGroup, states []string) []kmsg.ListGroupsResponseGroup {
	for _, g := range s.image.groups {
		if !listed(states, g.state.String()) {
			continue
		}
		r := kmsg.NewListGroupsResponseGroup()
		r.Group, r.ProtocolType = g.id, g.protocolType
		r.GroupState, r.GroupType = g.state.String(), classicType
		out = append(out, r)
	}
	return out
}

// listed says whether a filter, of which the empty one lets all pass, has a name, in any case.
func listed(filter []string, name string) bool {
	return len(filter) == 0 || slices.ContainsFunc(filter, func(f string) bool { return strings.EqualFold(f, name) })
}
