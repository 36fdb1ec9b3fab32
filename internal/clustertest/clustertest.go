//go:build linux

// Package clustertest runs brokers in the test's own process, over a network that can be cut and
// disks that forget what was not synced.
package clustertest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/broker"
	"quorumlog/broker/config"
	"quorumlog/internal/netfault"
	"quorumlog/internal/powerloss"
)

// Client is the node, to the network, that all clients are at.
const Client int32 = 100

// Cluster is brokers, all of them voters, with ids from 1 on.
type Cluster struct {
	Net   *netfault.Network
	Nodes []*Node

	t testing.TB
}

// Node is the place of one broker. Its methods belong to one goroutine, except those that say so.
type Node struct {
	ID   int32
	Dir  string
	Addr string // for clients

	c    *Cluster
	cfg  broker.Config
	disk *powerloss.Disk
	full atomic.Bool
	skew atomic.Int64 // of its clock, in ns

	dying atomic.Bool // it is being killed, or without power: a start that fails is none of its own

	opened chan struct{} // closed when the start is over
	cancel context.CancelFunc
	broker *broker.Broker
}

// Start starts n voters over empty directories and returns when all serve clients.
func Start(t testing.TB, n int, settings map[string]string) *Cluster {
	t.Helper()
	c := Prepare(t, n, settings)
	for _, x := range c.Nodes {
		x.Start()
	}
	for _, x := range c.Nodes {
		x.Await()
	}
	return c
}

// Prepare makes n voters and starts none. They listen on an address of the cluster's own on the
// loopback interface, so that ports are known before and stay the same.
func Prepare(t testing.TB, n int, settings map[string]string) *Cluster {
	t.Helper()
	c := &Cluster{t: t, Net: netfault.New()}
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	var voters []broker.Voter
	for i := range n {
		voters = append(voters, broker.Voter{ID: int32(i + 1), Addr: fmt.Sprintf("%s:%d", host, 9100+i)})
	}
	for _, v := range voters {
		x := &Node{ID: v.ID, Dir: t.TempDir(), Addr: fmt.Sprintf("%s:%d", host, 9200+v.ID), c: c}
		x.disk = powerloss.New(x.Dir)
		c.Net.Name(v.Addr, v.ID)
		c.Net.Name(x.Addr, v.ID)
		values, err := config.NewValues(maps.Clone(settings))
		if err != nil {
			t.Fatal(err)
		}
		x.cfg = broker.Config{
			NodeID: v.ID, DataDir: x.Dir, Listen: x.Addr, Advertise: x.Addr, RaftListen: v.Addr, Voters: voters,
			Settings: values, Logger: logger(t, v.ID),
			Dial: c.Net.Dialer(v.ID), Now: x.now, Free: x.free,
		}
		c.Nodes = append(c.Nodes, x)
	}
	t.Cleanup(c.Close)
	return c
}

// logger writes to standard error, or to the file that CLUSTERTEST_LOG names, where that is set.
func logger(t testing.TB, id int32) *slog.Logger {
	name := os.Getenv("CLUSTERTEST_LOG")
	if name == "" {
		return slog.New(slog.DiscardHandler)
	}
	f, err := os.OpenFile(name, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})).With("node", id)
}

// Close ends all nodes; the test does so itself at its end.
func (c *Cluster) Close() {
	var wg sync.WaitGroup
	for _, x := range c.Nodes {
		c.Net.Join(x.ID)
		c.Net.Mend(x.ID, Client)
	}
	for _, x := range c.Nodes {
		wg.Go(func() {
			x.Kill()
			x.disk.Close()
		})
	}
	wg.Wait()
}

// Node is the one with this id.
func (c *Cluster) Node(id int32) *Node { return c.Nodes[id-1] }

