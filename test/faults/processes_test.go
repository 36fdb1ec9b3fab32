//go:build linux

package faults

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
	"quorumlog/internal/clustertest"
	"quorumlog/internal/netfault"
)

// processes is a cluster of brokerd processes, whose network can be cut: they reach each other by
// way of proxies.
type processes struct {
	*brokertest.Cluster
	net *netfault.Network
	t   *testing.T
}

var settings = []string{
	"--set", "offsets.topic.num.partitions=1", "--set", "transaction.state.log.num.partitions=1",
	"--set", "transaction.abort.timed.out.transaction.cleanup.interval.ms=1000", "--set", "group.initial.rebalance.delay.ms=0", "--set", "log.segment.bytes=1048576",
	"--set", fmt.Sprint("replica.lag.time.max.ms=", lag.Milliseconds()),
}

// startProcesses starts three; dirs are where they keep their data, nil for temporary directories.
func startProcesses(t *testing.T, dirs []string, args ...string) *processes {
	t.Helper()
	c := prepareProcesses(t, dirs, args...)
	c.startAll()
	return c
}

func prepareProcesses(t *testing.T, dirs []string, args ...string) *processes {
	t.Helper()
	n := netfault.New()
	cfg := brokertest.ClusterConfig{Nodes: 3, Dirs: dirs, Net: n, Args: append(args, settings...)}
	return &processes{Cluster: cfg.Prepare(t), net: n, t: t}
}

// startAll starts the nodes that do not run.
func (c *processes) startAll() {
	c.t.Helper()
	c.StartAll()
	for i, b := range c.Nodes {
		c.net.Name(b.Addr, int32(i+1))
	}
}

// NewClient makes a client whose connections are part of the network.
func (c *processes) NewClient(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	dial := c.net.Dialer(clustertest.Client)
	own := append(clustertest.ClientOpts(dial), kgo.SeedBrokers(c.Addrs()...))
	cl, err := kgo.NewClient(append(own, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	return cl
}

// who finds out which node has a role.
type who struct {
	c   *processes
	adm *kadm.Client
}

// leader leads the first partition of the first topic.
func (w who) leader() int32 {
	return w.ask(func(ctx context.Context) int32 {
		m, err := w.adm.Metadata(ctx, "one")
		if err != nil {
			return -1
		}
		return m.Topics["one"].Partitions[0].Leader
	})
}

func (w who) controller() int32 {
	return w.ask(func(ctx context.Context) int32 {
		m, err := w.adm.BrokerMetadata(ctx)
		if err != nil {
			return -1
		}
		return m.Controller
	})
}

func (w who) coordinator() int32 {
	return w.ask(func(ctx context.Context) int32 {
		r := w.adm.FindGroupCoordinators(ctx, "members")
		if g := r["members"]; g.Err == nil {
			return g.NodeID
		}
		return -1
	})
}

// ask asks until there is an answer.
func (w who) ask(question func(context.Context) int32) int32 {
	w.c.t.Helper()
	for end := time.Now().Add(recovery); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		ctx, cancel := context.WithTimeout(w.c.t.Context(), 5*time.Second)
		id := question(ctx)
		cancel()
		if id > 0 {
			return id
		}
	}
	w.c.t.Fatal("nobody has the role")
	return 0
}
