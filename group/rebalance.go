package group

import (
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// rebalance begins a rebalance where the state allows one, or else sees whether the one under
// way is complete.
func (g *group) rebalance(reason string) {
	if g.state == PreparingRebalance || g.state == Dead {
		g.maybeCompleteJoin()
		return
	}
	g.prepareRebalance(reason)
}

// prepareRebalance asks all members to join a new generation: parked SyncGroups and, from now on,
// heartbeats are answered REBALANCE_IN_PROGRESS. The first generation of an empty group waits a
// little for more members, so that they need not all rebalance one by one.
func (g *group) prepareRebalance(reason string) {
	if g.state == CompletingRebalance {
		g.failSync(rebalanceInProgress)
	}
	g.stopSync()
	first := g.state == Empty
	g.become(PreparingRebalance)
	g.s.logger.Info("rebalancing group", "group", g.id, "generation", g.generation, "reason", reason)
	switch {
	case first:
		delay := g.s.c.opts.InitialRebalanceDelay
		g.delayFirst(delay, g.rebalanceTimeout()-delay)
	case g.allJoined():
		g.completeJoin()
	default:
		g.s.after(&g.joinTimer, g.rebalanceTimeout())
	}
}

// delayFirst waits for more members; left is how much longer it may do so after that.
func (g *group) delayFirst(delay, left time.Duration) {
	g.newMembers, g.firstLeft = false, left
	g.s.after(&g.joinTimer, delay)
}

// joinExpired is called when the time to join is over.
func (g *group) joinExpired() {
	if g.state != PreparingRebalance {
		return
	}
	if g.previous == Empty && g.newMembers && g.firstLeft > 0 {
		delay := min(g.firstLeft, g.s.c.opts.InitialRebalanceDelay)
		g.delayFirst(delay, g.firstLeft-delay)
		return
	}
	g.completeJoin()
}

// maybeCompleteJoin ends the join phase if everybody is there. A first rebalance waits for its
// delay in any case.
func (g *group) maybeCompleteJoin() {
	if g.state == PreparingRebalance && g.previous != Empty && g.allJoined() {
		g.completeJoin()
	}
}

// completeJoin begins the next generation with the members that have joined. Dynamic members
// that have not are removed; static ones keep their place until their session ends.
func (g *group) completeJoin() {
	g.s.timers.stop(&g.joinTimer)
	for _, m := range g.absent() {
		g.s.logger.Info("removed a member that did not rejoin", "group", g.id, "member", m.id)
		g.remove(m)
	}
	if len(g.members) == 0 {
		g.becomeEmpty()
		return
	}
	if !g.electLeader() {
		g.s.after(&g.joinTimer, g.rebalanceTimeout())
		return
	}
	g.generation++
	g.protocol = g.vote()
	g.subscribed = g.subscriptions()
	g.become(CompletingRebalance)
	g.unsynced = 0
	for _, m := range g.members {
		w := m.join
		g.park(m, nil)
		w.answer(func(r *kmsg.JoinGroupResponse) { g.welcome(m, r) })
		g.touch(m)
		m.isNew, m.pendingSync = false, true
		g.unsynced++
	}
	g.s.after(&g.syncTimer, g.rebalanceTimeout())
}

// absent is the dynamic members without a parked JoinGroup.
func (g *group) absent() []*member {
	var out []*member
	for _, m := range g.members {
		if m.join == nil && m.instance == nil {
			out = append(out, m)
		}
	}
	return out
}

// electLeader makes sure that the leader is a member that has joined. It fails if nobody has.
func (g *group) electLeader() bool {
	if g.leader.join != nil {
		return true
	}
	for _, m := range g.members {
		if m.join != nil {
			g.leader = m
			return true
		}
	}
	return false
}

// becomeEmpty ends a generation that nobody is in. It is written, so that a later leader knows
// since when the group has been empty; if that fails nothing is lost but that.
func (g *group) becomeEmpty() {
	g.generation++
	g.protocol, g.leader = "", nil
	g.subscribed = g.subscriptions()
	g.stopSync()
	g.become(Empty)
	g.write(g.metadataValue(nil), func(error) {})
}

// write appends the group's record. then is called when it is committed or has failed, unless
// the shard has resigned.
func (g *group) write(value []byte, then func(err error)) {
	g.writes++
	g.s.submit(&write{
		records: []keyValue{{groupKey(g.id), value}},
		done: func(err error) {
			g.writes--
			if g.s.phase != active {
				return
			}
			then(err)
			g.s.image.dropIfVoid(g)
		},
	})
}

// sessionExpired is called when a member has not been heard of for its session timeout.
func (g *group) sessionExpired(m *member) {
	if g.byID[m.id] != m {
		return
	}
	if !m.isNew && (m.join != nil || m.sync != nil) {
		return // it waits for us
	}
	g.s.logger.Info("removed a member whose session has timed out", "group", g.id, "member", m.id)
	g.expel(m)
	if g.state == Stable || g.state == CompletingRebalance {
		g.rebalance("a member's session timed out")
	} else if g.state == PreparingRebalance && g.allJoined() {
		g.completeJoin()
	}
}

// expel removes a member and tells whoever waits in its name that it is unknown.
func (g *group) expel(m *member) {
	m.join.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, "", unknownMemberID) })
	m.sync.answer(func(r *kmsg.SyncGroupResponse) { syncError(r, unknownMemberID) })
	m.sync = nil
	g.remove(m)
}

// pendingExpired is called when a member id that was given out has not been used in time.
func (g *group) pendingExpired(id string) {
	g.removePending(id)
	if g.state == PreparingRebalance && g.allJoined() {
		g.completeJoin()
	}
	g.s.image.dropIfVoid(g)
}

// dismiss answers everybody who waits in the group.
func (g *group) dismiss(code int16) {
	for _, m := range g.members {
		m.join.answer(func(r *kmsg.JoinGroupResponse) { joinError(r, m.id, code) })
		m.sync.answer(func(r *kmsg.SyncGroupResponse) { syncError(r, code) })
	}
}