// NewClient makes a client whose connections are part of the network.
func (c *Cluster) NewClient(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	var seeds []string
	for _, x := range c.Nodes {
		seeds = append(seeds, x.Addr)
	}
	own := append(ClientOpts(c.Net.Dialer(Client)), kgo.SeedBrokers(seeds...))
	cl, err := kgo.NewClient(append(own, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// ClientOpts makes a client dial in this way, and find its brokers again at once after a fault.
func ClientOpts(dial func(ctx context.Context, address string) (net.Conn, error)) []kgo.Opt {
	return []kgo.Opt{
		kgo.Dialer(func(ctx context.Context, _, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, time.Second)
			defer cancel()
			return dial(ctx, address)
		}),
		kgo.RetryBackoffFn(func(int) time.Duration { return 20 * time.Millisecond }),
		kgo.MetadataMinAge(20 * time.Millisecond),
		kgo.RequestTimeoutOverhead(time.Second), kgo.FetchMaxWait(200 * time.Millisecond),
		kgo.AlwaysRetryEOF(), kgo.UnknownTopicRetries(-1),
	}
}

// now is the node's clock.
func (x *Node) now() time.Time { return time.Now().Add(time.Duration(x.skew.Load())) }

// free is the node's free disk space.
func (x *Node) free(string) (int64, error) {
	if x.full.Load() {
		return 0, nil
	}
	return 1 << 40, nil
}

// SetClock sets the node's clock ahead, or back.
func (x *Node) SetClock(ahead time.Duration) { x.skew.Store(int64(ahead)) }

// SetFull makes the node's disk full, or gives it room.
func (x *Node) SetFull(full bool) { x.full.Store(full) }

// DataDir is the node's data directory.
func (x *Node) DataDir() string { return x.Dir }

// Running reports whether the node was started and not stopped.
func (x *Node) Running() bool { return x.opened != nil }

// Start starts the node and does not wait for it.
func (x *Node) Start() {
	ctx, cancel := context.WithCancel(context.Background())
	opened := make(chan struct{})
	x.opened, x.cancel = opened, cancel
	x.dying.Store(false)
	go func() {
		defer close(opened)
		b, err := broker.Open(ctx, x.cfg)
		if err != nil && ctx.Err() == nil && !x.dying.Load() {
			x.c.t.Errorf("node %d cannot start: %v", x.ID, err)
		}
		if err == nil {
			x.broker = b
		}
	}()
}

// startPatience is how long a node may take to serve clients, where a majority is there.
const startPatience = 30 * time.Second

// Await returns when the node serves clients.
func (x *Node) Await() {
	x.c.t.Helper()
	select {
	case <-x.opened:
	case <-time.After(startPatience):
		x.c.t.Fatalf("node %d does not serve clients after %s", x.ID, startPatience)
	}
}

// Stop stops the node as an operator does.
func (x *Node) Stop() {
	x.c.t.Helper()
	x.cancel()
	<-x.opened
	x.opened = nil
	if x.broker == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := x.broker.Close(ctx); err != nil {
		x.c.t.Errorf("node %d: %v\n%s", x.ID, err, stacks())
	}
	x.broker = nil
}

// stacks are those of all goroutines, to see what a node waits for.
func stacks() []byte {
	b := make([]byte, 16<<20)
	return b[:runtime.Stack(b, true)]
}

// Kill ends the node as kill -9 does: nothing leaves it from now on, and what it has written is
// there. It may be starting.
func (x *Node) Kill() { x.die(func() {}) }

// PowerOff ends the node as a power failure does: what it has not synced is there or not, as luck
// has it.
func (x *Node) PowerOff(luck powerloss.Luck, chance *rand.Rand) {
	x.c.t.Helper()
	x.die(func() {
		if err := x.disk.Cut(luck, chance); err != nil {
			x.c.t.Fatal(err)
		}
	})
	if err := x.disk.Restore(); err != nil {
		x.c.t.Fatal(err)
	}
}

// die takes the node off the network before anything else: what it does while it is closed is
// seen by nobody.
func (x *Node) die(meanwhile func()) {
	x.c.Net.Unplug(x.ID)
	defer x.c.Net.Plug(x.ID)
	x.dying.Store(true)
	meanwhile()
	if x.opened == nil {
		return
	}
	x.cancel()
	<-x.opened
	x.opened = nil
	if x.broker != nil {
		_ = x.broker.Abandon() // a disk without power has a lot to say
		x.broker = nil
	}
}
