//go:build linux

package faults

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"quorumlog/internal/brokertest"
	"quorumlog/internal/clustertest"
	"quorumlog/log"
)

// torment is a cluster of processes under load.
type torment struct {
	*processes
	who
	m   *model
	l   *load
	a   *administrator
	b   *bank
	rnd *rand.Rand

	rows []string
}

// begin puts load on a cluster that runs.
func begin(t *testing.T, c *processes, seed uint64) *torment {
	t.Helper()
	cl := c.NewClient()
	t.Cleanup(cl.Close)
	x := &torment{processes: c, who: who{c, kadm.NewClient(cl)}, m: newModel(t), rnd: rand.New(rand.NewPCG(seed, 0))}
	topics := []*topic{{name: "one"}, {name: "two"}}
	for _, tp := range topics {
		tp.partitions.Store(3)
		if _, err := x.adm.CreateTopic(t.Context(), 3, 3, nil, tp.name); err != nil {
			t.Fatal(err)
		}
	}
	x.l = startLoad(t.Context(), x.m, c, topics, seed)
	x.a = newAdministrator(x.l, rand.New(rand.NewPCG(seed, 1)))
	x.b = openBank(t.Context(), t, c, "bank", seed)
	return x
}

// round injects a fault and waits until the cluster is whole, and notes what there is to tell.
func (x *torment) round(t *testing.T, name string, do func()) {
	t.Helper()
	x.m.pauses()
	before, begin := x.m.records(), time.Now()
	do()
	over := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	if err := x.a.whole(ctx); err != nil {
		t.Fatalf("%s: not whole after %s: %v", name, recovery, err)
	}
	for x.m.acknowledgedLast().Before(over) {
		if !pause(ctx, 10*time.Millisecond) {
			t.Fatalf("%s: nothing is acknowledged any more", name)
		}
	}
	found := "nothing"
	if t.Failed() {
		found = "SEE ABOVE"
	}
	x.rows = append(x.rows, fmt.Sprintf("%s\t%.1f s\t%.1f s\t%.1f s\t%d\t%s", name, over.Sub(begin).Seconds(), time.Since(over).Seconds(),
		x.m.pauses().Seconds(), x.m.records()-before, found))
	t.Logf("%s: %s", name, found)
}

func (x *torment) table() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tlasted\twhole after\tno writes for\tacknowledged\tfound")
	for _, r := range x.rows {
		fmt.Fprintln(w, r)
	}
	_ = w.Flush()
	return b.String()
}

func (x *torment) kill(ids ...int32) {
	for _, id := range ids {
		x.Node(id).Kill()
	}
	time.Sleep(500 * time.Millisecond)
	x.startAll()
}

// other is a node beside this one.
func other(id int32) int32 { return id%3 + 1 }

// during cuts something for so long.
func (x *torment) during(d time.Duration, cut func()) {
	cut()
	time.Sleep(d)
	for id := range int32(3) {
		x.net.Join(id + 1)
		x.net.Mend(id+1, clustertest.Client)
	}
}

