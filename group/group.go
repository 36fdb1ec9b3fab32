package group

import (
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// group is one classic group. Its fields belong to its shard's mutex.
type group struct {
	id string

	// Durable state, changed by image.apply alone.
	stored  []byte                // newest committed GroupMetadataValue, nil: none
	offsets map[string]partitions // by topic
	// unstable counts, by partition, the open transactions that are about to commit an offset.
	unstable map[topicPartition]int

	// Soft state of the leader.
	s            *shard
	state        State
	previous     State // before state; Empty in PreparingRebalance marks a first rebalance
	stateMs      int64 // when state began, ms; -1: unknown
	generation   int32
	protocolType string // "": none, nobody has ever joined
	protocol     string // of this generation, "": none
	leader       *member
	members      []*member // in the order in which they joined
	byID         map[string]*member
	static       map[string]*member  // by instance id
	pending      map[string]*timer   // member ids given out and not used yet (MEMBER_ID_REQUIRED)
	supported    map[string]int      // protocol → how many members support it
	subscribed   map[string]struct{} // topics of this generation; nil: unknown
	joined       int                 // members with a parked JoinGroup
	unsynced     int                 // members with pendingSync
	newMembers   bool                // somebody joined during the first rebalance's delay
	firstLeft    time.Duration       // how much longer that delay may become
	writes       int                 // records of this group on their way
	joinTimer    timer
	syncTimer    timer
}

// idle says that the leader keeps no soft state for the group.
func (g *group) idle() bool {
	return (g.state == Empty || g.state == Dead) && len(g.members) == 0 && len(g.pending) == 0 && g.writes == 0 && len(g.unstable) == 0
}

func (g *group) become(s State) {
	g.previous, g.state, g.stateMs = g.state, s, nowMs()
}

func nowMs() int64 { return time.Now().UnixMilli() }

// add puts a member into the group; w, if not nil, is its parked JoinGroup.
func (g *group) add(m *member, w *joinWaiter) {
	if len(g.members) == 0 {
		g.leader = m
		g.byID, g.supported = map[string]*member{}, map[string]int{}
	}
	g.members = append(g.members, m)
	g.byID[m.id] = m
	if m.instance != nil {
		if g.static == nil {
			g.static = map[string]*member{}
		}
		g.static[*m.instance] = m
	}
	m.session.fire = func() { g.sessionExpired(m) }
	g.count(m, 1)
	g.park(m, w)
}

// remove takes a member out of the group. Its parked requests must have been answered.
func (g *group) remove(m *member) {
	g.s.timers.stop(&m.session)
	g.members = slices.DeleteFunc(g.members, func(o *member) bool { return o == m })
	delete(g.byID, m.id)
	if m.instance != nil && g.static[*m.instance] == m {
		delete(g.static, *m.instance)
	}
	g.count(m, -1)
	g.park(m, nil)
	g.setPendingSync(m, false)
	if g.leader == m {
		g.leader = nil
		if len(g.members) > 0 {
			g.leader = g.members[0]
		}
	}
}

// removePending forgets a member id that was given out.
func (g *group) removePending(id string) {
	if t := g.pending[id]; t != nil {
		g.s.timers.stop(t)
		delete(g.pending, id)
	}
}

// park keeps a member's JoinGroup, or with nil forgets that it has one.
func (g *group) park(m *member, w *joinWaiter) {
	if (m.join != nil) != (w != nil) {
		g.joined += sign(w != nil)
	}
	if old := m.join; old != nil && w != nil {
		old.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, m.id, rebalanceInProgress) })
	}
	m.join = w
}

func (g *group) setPendingSync(m *member, pending bool) {
	if m.pendingSync != pending {
		m.pendingSync = pending
		g.unsynced += sign(pending)
	}
}

// count adds n to how many members support each of m's protocols.
func (g *group) count(m *member, n int) {
	for i := range m.protocols {
		name := m.protocols[i].name
		if slices.ContainsFunc(m.protocols[:i], func(p protocol) bool { return p.name == name }) {
			continue // named twice
		}
		if g.supported[name] += n; g.supported[name] == 0 {
			delete(g.supported, name)
		}
	}
}

func sign(up bool) int {
	if up {
		return 1
	}
	return -1
}

// validate checks that a request comes from a member that the group knows, and for a static
// member that no other has taken its place.
func (g *group) validate(id string, instance *string) int16 {
	if instance != nil {
		m := g.static[*instance]
		if m == nil {
			return unknownMemberID
		}
		if m.id != id {
			return fencedInstanceID
		}
	}
	if g.byID[id] == nil {
		return unknownMemberID
	}
	return none
}

func (g *group) allJoined() bool {
	return len(g.members) == g.joined && len(g.pending) == 0
}

// rebalanceTimeout is the longest of the members'.
func (g *group) rebalanceTimeout() time.Duration {
	longest := int32(0)
	for _, m := range g.members {
		longest = max(longest, m.rebalanceMs)
	}
	return time.Duration(longest) * time.Millisecond
}

// touch begins a member's session timeout anew.
func (g *group) touch(m *member) { g.s.after(&m.session, m.sessionTimeout()) }
