package brokertest

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"testing"

	"quorumlog/internal/netfault"
)

// Cluster is brokerd processes that form one cluster, all of them voters; node ids count from 1.
type Cluster struct {
	Nodes []*Broker
	// Voters is what --voters says.
	Voters string
}

// ClusterConfig says how a cluster is started. Only Nodes must be given.
type ClusterConfig struct {
	Nodes int
	Args  []string // for every node
	Dirs  []string // the data directories; else they are temporary ones
	// Net, where given, is between the nodes: they dial each other by way of proxies.
	Net *netfault.Network
}

// StartCluster runs n voters over empty data directories, with more arguments for each, and
// returns when all are ready.
func StartCluster(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	return ClusterConfig{Nodes: n, Args: args}.Start(t)
}

// Start runs the voters and returns when all are ready. Nodes reach each other on a loopback
// address of this cluster's own, so that the ports are known before anything runs.
func (cfg ClusterConfig) Start(t testing.TB) *Cluster {
	t.Helper()
	c := cfg.Prepare(t)
	c.StartAll()
	return c
}

// Prepare makes the cluster and starts nothing.
func (cfg ClusterConfig) Prepare(t testing.TB) *Cluster {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	var voters, addrs []string
	for i := range cfg.Nodes {
		addr := fmt.Sprintf("%s:%d", host, 9093+i)
		addrs = append(addrs, addr)
		if cfg.Net != nil {
			addr = cfg.proxy(t, int32(i+1), addr)
		}
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, addr))
	}
	c := &Cluster{Voters: strings.Join(voters, ",")}
	for i, addr := range addrs {
		own := []string{"--node-id", fmt.Sprint(i + 1), "--voters", c.Voters}
		b := newBroker(t, addr, append(own, cfg.Args...))
		if cfg.Dirs != nil {
			b.Dir = cfg.Dirs[i]
		}
		c.Nodes = append(c.Nodes, b)
	}
	return c
}

// proxy lets the other nodes reach a node by way of the network, and returns where.
func (cfg ClusterConfig) proxy(t testing.TB, node int32, target string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go cfg.Net.Proxy(l, node, target, helloBytes, senderOf)
	return l.Addr().String()
}

// A connection between nodes begins with QLPEER\r\n, a length of four bytes, two versions, the
// purpose, the expected node and the sender, as docs/formats/peer-protocol.md says. All of these
// numbers are small and so take one byte; nodes stand there with their ids plus 1.
const helloBytes = 17

func senderOf(hello []byte) int32 { return int32(hello[helloBytes-1]) - 1 }

// StartAll starts the nodes that do not run, all at once, and returns when they are ready.
func (c *Cluster) StartAll() {
	var started []*Broker
	for _, b := range c.Nodes {
		if !b.Running() {
			b.Spawn()
			started = append(started, b)
		}
	}
	for _, b := range started {
		b.AwaitReady()
	}
}

// Node is the node with this id.
func (c *Cluster) Node(id int32) *Broker { return c.Nodes[id-1] }

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() (out []string) {
	for _, b := range c.Nodes {
		out = append(out, b.Addr)
	}
	return out
}
