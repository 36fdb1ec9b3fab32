package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// fake answers Raft's requests.
type fake struct {
	deliver func(ctx context.Context, group string, request any) (any, error) // nil answers yes
}

func (f *fake) Deliver(ctx context.Context, group string, request any) (any, error) {
	if f.deliver != nil {
		return f.deliver(ctx, group, request)
	}
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

// trio is a cluster of nodes on loopback.
type trio struct {
	nodes map[int32]*Peers
	fakes map[int32]*fake
	addrs map[int32]string
}

func newTrio(t testing.TB, n int32, change func(*Config)) *trio {
	x := &trio{nodes: map[int32]*Peers{}, fakes: map[int32]*fake{}, addrs: map[int32]string{}}
	listeners, ids := map[int32]net.Listener{}, []int32{}
	for id := int32(1); id <= n; id++ {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		listeners[id], x.addrs[id] = l, l.Addr().String()
		ids = append(ids, id)
	}
	for _, id := range ids {
		x.fakes[id] = &fake{}
		c := Config{
			Node: id, Identity: fmt.Sprint("dir-", id), Listen: listeners[id], Transport: x.fakes[id],
			Resolve: func(n int32) string { return x.addrs[n] },
			Logger:  slog.New(slog.DiscardHandler),
		}
		if change != nil {
			change(&c)
		}
		x.nodes[id] = New(c)
		x.nodes[id].SetMembers(ids)
		t.Cleanup(func() { x.nodes[id].Close() })
	}
	return x
}

func (x *trio) start() *trio {
	for _, p := range x.nodes {
		p.Start()
	}
	return x
}

func eventually(t testing.TB, what string, ready func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !ready(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestEveryPairOfNodesIsConnectedOnce(t *testing.T) {
	x := newTrio(t, 3, nil).start()
	for a := range x.nodes {
		for b := range x.nodes {
			if a == b {
				continue
			}
			eventually(t, "connected", func() bool { _, ok := x.nodes[a].Connected(b); return ok })
		}
	}
	links := func() (n int) {
		for _, p := range x.nodes {
			p.mu.Lock()
			n += len(p.conns)
			p.mu.Unlock()
		}
		return n
	}
	eventually(t, "no connection beside the links", func() bool { return links() == 0 })
}

func TestRaftsRequestsTravel(t *testing.T) {
	x := newTrio(t, 2, nil)
	ctx := t.Context()
	arrived := make(chan *raft.AppendEntriesRequest, 1)
	x.fakes[2].deliver = func(_ context.Context, group string, request any) (any, error) {
		if group != "g" {
			return nil, errors.New("wrong group " + group)
		}
		switch r := request.(type) {
		case *raft.AppendEntriesRequest:
			if isHeartbeat(r) {
				return &raft.AppendEntriesResponse{Term: r.Term + 1}, nil
			}
			c := *r
			c.Entries, c.ID = nil, bytes.Clone(r.ID)
			for _, e := range r.Entries {
				d := *e
				d.Data = bytes.Clone(e.Data)
				c.Entries = append(c.Entries, &d)
			}
			arrived <- &c
			return &raft.AppendEntriesResponse{Term: 3, LastLog: 12, Success: true}, nil
		case *raft.RequestVoteRequest:
			return &raft.RequestVoteResponse{Term: 4, Granted: r.LeadershipTransfer}, nil
		case *raft.RequestPreVoteRequest:
			return &raft.RequestPreVoteResponse{Term: 4, Granted: true}, nil
		}
		return nil, errors.New("no")
	}
	x.start()
	header := raft.RPCHeader{ProtocolVersion: 3, ID: []byte("1/dir-1"), Addr: []byte("1")}
	large := bytes.Repeat([]byte("x"), 1<<20)
	ask := &raft.AppendEntriesRequest{RPCHeader: header, Term: 3, PrevLogEntry: 10, PrevLogTerm: 2, LeaderCommitIndex: 9, Entries: []*raft.Log{
		{Index: 11, Term: 3, Type: raft.LogNoop}, {Index: 12, Term: 3, Data: large}, {Index: 13, Term: 3, Data: []byte("small")},
	}}
	var a raft.AppendEntriesResponse
	if err := x.nodes[1].Call(ctx, 2, "g", ask, &a); err != nil {
		t.Fatal(err)
	}
	if !a.Success || a.Term != 3 || a.LastLog != 12 {
		t.Fatalf("%+v", a)
	}
	got := <-arrived
	if len(got.Entries) != 3 || !bytes.Equal(got.Entries[1].Data, large) || string(got.Entries[2].Data) != "small" || got.Entries[0].Type != raft.LogNoop || got.PrevLogEntry != 10 || string(got.ID) != "1/dir-1" {
		t.Fatalf("%+v", got)
	}
	if p := x.nodes[1].Progress("g")[2]; p.Match != 13 {
		t.Fatalf("progress %+v", p)
	}
	var v raft.RequestVoteResponse
	if err := x.nodes[1].Call(ctx, 2, "g", &raft.RequestVoteRequest{RPCHeader: header, Term: 4, LeadershipTransfer: true}, &v); err != nil || !v.Granted {
		t.Fatal(err, v)
	}
	var pv raft.RequestPreVoteResponse
	if err := x.nodes[1].Call(ctx, 2, "g", &raft.RequestPreVoteRequest{RPCHeader: header, Term: 4}, &pv); err != nil || !pv.Granted {
		t.Fatal(err, pv)
	}
	var e *Error
	if err := x.nodes[1].Call(ctx, 2, "g", &raft.TimeoutNowRequest{RPCHeader: header}, &raft.TimeoutNowResponse{}); !errors.As(err, &e) || e.Text != "no" {
		t.Fatal(err)
	}
	var h raft.AppendEntriesResponse
	if err := x.nodes[1].Call(ctx, 2, "g", &raft.AppendEntriesRequest{RPCHeader: header, Term: 5}, &h); err != nil || h.Success || h.Term != 6 {
		t.Fatal(err, h)
	}
}

func TestServicesAnswerWithPayloadOrError(t *testing.T) {
	x := newTrio(t, 2, nil)
	x.nodes[2].Handle(7, func(_ context.Context, from int32, payload []byte) ([]byte, error) {
		if len(payload) == 0 {
			return nil, &Error{300, "nothing"}
		}
		return append(payload, byte('0'+from)), nil
	})
	x.start()
	got, err := x.nodes[1].Ask(t.Context(), 2, 7, []byte("hello"))
	if err != nil || string(got) != "hello1" {
		t.Fatal(err, string(got))
	}
	var e *Error
	if _, err := x.nodes[1].Ask(t.Context(), 2, 7, nil); !errors.As(err, &e) || e.Code != 300 {
		t.Fatal(err)
	}
	if _, err := x.nodes[1].Ask(t.Context(), 2, 8, nil); !errors.As(err, &e) || e.Code != CodeNoService {
		t.Fatal(err)
	}
	if _, err := x.nodes[1].Ask(t.Context(), 9, 8, nil); !errors.Is(err, ErrUnreachable) {
		t.Fatal(err)
	}
}

func TestPublishedStateReachesPeersInOrder(t *testing.T) {
	x := newTrio(t, 2, nil)
	var mu sync.Mutex
	seen := ""
	x.nodes[2].OnState(func(from int32, full bool, payload []byte) {
		mu.Lock()
		defer mu.Unlock()
		if full {
			seen = string(payload)
			return
		}
		seen += string(payload)
	})
	x.start()
	all := ""
	for i := range 200 {
		mu.Lock()
		all += fmt.Sprint(i, " ")
		mu.Unlock()
		x.nodes[1].Publish([]byte(fmt.Sprint(i, " ")), func() []byte {
			mu.Lock()
			defer mu.Unlock()
			return []byte(all)
		})
	}
	eventually(t, "all of it", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(seen) >= len(all) && seen[len(seen)-4:] == "199 "
	})
}

func TestAMajorityJudgesWhoIsDown(t *testing.T) {
	x := newTrio(t, 3, nil)
	down, up := make(chan int32, 10), make(chan int32, 10)
	x.nodes[1].OnDown(func(n int32) { down <- n })
	x.nodes[1].OnUp(func(n int32) { up <- n })
	x.start()
	for _, n := range []int32{2, 3} {
		eventually(t, "connected", func() bool { _, ok := x.nodes[1].Connected(n); return ok })
	}
	eventually(t, "connected", func() bool { _, ok := x.nodes[2].Connected(3); return ok })
	began := time.Now()
	x.nodes[3].Close()
	if n := <-down; n != 3 {
		t.Fatal(n)
	}
	t.Log("down after", time.Since(began))
	l, err := net.Listen("tcp", x.addrs[3])
	if err != nil {
		t.Skip(err)
	}
	c := x.nodes[3].config
	c.Listen = l
	again := New(c)
	again.SetMembers([]int32{1, 2, 3})
	again.Start()
	defer again.Close()
	if n := <-up; n != 3 {
		t.Fatal(n)
	}
}
