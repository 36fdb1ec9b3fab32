package group

import (
	"context"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// JoinGroup versions from which something is different.
const (
	joinRebalanceTimeout = 1 // before, the session timeout is the rebalance timeout
	joinMemberID         = 4 // a new dynamic member must come again with the id it is given (KIP-394)
	joinNullProtocol     = 7 // before, no protocol is the empty string
	joinSkipAssignment   = 9 // a static leader may be told to leave the assignment as it is (KIP-814)
)

// JoinGroup answers versions 0-9. Members wait until the rebalance has all its members or its
// time is over.
func (c *Coordinator) JoinGroup(client ClientInfo, req *kmsg.JoinGroupRequest, resp *kmsg.JoinGroupResponse) (wait func(context.Context)) {
	if req.Group == "" {
		joinError(resp, req.MemberID, invalidGroupID)
		return nil
	}
	session := time.Duration(req.SessionTimeoutMillis) * time.Millisecond
	if session < c.opts.MinSessionTimeout || session > c.opts.MaxSessionTimeout {
		joinError(resp, req.MemberID, invalidSessionTimeout)
		return nil
	}
	if req.Version < joinRebalanceTimeout {
		req.RebalanceTimeoutMillis = req.SessionTimeoutMillis
	}
	s, code := c.enter(req.Group)
	if code != none {
		joinError(resp, req.MemberID, code)
		return nil
	}
	defer s.mu.Unlock()
	w := newWaiter(&s.mu, resp)
	s.join(client, req, w)
	if w.gone {
		return nil
	}
	return w.wait
}

func (s *shard) join(client ClientInfo, req *kmsg.JoinGroupRequest, w *joinWaiter) {
	refuse := func(memberID string, code int16) {
		w.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, memberID, code) })
	}
	if req.MemberID != "" && s.group(req.Group) == nil {
		refuse(req.MemberID, unknownMemberID)
		return
	}
	g := s.create(req.Group)
	defer s.image.dropIfVoid(g)
	switch {
	case g.state == Dead:
		refuse(req.MemberID, coordinatorNotAvailable)
	case !g.accepts(req.MemberID):
		if m := g.byID[req.MemberID]; m != nil {
			g.expel(m)
		}
		g.removePending(req.MemberID)
		refuse("", groupMaxSizeReached)
		g.maybeCompleteJoin()
	case !g.supports(req.ProtocolType, req.Protocols):
		refuse(req.MemberID, inconsistentGroupProtocol)
	case req.MemberID == "":
		g.joinNew(client, req, w)
	case g.pending[req.MemberID] != nil:
		g.removePending(req.MemberID)
		g.admit(strings.Clone(req.MemberID), client, req, w)
	default:
		if code := g.validate(req.MemberID, req.InstanceID); code != none {
			refuse(req.MemberID, code)
			return
		}
		g.rejoin(g.byID[req.MemberID], req, w)
	}
}

// accepts applies group.max.size. While a rebalance gathers members it counts those that wait,
// so that the last to rejoin are kept out when the limit has become smaller.
func (g *group) accepts(memberID string) bool {
	m, limit := g.byID[memberID], g.s.c.opts.MaxSize
	switch g.state {
	case PreparingRebalance:
		return m != nil && m.join != nil || g.joined < limit
	case CompletingRebalance, Stable:
		return m != nil || len(g.members) < limit
	default:
		return true
	}
}

// joinNew handles a member without an id.
func (g *group) joinNew(client ClientInfo, req *kmsg.JoinGroupRequest, w *joinWaiter) {
	if req.InstanceID != nil {
		id := newMemberID(*req.InstanceID)
		if m := g.static[*req.InstanceID]; m != nil {
			g.replace(m, id, req, w)
			return
		}
		g.admit(id, client, req, w)
		return
	}
	id := newMemberID(client.ID)
	if req.Version < joinMemberID {
		g.admit(id, client, req, w)
		return
	}
	if g.pending == nil {
		g.pending = map[string]*timer{}
	}
	t := &timer{fire: func() { g.pendingExpired(id) }}
	g.pending[id] = t
	g.s.after(t, time.Duration(req.SessionTimeoutMillis)*time.Millisecond)
	w.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, id, memberIDRequired) })
}

// admit adds a new member.
func (g *group) admit(id string, client ClientInfo, req *kmsg.JoinGroupRequest, w *joinWaiter) {
	if len(g.members) == 0 {
		g.protocolType = strings.Clone(req.ProtocolType)
	}
	m := &member{
		id:          id,
		instance:    cloneString(req.InstanceID),
		clientID:    strings.Clone(client.ID),
		clientHost:  strings.Clone(client.Host),
		sessionMs:   req.SessionTimeoutMillis,
		rebalanceMs: req.RebalanceTimeoutMillis,
		protocols:   copyProtocols(req.Protocols),
		isNew:       true,
	}
	g.newMembers = true
	g.add(m, w)
	g.s.after(&m.session, newMemberJoinTimeout)
	g.rebalance("member " + id + " joined; client reason: " + reason(req.Reason))
}

// rejoin handles a member that the group knows.
func (g *group) rejoin(m *member, req *kmsg.JoinGroupRequest, w *joinWaiter) {
	switch {
	case g.state == CompletingRebalance && m.matches(req.Protocols),
		g.state == Stable && m != g.leader && m.matches(req.Protocols):
		// It may have missed the answer to its last JoinGroup; nothing is new.
		w.answer(func(r *kmsg.JoinGroupResponse) { g.welcome(m, r) })
	case g.state == Empty:
		w.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, req.MemberID, unknownMemberID) })
	default:
		// A leader that joins a stable group wants a new assignment though its metadata is the
		// same, for example because a topic has got more partitions.
		g.update(m, req, w)
		g.rebalance("member " + m.id + " joined again; client reason: " + reason(req.Reason))
	}
}

// update takes a member's protocols and timeouts from its new JoinGroup, and parks that.
func (g *group) update(m *member, req *kmsg.JoinGroupRequest, w *joinWaiter) {
	g.count(m, -1)
	m.protocols = copyProtocols(req.Protocols)
	g.count(m, 1)
	m.rebalanceMs, m.sessionMs = req.RebalanceTimeoutMillis, req.SessionTimeoutMillis
	g.park(m, w)
}

// welcome answers a JoinGroup with the current generation. The leader learns who is in it.
func (g *group) welcome(m *member, r *kmsg.JoinGroupResponse) {
	r.ErrorCode = none
	r.Generation = g.generation
	protocolName := g.protocol
	r.ProtocolType, r.Protocol = nullable(g.protocolType), &protocolName
	r.LeaderID, r.MemberID = g.leader.id, m.id
	r.SkipAssignment = false
	r.Members = nil
	if m == g.leader {
		r.Members = g.roster()
	}
}

// roster is what the leader of a generation needs to know.
func (g *group) roster() []kmsg.JoinGroupResponseMember {
	out := make([]kmsg.JoinGroupResponseMember, len(g.members))
	for i, m := range g.members {
		out[i].Default()
		out[i].MemberID, out[i].InstanceID = m.id, m.instance
		out[i].ProtocolMetadata = m.metadata(g.protocol)
	}
	return out
}

func joinError(r *kmsg.JoinGroupResponse, memberID string, code int16) {
	r.ErrorCode, r.Generation = code, -1
	r.MemberID, r.LeaderID = strings.Clone(memberID), ""
	r.ProtocolType, r.Protocol = nil, nil
	if r.Version < joinNullProtocol {
		r.Protocol = new(string)
	}
}

func reason(s *string) string {
	if s == nil || *s == "" {
		return "not provided"
	}
	return *s
}
