// Package netfault is a network between nodes of one test that can be cut, slowed down and
// mended. Every connection belongs to a pair of nodes: who dialled knows both, so only that end
// is wrapped. Sockets of the system serve as well as connections in memory, which work inside a
// bubble of testing/synctest.
package netfault

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Network joins nodes. The zero value is not ready: see New.
type Network struct {
	mu      sync.Mutex
	nodes   map[string]int32     // by address
	memory  map[string]*listener // listening in memory, by address
	cut     map[way]bool
	off     map[int32]bool // nodes that are unplugged
	delay   map[way]time.Duration
	conns   map[*conn]struct{}
	changed chan struct{} // closed and replaced when cuts or delays change
}

// way is one direction between two nodes.
type way struct{ from, to int32 }

// New returns a network without faults.
func New() *Network {
	return &Network{
		nodes: map[string]int32{}, memory: map[string]*listener{}, cut: map[way]bool{}, off: map[int32]bool{},
		delay: map[way]time.Duration{}, conns: map[*conn]struct{}{}, changed: make(chan struct{}),
	}
}

// Name says which node listens at an address of the system's network.
func (n *Network) Name(address string, node int32) {
	n.mu.Lock()
	n.nodes[address] = node
	n.mu.Unlock()
}

// Address is where Listen lets a node listen.
func Address(node int32) string { return "node-" + strconv.Itoa(int(node)) + ":1" }

// Listen lets a node listen in memory, at Address.
func (n *Network) Listen(node int32) net.Listener {
	l := &listener{network: n, address: Address(node), conns: make(chan net.Conn), closed: make(chan struct{})}
	n.mu.Lock()
	n.memory[l.address], n.nodes[l.address] = l, node
	n.mu.Unlock()
	return l
}

// Dialer returns how a node dials. While the network is cut, in whatever direction, dialling
// waits for it to be mended.
func (n *Network) Dialer(from int32) func(ctx context.Context, address string) (net.Conn, error) {
	return func(ctx context.Context, address string) (net.Conn, error) {
		n.mu.Lock()
		to, known := n.nodes[address]
		n.mu.Unlock()
		if known {
			if err := n.await(ctx, way{from, to}, way{to, from}); err != nil {
				return nil, fmt.Errorf("dial %s: %w", address, err)
			}
		}
		inner, err := n.connect(ctx, address)
		if err != nil || !known {
			return inner, err
		}
		c := newConn(n, inner, way{from, to})
		n.mu.Lock()
		n.conns[c] = struct{}{}
		n.mu.Unlock()
		return c, nil
	}
}

// connect makes the connection, in memory or in the system.
func (n *Network) connect(ctx context.Context, address string) (net.Conn, error) {
	n.mu.Lock()
	l := n.memory[address]
	n.mu.Unlock()
	if l != nil {
		return l.dial(ctx)
	}
	if _, _, err := net.SplitHostPort(address); err == nil && len(address) > 5 && address[:5] == "node-" {
		return nil, &net.OpError{Op: "dial", Net: "memory", Err: syscall.ECONNREFUSED}
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// Cut stops everything between two nodes: bytes wait, as those of TCP do, and nothing fails by
// itself.
func (n *Network) Cut(a, b int32) {
	n.CutOneWay(a, b)
	n.CutOneWay(b, a)
}

// CutOneWay stops what one node sends to another one.
func (n *Network) CutOneWay(from, to int32) { n.change(func() { n.cut[way{from, to}] = true }) }

// Mend undoes all cuts and delays between two nodes.
func (n *Network) Mend(a, b int32) {
	n.change(func() {
		for _, w := range []way{{a, b}, {b, a}} {
			delete(n.cut, w)
			delete(n.delay, w)
		}
	})
}

// Unplug stops everything to and from a node, whatever else is cut, until it is plugged in again.
func (n *Network) Unplug(node int32) { n.change(func() { n.off[node] = true }) }

// Plug undoes Unplug.
func (n *Network) Plug(node int32) { n.change(func() { delete(n.off, node) }) }

// Isolate cuts a node from all the others that have ever been named; Join undoes it.
func (n *Network) Isolate(node int32) { n.others(node, n.Cut) }

// Join mends a node's ways to all the others.
func (n *Network) Join(node int32) { n.others(node, n.Mend) }

func (n *Network) others(node int32, do func(a, b int32)) {
	n.mu.Lock()
	others := map[int32]bool{}
	for _, other := range n.nodes {
		others[other] = other != node
	}
	n.mu.Unlock()
	for other, is := range others {
		if is {
			do(node, other)
		}
	}
}

// Delay makes what one node sends to another one come later; zero ends it.
func (n *Network) Delay(from, to int32, d time.Duration) {
	n.change(func() { n.delay[way{from, to}] = d })
}

// Drop ends all connections between two nodes; new ones can be made.
func (n *Network) Drop(a, b int32) {
	n.mu.Lock()
	var victims []*conn
	for c := range n.conns {
		if c.out == (way{a, b}) || c.out == (way{b, a}) {
			victims = append(victims, c)
		}
	}
	n.mu.Unlock()
	for _, c := range victims {
		c.Close()
	}
}

func (n *Network) change(do func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	do()
	close(n.changed)
	n.changed = make(chan struct{})
}

// state tells of a way now, and when to look again.
func (n *Network) state(ways ...way) (cut bool, delay time.Duration, changed <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, w := range ways {
		cut = cut || n.cut[w] || n.off[w.from] || n.off[w.to]
		delay = max(delay, n.delay[w])
	}
	return cut, delay, n.changed
}

// await returns when none of the ways is cut.
func (n *Network) await(ctx context.Context, ways ...way) error {
	for {
		cut, _, changed := n.state(ways...)
		if !cut {
			return ctx.Err()
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
