package group

import (
	"strings"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// restore makes a leader's group of what its newest record says. Its members have their whole
// session timeout to be heard of.
func (s *shard) restore(g *group) {
	s.adopt(g)
	if g.stored == nil {
		return
	}
	v, err := s.image.dec.group(g.stored)
	if err != nil {
		return // cannot be: apply has read it
	}
	g.generation, g.stateMs = v.Generation, v.CurrentStateTimestamp
	g.protocolType = strings.Clone(v.ProtocolType)
	if v.Protocol != nil {
		g.protocol = strings.Clone(*v.Protocol)
	}
	for i := range v.Members {
		m := restoreMember(&v.Members[i], g.protocol)
		if g.byID[m.id] != nil || m.instance != nil && g.static[*m.instance] != nil {
			continue // no leader writes a member twice
		}
		g.add(m, nil)
		g.touch(m)
		if v.Leader != nil && m.id == *v.Leader {
			g.leader = m
		}
	}
	if len(g.members) > 0 {
		g.state = Stable
	}
	g.subscribed = g.subscriptions()
	if len(g.members) > s.c.opts.MaxSize {
		g.prepareRebalance("the group is larger than group.max.size")
	}
}

func restoreMember(v *kmsg.GroupMetadataValueMember, protocolName string) *member {
	m := &member{
		id:          strings.Clone(v.MemberID),
		instance:    cloneString(v.InstanceID),
		clientID:    strings.Clone(v.ClientID),
		clientHost:  strings.Clone(v.ClientHost),
		sessionMs:   v.SessionTimeoutMillis,
		rebalanceMs: v.RebalanceTimeoutMillis,
		// The record's bytes never change: they are shared.
		protocols:  []protocol{{protocolName, v.Subscription}},
		assignment: v.Assignment,
	}
	if m.rebalanceMs < 0 {
		m.rebalanceMs = m.sessionMs
	}
	return m
}
