package peers

import (
	"slices"
	"time"
)

// detector judges which nodes are down. A node suspects another one that has been silent for a
// while, or whose address refuses connections; nodes tell each other whom they suspect; and whom
// a majority of the members suspects is down. It is a pure state machine over the times it is
// told, so that tests can play any schedule.
type detector struct {
	self         int32
	suspectAfter time.Duration // of silence
	upAfter      time.Duration // without a majority's suspicion, before a node counts as up again

	members []int32
	nodes   map[int32]*observed
}

// observed is what is known of another member.
type observed struct {
	heard   time.Time // last sign of life, or when watching began
	known   bool      // there has been a sign of life
	refused bool      // nobody listens at its address

	slow   time.Duration // the longest silence of late that was none of a node that is gone
	slowAt time.Time     // when that ended

	suspects []int32   // whom it suspects itself
	reported time.Time // when it said so

	down   bool      // the verdict
	reborn bool      // another process has come in the place of the one that is down
	clear  time.Time // since when a majority no longer suspects it
}

// startGrace is how long a member may take to be heard for the first time, in multiples of
// suspectAfter: a cluster does not start in one moment.
const startGrace = 4

// slowMemory is for how long it counts that a node was silent for longer than usual: it, or this one, has
// too much to do. If it were taken for gone, what it leads would be elected anew, and that is still more.
const slowMemory = 10 * time.Second

// change is a new verdict.
type change struct {
	node int32
	down bool
}

// setMembers replaces the member list. The verdict on a node that stays is kept.
func (d *detector) setMembers(members []int32, now time.Time) {
	nodes := map[int32]*observed{}
	for _, m := range members {
		if m == d.self {
			continue
		}
		nodes[m] = d.nodes[m]
		if nodes[m] == nil {
			nodes[m] = &observed{heard: now.Add((startGrace - 1) * d.suspectAfter)}
		}
	}
	d.members, d.nodes = slices.Clone(members), nodes
}

// heard notes a sign of life.
func (d *detector) heard(node int32, at time.Time) {
	o := d.nodes[node]
	if o == nil || o.known && !at.After(o.heard) {
		return
	}
	// A silence for which it was suspected is that of a node that hung or was cut off, and a long one too.
	if gap := at.Sub(o.heard); o.known && !o.down && gap <= 2*d.suspectAfter && !d.silent(o, at) && (gap >= o.slow || at.Sub(o.slowAt) > slowMemory) {
		o.slow, o.slowAt = gap, at
	}
	o.heard, o.known, o.refused = at, true, false
}

// silent reports whether a node has not been heard for longer than it may be.
func (d *detector) silent(o *observed, now time.Time) bool {
	after := d.suspectAfter
	if now.Sub(o.slowAt) <= slowMemory {
		after = max(after, 2*o.slow)
	}
	return now.Sub(o.heard) >= after
}

// restarted notes that another process of the node was heard: what is held against the one before
// says nothing about it.
func (d *detector) restarted(node int32) {
	if o := d.nodes[node]; o != nil {
		o.reborn = o.down
		o.known, o.slow = false, 0 // its silences are those of the one before
	}
}

// refused notes that nobody listens where the node should.
func (d *detector) refused(node int32) {
	if o := d.nodes[node]; o != nil {
		o.refused = true
	}
}

// report notes whom another node suspects, and tells whether that is news.
func (d *detector) report(from int32, suspects []int32, now time.Time) bool {
	o := d.nodes[from]
	if o == nil {
		return false
	}
	news := !slices.Equal(o.suspects, suspects)
	o.suspects, o.reported = append(o.suspects[:0], suspects...), now
	return news
}

// paused is told that this process did not run for a while. Silence meanwhile proves nothing:
// everybody gets a new chance to be heard, and what others said before is forgotten.
func (d *detector) paused(now time.Time) {
	for _, o := range d.nodes {
		if o.known {
			o.heard = now
		}
		o.suspects = o.suspects[:0]
	}
}

// suspects lists whom this node suspects, sorted.
func (d *detector) suspects(now time.Time) []int32 {
	var list []int32
	for node, o := range d.nodes {
		if d.silent(o, now) || o.refused && o.known {
			list = append(list, node)
		}
	}
	slices.Sort(list)
	return list
}

// estranged lists the members that this node does not hear, or that say they do not hear it, sorted.
func (d *detector) estranged(now time.Time) []int32 {
	list := d.suspects(now)
	for node, o := range d.nodes {
		if now.Sub(o.reported) < d.suspectAfter && slices.Contains(o.suspects, d.self) && !slices.Contains(list, node) {
			list = append(list, node)
		}
	}
	slices.Sort(list)
	return list
}

// tick returns the verdicts that have changed, sorted by node.
func (d *detector) tick(now time.Time) []change {
	votes := map[int32]int{}
	if slices.Contains(d.members, d.self) {
		for _, node := range d.suspects(now) {
			votes[node]++
		}
	}
	for from, o := range d.nodes {
		if now.Sub(o.reported) >= d.suspectAfter {
			continue
		}
		for _, node := range o.suspects {
			if node != from {
				votes[node]++
			}
		}
	}
	majority := len(d.members)/2 + 1
	var changes []change
	for node, o := range d.nodes {
		if votes[node] >= majority {
			o.clear = time.Time{}
			if !o.down {
				o.down = true
				changes = append(changes, change{node, true})
			}
			continue
		}
		if o.clear.IsZero() {
			o.clear = now
		}
		if o.down && (o.reborn || now.Sub(o.clear) >= d.upAfter) {
			o.down, o.reborn = false, false
			changes = append(changes, change{node, false})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return int(a.node - b.node) })
	return changes
}

// isDown is the verdict on a node.
func (d *detector) isDown(node int32) bool {
	o := d.nodes[node]
	return o != nil && o.down
}
