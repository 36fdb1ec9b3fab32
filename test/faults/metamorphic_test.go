//go:build linux

// Package faults shows that a cluster loses, repeats and reorders nothing, whatever happens to its
// nodes, their network and their disks.
package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"quorumlog/internal/clustertest"
	"quorumlog/internal/powerloss"
)

// fault happens to the cluster and is over when it returns.
type fault struct {
	name string
	do   func(w *world)
}

// world is a cluster, what goes on in it, and chance.
type world struct {
	ctx context.Context
	c   *clustertest.Cluster
	adm *kadm.Client
	rnd *rand.Rand
	up  time.Duration // how long the nodes took that were started last
}

func (w *world) any() *clustertest.Node    { return w.c.Nodes[w.rnd.IntN(len(w.c.Nodes))] }
func (w *world) leader() *clustertest.Node { return leaderOf(w.ctx, w.adm, w.c, "one", w.rnd) }

func (w *world) follower() *clustertest.Node {
	return w.c.Node(w.leader().ID%int32(len(w.c.Nodes)) + 1)
}

// wait lets a fault last, for up to so many milliseconds.
func (w *world) wait(ms int) { pause(w.ctx, time.Duration(w.rnd.IntN(ms))*time.Millisecond) }

// back starts nodes again, and sometimes one of them dies once more while it starts.
func (w *world) back(nodes ...*clustertest.Node) {
	for _, x := range nodes {
		x.Start()
	}
	if w.rnd.IntN(3) == 0 {
		w.wait(300)
		x := nodes[w.rnd.IntN(len(nodes))]
		x.PowerOff(powerloss.Some, w.rnd)
		x.Start()
	}
	begin := time.Now()
	for _, x := range nodes {
		x.Await()
	}
	w.up = time.Since(begin)
}

func isolated(who func(*world) *clustertest.Node) func(*world) {
	return func(w *world) {
		x := who(w)
		w.c.Net.Isolate(x.ID)
		if w.rnd.IntN(2) == 0 {
			w.c.Net.Cut(x.ID, clustertest.Client)
		}
		w.wait(2500)
		w.c.Net.Mend(x.ID, clustertest.Client)
		w.c.Net.Join(x.ID)
	}
}

// others are the two nodes beside this one.
func (w *world) others(x *clustertest.Node) (a, b int32) { return x.ID%3 + 1, (x.ID+1)%3 + 1 }

var faults = []fault{
	{"a node is killed", func(w *world) {
		x := w.any()
		x.Kill()
		w.wait(1500)
		w.back(x)
	}},
	{"a node is stopped", func(w *world) {
		x := w.any()
		x.Stop()
		w.back(x)
	}},
	{"a node loses power", func(w *world) {
		x := w.any()
		x.PowerOff(powerloss.Luck(w.rnd.IntN(3)), w.rnd)
		w.wait(1500)
		w.back(x)
	}},
	{"two nodes lose power", func(w *world) {
		a, b := w.others(w.any())
		w.c.Node(a).PowerOff(powerloss.Some, w.rnd)
		w.wait(100)
		w.c.Node(b).PowerOff(powerloss.None, w.rnd)
		w.wait(500)
		w.back(w.c.Node(a), w.c.Node(b))
	}},
	{"all nodes lose power", func(w *world) {
		for _, i := range w.rnd.Perm(3) {
			w.c.Nodes[i].PowerOff(powerloss.Luck(w.rnd.IntN(3)), w.rnd)
		}
		w.back(w.c.Nodes...)
	}},
	{"all nodes are killed", func(w *world) {
		for _, x := range w.c.Nodes {
			x.Kill()
		}
		w.back(w.c.Nodes...)
	}},
	{"a leader is cut off", isolated((*world).leader)},
	{"a follower is cut off", isolated((*world).follower)},
	{"a node hears nobody", func(w *world) {
		x := w.any()
		a, b := w.others(x)
		w.c.Net.CutOneWay(a, x.ID)
		w.c.Net.CutOneWay(b, x.ID)
		w.wait(2500)
		w.c.Net.Join(x.ID)
	}},
	{"a node is heard by nobody", func(w *world) {
		x := w.any()
		a, b := w.others(x)
		w.c.Net.CutOneWay(x.ID, a)
		w.c.Net.CutOneWay(x.ID, b)
		w.wait(2500)
		w.c.Net.Join(x.ID)
	}},
	{"one way is cut", func(w *world) {
		x := w.any()
		a, _ := w.others(x)
		w.c.Net.CutOneWay(x.ID, a)
		w.wait(2500)
		w.c.Net.Mend(x.ID, a)
	}},
	{"two nodes reach each other by the third alone", func(w *world) {
		a, b := w.others(w.any())
		w.c.Net.Cut(a, b)
		w.wait(2500)
		w.c.Net.Mend(a, b)
	}},
	{"all are cut off from each other", func(w *world) {
		w.c.Net.Isolate(1)
		w.c.Net.Isolate(2)
		w.wait(3000)
		w.c.Net.Join(1)
		w.c.Net.Join(2)
	}},
	{"a cut-off leader loses power", func(w *world) {
		x := w.leader()
		w.c.Net.Isolate(x.ID)
		w.wait(1500)
		x.PowerOff(powerloss.Some, w.rnd)
		w.c.Net.Join(x.ID)
		w.back(x)
	}},
	{"slow links", func(w *world) {
		x := w.any()
		for _, y := range []int32{1, 2, 3, clustertest.Client} {
			w.c.Net.Delay(x.ID, y, time.Duration(w.rnd.IntN(100))*time.Millisecond)
			w.c.Net.Delay(y, x.ID, time.Duration(w.rnd.IntN(100))*time.Millisecond)
		}
		w.wait(3000)
		w.c.Net.Join(x.ID)
		w.c.Net.Mend(x.ID, clustertest.Client)
	}},
	{"links that break", func(w *world) {
		for range 20 {
			w.c.Net.Drop(w.any().ID, []int32{1, 2, 3, clustertest.Client}[w.rnd.IntN(4)])
			w.wait(100)
		}
	}},
	{"a full disk", func(w *world) {
		x := w.any()
		x.SetFull(true)
		w.wait(2500)
		x.SetFull(false)
		pause(w.ctx, 1500*time.Millisecond) // until it has noticed
	}},
	{"clocks an hour apart", func(w *world) {
		a, b := w.any(), w.any()
		a.SetClock(time.Hour)
		b.SetClock(-time.Hour)
		w.wait(2000)
		a.SetClock(0)
		b.SetClock(0)
	}},
}

