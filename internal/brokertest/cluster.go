package brokertest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// Cluster is brokerd processes that form one cluster, all of them voters; node ids count from 1.
type Cluster struct {
	Nodes []*Broker
}

// StartCluster runs n voters over empty data directories, with more arguments for each, and
// returns when all are ready. Nodes reach each other on a loopback address of this cluster's own,
// so that the ports are known before anything runs.
func StartCluster(t testing.TB, n int, args ...string) *Cluster {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	var voters []string
	for i := range n {
		voters = append(voters, fmt.Sprintf("%d@%s:%d", i+1, host, 9093+i))
	}
	c := &Cluster{}
	for i, v := range voters {
		_, addr, _ := strings.Cut(v, "@")
		own := []string{"--node-id", fmt.Sprint(i + 1), "--voters", strings.Join(voters, ",")}
		c.Nodes = append(c.Nodes, newBroker(t, addr, append(own, args...)))
	}
	c.StartAll()
	return c
}

// StartAll starts the nodes that do not run, all at once, and returns when they are ready.
func (c *Cluster) StartAll() {
	var started []*Broker
	for _, b := range c.Nodes {
		if !b.Running() {
			b.spawn()
			started = append(started, b)
		}
	}
	for _, b := range started {
		b.awaitReady()
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
