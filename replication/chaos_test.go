package replication

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestMovesWipesAndFailuresLoseNothing moves a partition around four nodes while idempotent
// producers write, segments are tiny, so that whoever lags gets files, and nodes are cut off, stopped,
// wiped, and lose their logs.
func TestMovesWipesAndFailuresLoseNothing(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	c := newCluster(t, 200*time.Millisecond)
	c.leader()
	c.bytes = 8 << 10
	c.tail = 512 << 10 // more than is written while a log is installed, or it never ends
	for id := int32(1); id <= 4; id++ {
		if id == 4 {
			c.addNode(id)
		} else {
			c.stop(id)
			c.nodes[id].Limits.TailBytes = c.tail
		}
		c.start(id)
	}
	x := &mover{c: c, rnd: rnd, members: disks(1, 2, 3), disks: map[int32]string{}}
	for _, m := range disks(1, 2, 3, 4) {
		x.disks[m.Node] = m.Identity
	}
	var stop atomic.Bool
	var wg sync.WaitGroup
	var acked atomic.Int64
	counts := make([]int, 4)
	for id := range counts {
		wg.Go(func() { counts[id] = c.produce(int64(id), &stop, &acked) })
	}
	for end := time.Now().Add(3 * time.Second); time.Now().Before(end); {
		switch rnd.IntN(6) {
		case 0:
			x.move()
		case 1:
			x.wipe()
		case 2:
			x.lose()
		default:
			c.disturb(rnd)
		}
	}
	for id := range c.nodes {
		c.net.setCut(id, false)
	}
	stop.Store(true)
	wg.Wait()
	c.reconciled(x.members)
	x.restartOthers()
	for id := range c.nodes {
		if !x.member(id) {
			c.stop(id)
		}
	}
	c.checkProduced(c.settled(), counts)
	t.Logf("%d batches acknowledged, %d bytes of files sent, epoch %d", acked.Load(), shippedBy(c), c.leader().State().Epoch)
}

// mover is what the metadata know of the partition, and does what brokers do about it.
type mover struct {
	c       *cluster
	rnd     *rand.Rand
	members []Member
	disks   map[int32]string
}

func (x *mover) member(id int32) bool {
	return slices.ContainsFunc(x.members, func(m Member) bool { return m.Node == id })
}

// move replaces a member by whoever is none.
func (x *mover) move() {
	target := slices.Clone(x.members)
	for id, disk := range x.disks {
		if !x.member(id) {
			target[x.rnd.IntN(len(target))] = Member{id, disk}
		}
	}
	if x.rnd.IntN(3) == 0 { // cancelled at some point
		for _, p := range x.c.running() {
			p.Reconcile(target)
		}
		time.Sleep(time.Duration(x.rnd.IntN(50)) * time.Millisecond)
		x.c.reconciled(x.members)
	} else {
		x.c.reconciled(target)
		x.members = target
	}
	x.restartOthers()
}

// restartOthers deletes the replicas of nodes that are no members, and lets them wait again.
func (x *mover) restartOthers() {
	for id := range x.disks {
		if !x.member(id) {
			x.c.remove(id)
			x.c.open(id, PartitionConfig{})
		}
	}
}

// wipe gives a member an empty disk.
func (x *mover) wipe() {
	i := x.rnd.IntN(len(x.members))
	id := x.members[i].Node
	x.c.reconciled(x.members) // the others are well
	x.c.stop(id)
	n := x.c.addNode(id)
	n.Identity = fmt.Sprintf("disk-%d-%d", id, x.rnd.Int())
	x.disks[id], x.members[i].Identity = n.Identity, n.Identity
	x.c.open(id, PartitionConfig{})
	x.c.reconciled(x.members)
}

// lose has a member's log set aside.
func (x *mover) lose() {
	x.c.reconciled(x.members)
	lead := x.c.leader()
	id := x.members[x.rnd.IntN(len(x.members))].Node
	if id == lead.node.ID {
		return
	}
	x.c.stop(id)
	if _, err := x.c.nodes[id].SetAside("g-0", x.c.dirs[id], []int32{1, 2, 3, 4}); err != nil {
		x.c.t.Fatal(err)
	}
	for x.c.leader().Evict(x.c.t.Context(), id) != nil {
		time.Sleep(time.Millisecond)
	}
	if err := x.c.nodes[id].Evicted("g-0"); err != nil {
		x.c.t.Fatal(err)
	}
	x.c.open(id, PartitionConfig{})
	x.c.reconciled(x.members)
}