// shortTest is how long faults are injected where METAMORPHIC does not say.
const shortTest = 12 * time.Second

// chosen is the seed and the length of a test; see TestFaultsLoseNothing.
func chosen(t *testing.T) (seed uint64, length time.Duration) {
	t.Helper()
	seed, length = uint64(time.Now().UnixNano()), shortTest
	if s := os.Getenv("METAMORPHIC_SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		seed = n
	}
	if s := os.Getenv("METAMORPHIC"); s != "" {
		d, err := time.ParseDuration(s)
		if err != nil {
			t.Fatal(err)
		}
		length = d
	}
	t.Logf("seed %d", seed)
	return seed, length
}

// suffer injects faults for so long, and returns how many.
func (w *world) suffer(t *testing.T, length time.Duration) (happened int) {
	t.Helper()
	for end := time.Now().Add(length); time.Now().Before(end) && !t.Failed(); happened++ {
		f := faults[w.rnd.IntN(len(faults))]
		begin := time.Now()
		w.up = 0
		f.do(w)
		t.Logf("%s: %s, of which %s until nodes were up", f.name, time.Since(begin).Round(time.Millisecond), w.up.Round(time.Millisecond))
		w.wait(1000)
	}
	return happened
}

// TestFaultsLoseNothing injects faults at random while clients write, read, commit and change
// topics. METAMORPHIC is how long, as 10m; METAMORPHIC_SEED repeats the choices of an earlier run.
func TestFaultsLoseNothing(t *testing.T) {
	seed, length := chosen(t)
	c := clustertest.Start(t, 3, map[string]string{
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "2", "log.segment.bytes": "1048576",
		"leader.imbalance.check.interval.seconds": "5", "replica.lag.time.max.ms": fmt.Sprint(lag.Milliseconds()),
		"log.cleaner.backoff.ms": "100",
	})
	m := newModel(t)
	cl := c.NewClient()
	t.Cleanup(cl.Close)
	w := &world{ctx: t.Context(), c: c, adm: kadm.NewClient(cl), rnd: rand.New(rand.NewPCG(seed, 100))}
	topics := []*topic{{name: "one"}, {name: "two"}}
	for _, x := range topics {
		x.partitions.Store(2)
		if _, err := w.adm.CreateTopic(t.Context(), 2, 3, nil, x.name); err != nil {
			t.Fatal(err)
		}
	}
	k := startKeys(t.Context(), t, c, w.adm, seed)
	defer k.close()
	l := startLoad(t.Context(), m, c, topics, seed)
	a := newAdministrator(l, rand.New(rand.NewPCG(seed, 101)), k.topic)
	working, stop := context.WithCancel(t.Context())
	changing := make(chan struct{})
	go func() {
		defer close(changing)
		newAdministrator(l, rand.New(rand.NewPCG(seed, 102)), k.topic).run(working)
	}()
	happened := w.suffer(t, length)
	stop()
	<-changing
	if err := k.stopWriting(t.Context()); err != nil {
		t.Fatal(err)
	}
	var nodes []stopper
	var dirs []string
	for _, x := range c.Nodes {
		nodes, dirs = append(nodes, x), append(dirs, x.DataDir())
	}
	finish(t, l, a, nodes)
	k.check(dirs)
	t.Logf("%d faults, %d records acknowledged", happened, m.records())
}