// tear leaves behind what a write leaves that the power cut short: garbage after the last whole
// batch of every partition, and a file that ends in it.
func (x *torment) tear(t *testing.T, id int32) {
	t.Helper()
	dirs, err := filepath.Glob(filepath.Join(x.Node(id).Dir, "topics", "*", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		batches, _ := log.Inspect(dir)
		var path string
		var end int64
		for b := range batches {
			path, end = b.Path, b.Position+int64(len(b.Batch))
		}
		garbage := make([]byte, 1+x.rnd.IntN(3000))
		for i := range garbage {
			garbage[i] = byte(x.rnd.Uint32())
		}
		f, err := os.OpenFile(path, os.O_WRONLY, 0o644)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteAt(garbage, end)
		if err == nil {
			err = f.Truncate(end + int64(len(garbage)))
		}
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// refused starts a broker that must not become part of the cluster, and waits until it says why.
func refused(t *testing.T, sentence string, args ...string) {
	t.Helper()
	b := brokertest.Prepare(t, args...)
	b.Spawn()
	for end := time.Now().Add(10 * time.Second); !strings.Contains(b.Log(), sentence); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("it does not say %q:\n%s", sentence, b.Log())
			break
		}
	}
	b.Kill()
}

// ordeal is something that can be done to a cluster of processes.
type ordeal struct {
	name string
	do   func()
}

// tortureTime is how long TestTorture goes on at least, by chance after each fault has had its turn.
const tortureTime = 5 * time.Minute

// TestTorture does to processes whatever can be done to them, one after the other, under load.
func TestTorture(t *testing.T) {
	needsTorture(t)
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	x := begin(t, startProcesses(t, nil), seed)
	defer func() { t.Logf("\n%s", x.table()) }()
	begun := time.Now()
	ordeals := []ordeal{
		{"kill -9 of a leader", func() { x.kill(x.leader()) }},
		{"kill -9 of a follower", func() { x.kill(other(x.leader())) }},
		{"kill -9 of the controller", func() { x.kill(x.controller()) }},
		{"kill -9 of the coordinator", func() { x.kill(x.coordinator()) }},
		{"kill -9 of two nodes", func() { x.kill(1, 3) }},
		{"kill -9 of all nodes", func() { x.kill(1, 2, 3) }},
		{"kill -9 of a node, twice within a second", func() {
			id := x.leader()
			x.Node(id).Kill()
			x.Node(id).Spawn()
			time.Sleep(300 * time.Millisecond)
			x.Node(id).Kill()
			x.startAll()
		}},
		{"a leader hangs for 30 s", func() {
			n := x.Node(x.leader())
			n.Suspend()
			time.Sleep(30 * time.Second)
			n.Resume()
		}},
		{"all nodes hang for 5 s", func() {
			for _, n := range x.Nodes {
				n.Suspend()
			}
			time.Sleep(5 * time.Second)
			for _, n := range x.Nodes {
				n.Resume()
			}
		}},
		{"a leader cut off from the nodes", func() { x.during(8*time.Second, func() { x.net.Isolate(x.leader()) }) }},
		{"a leader cut off from the nodes and clients", func() {
			x.during(8*time.Second, func() {
				id := x.leader()
				x.net.Isolate(id)
				x.net.Cut(id, clustertest.Client)
			})
		}},
		{"a follower cut off", func() { x.during(8*time.Second, func() { x.net.Isolate(other(x.leader())) }) }},
		{"a leader that hears nobody", func() {
			x.during(8*time.Second, func() {
				id := x.leader()
				x.net.CutOneWay(other(id), id)
				x.net.CutOneWay(other(other(id)), id)
			})
		}},
		{"a leader whom nobody hears", func() {
			x.during(8*time.Second, func() {
				id := x.leader()
				x.net.CutOneWay(id, other(id))
				x.net.CutOneWay(id, other(other(id)))
			})
		}},
		{"one way from the leader cut", func() {
			x.during(8*time.Second, func() { id := x.leader(); x.net.CutOneWay(id, other(id)) })
		}},
		{"a bridge: two nodes reach the third alone", func() {
			x.during(8*time.Second, func() { id := x.leader(); x.net.Cut(id, other(id)) })
		}},
		{"all cut off from each other", func() {
			x.during(8*time.Second, func() { x.net.Isolate(1); x.net.Isolate(2) })
		}},
		{"slow links, 100 ms each way", func() {
			x.during(8*time.Second, func() {
				for from := range int32(3) {
					for to := range int32(3) {
						x.net.Delay(from+1, to+1, 100*time.Millisecond)
					}
				}
			})
		}},
		{"links that break all the time", func() {
			for range 80 {
				x.net.Drop(1+x.rnd.Int32N(3), []int32{1, 2, 3, clustertest.Client}[x.rnd.IntN(4)])
				time.Sleep(100 * time.Millisecond)
			}
		}},
		{"torn tails on a killed follower", func() {
			id := other(x.leader())
			x.Node(id).Kill()
			x.tear(t, id)
			x.startAll()
		}},
		{"torn tails on all nodes, killed", func() {
			for _, n := range x.Nodes {
				n.Kill()
			}
			for id := range int32(3) {
				x.tear(t, id+1)
			}
			x.startAll()
		}},
		{"a second node with the same id", func() {
			refused(t, "another node 2 already", "--node-id", "2", "--voters", x.Voters)
		}},
		{"a node of another cluster", func() {
			b := brokertest.Prepare(t, "--node-id", "3")
			b.Spawn()
			b.AwaitReady()
			b.Stop()
			refused(t, "belongs to the cluster", "--node-id", "3", "--voters", x.Voters, "--data-dir", b.Dir)
		}},
		{"--voters that confuse the nodes", func() {
			v := strings.Split(x.Voters, ",")
			one, two := strings.TrimPrefix(v[0], "1@"), strings.TrimPrefix(v[1], "2@")
			refused(t, "is node 1, not node 2", "--node-id", "3", "--voters", "1@"+two+",2@"+one+",3@127.0.0.1:1")
		}},
	}
	only := os.Getenv(torture)
	for _, r := range ordeals {
		if only == "1" || strings.Contains(r.name, only) {
			x.round(t, r.name, r.do)
		}
	}
	for only == "1" && time.Since(begun) < tortureTime {
		r := ordeals[x.rnd.IntN(len(ordeals))]
		x.round(t, r.name, r.do)
	}
	x.finish(t)
}

func needsTorture(t *testing.T) {
	t.Helper()
	if os.Getenv(torture) == "" {
		t.Skipf("it takes minutes; %s=1, or make torture, asks for it", torture)
	}
}

// finish checks everything that was said.
func (x *torment) finish(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	x.b.settle(ctx)
	var nodes []stopper
	for _, n := range x.Nodes {
		nodes = append(nodes, n)
	}
	finish(t, x.l, x.a, nodes)
	t.Logf("%d records acknowledged", x.m.records())
}

// TestTorturePowerFailure takes the power of the disk of all nodes at once, under load.
func TestTorturePowerFailure(t *testing.T) {
	needsTorture(t)
	v := newVolume(t, "2G")
	x := begin(t, startProcesses(t, v.directories()), uint64(time.Now().UnixNano()))
	defer func() { t.Logf("\n%s", x.table()) }()
	for i := range 10 {
		x.round(t, fmt.Sprintf("power failure %d of all nodes", i+1), func() {
			time.Sleep(time.Duration(x.rnd.IntN(2000)) * time.Millisecond)
			x.powerFailure(v)
			x.startAll()
		})
	}
	x.finish(t)
}

// directories are those of three nodes.
func (v *volume) directories() (dirs []string) {
	for _, name := range []string{"1", "2", "3"} {
		dirs = append(dirs, filepath.Join(v.Path, name))
	}
	return dirs
}

// powerFailure stops the disk first: what a node acknowledges afterwards was on it before.
func (c *processes) powerFailure(v *volume) {
	v.fail()
	var wg sync.WaitGroup
	for _, n := range c.Nodes {
		if n.Running() {
			wg.Go(n.Destroy) // it may have noticed, and ended
		}
	}
	wg.Wait()
	v.restore()
}

// TestTorturePowerFailureInTheFirstMinute takes the power while everything is new.
func TestTorturePowerFailureInTheFirstMinute(t *testing.T) {
	needsTorture(t)
	rnd := rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))
	for i := range 8 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			v := newVolume(t, "1G")
			c := prepareProcesses(t, v.directories())
			for _, n := range c.Nodes {
				n.Spawn()
			}
			time.Sleep(time.Duration(rnd.IntN(800)) * time.Millisecond)
			c.powerFailure(v)
			c.startAll()
			x := begin(t, c, uint64(i))
			defer func() { t.Logf("\n%s", x.table()) }()
			x.round(t, "power failure after the first records", func() {
				time.Sleep(time.Duration(rnd.IntN(1500)) * time.Millisecond)
				x.powerFailure(v)
				x.startAll()
			})
			x.finish(t)
		})
	}
}

// TestTortureFullDisk fills the disk of one node.
func TestTortureFullDisk(t *testing.T) {
	needsTorture(t)
	for name, reserve := range map[string]string{"with a reserve": "33554432", "without one": "0"} {
		t.Run(name, func(t *testing.T) {
			v := newVolume(t, "160M")
			dirs := []string{filepath.Join(t.TempDir(), "1"), filepath.Join(v.Path, "2"), filepath.Join(t.TempDir(), "3")}
			x := begin(t, startProcesses(t, dirs, "--set", "log.reserve.bytes="+reserve), 1)
			defer func() { t.Logf("\n%s", x.table()) }()
			x.round(t, "a disk is full, then has room again", func() {
				ballast := filepath.Join(v.Path, "ballast")
				if err := os.WriteFile(ballast, make([]byte, 200<<20), 0o644); err == nil {
					t.Fatal("the disk is not full")
				}
				time.Sleep(15 * time.Second)
				if err := os.Remove(ballast); err != nil {
					t.Fatal(err)
				}
			})
			x.finish(t)
		})
	}
}
