package peers

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/internal/netfault"
)

// fake answers Raft's requests.
type fake struct {
	deliver func(ctx context.Context, group string, request any) (any, error) // nil answers yes
}

func (f *fake) Deliver(ctx context.Context, group string, request any, patience time.Duration) (any, error) {
	if f.deliver != nil {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return f.deliver(ctx, group, request)
	}
	return yes(request)
}

func yes(request any) (any, error) {
	switch r := request.(type) {
	case *raft.AppendEntriesRequest:
		last, _ := lastOf(r)
		return &raft.AppendEntriesResponse{Term: r.Term, LastLog: last, Success: true}, nil
	case *raft.RequestVoteRequest:
		return &raft.RequestVoteResponse{Term: r.Term, Granted: true}, nil
	case *raft.RequestPreVoteRequest:
		return &raft.RequestPreVoteResponse{Term: r.Term, Granted: true}, nil
	}
	return &raft.TimeoutNowResponse{}, nil
}

// nodes is a cluster whose network can be cut. It works inside a bubble of synctest where it is
// in memory.
type nodes struct {
	t     testing.TB
	net   *netfault.Network
	peers map[int32]*Peers
	fakes map[int32]*fake
	addrs map[int32]string
	ids   []int32
	all   []*Peers // also those that share an id
}

// inMemory prepares nodes 1 to n, which are all members; start starts them.
func inMemory(t testing.TB, n int32, change func(*Config)) *nodes {
	w := netfault.New()
	return prepare(t, w, n, change, func(id int32) net.Listener { return w.Listen(id) })
}

// onLoopback is inMemory over sockets of the system.
func onLoopback(t testing.TB, n int32, change func(*Config)) *nodes {
	w := netfault.New()
	return prepare(t, w, n, func(c *Config) {
		c.Dial = nil // the fastest there is
		if change != nil {
			change(c)
		}
	}, func(id int32) net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		w.Name(l.Addr().String(), id)
		return l
	})
}

func prepare(t testing.TB, w *netfault.Network, n int32, change func(*Config), listen func(int32) net.Listener) *nodes {
	x := &nodes{t: t, net: w, peers: map[int32]*Peers{}, fakes: map[int32]*fake{}, addrs: map[int32]string{}}
	for id := int32(1); id <= n; id++ {
		x.ids = append(x.ids, id)
	}
	for _, id := range x.ids {
		l := listen(id)
		x.addrs[id], x.fakes[id] = l.Addr().String(), &fake{}
		x.add(x.config(id, l, change))
	}
	t.Cleanup(func() {
		for _, p := range x.all {
			p.Close()
		}
	})
	return x
}

func (x *nodes) config(id int32, l net.Listener, change func(*Config)) Config {
	c := Config{
		Node: id, Identity: fmt.Sprint("dir-", id), ClusterID: func() string { return "cluster" }, Listen: l, Transport: x.fakes[id],
		Resolve: func(n int32) string { return x.addrs[n] }, Dial: x.net.Dialer(id), Logger: slog.New(slog.DiscardHandler),
	}
	if change != nil {
		change(&c)
	}
	return c
}

func (x *nodes) add(c Config) *Peers {
	p := New(c)
	x.peers[c.Node], x.all = p, append(x.all, p)
	p.SetMembers(x.ids)
	return p
}

// start starts all nodes and waits until they are connected.
func (x *nodes) start() *nodes {
	for _, p := range x.peers {
		p.Start()
	}
	for a, p := range x.peers {
		for b := range x.peers {
			if a != b {
				x.connected(p, b)
			}
		}
	}
	return x
}

func (x *nodes) connected(p *Peers, to int32) {
	x.t.Helper()
	eventually(x.t, fmt.Sprintf("node %d is connected to node %d", p.config.Node, to), func() bool {
		_, ok := p.Connected(to)
		return ok
	})
}

func eventually(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ready(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

// header is what a leader on a node sends with every request.
func header(node int32) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: 3, ID: fmt.Appendf(nil, "%d/dir-%d", node, node), Addr: fmt.Append(nil, node)}
}

// entries is an AppendEntries of n entries after prev, each of so many bytes.
func entries(term, prev uint64, n, size int) *raft.AppendEntriesRequest {
	r := &raft.AppendEntriesRequest{RPCHeader: header(1), Term: term, PrevLogEntry: prev, PrevLogTerm: term}
	for i := range n {
		r.Entries = append(r.Entries, &raft.Log{Index: prev + uint64(i) + 1, Term: term, Data: make([]byte, size)})
	}
	return r
}

func echo(_ context.Context, _ int32, payload []byte) ([]byte, error) { return payload, nil }
