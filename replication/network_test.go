package replication

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
)

// network joins the transports of several nodes in memory. Nodes may be cut off.
type network struct {
	appended  map[int32]*atomic.Int64                 // entries that went to a node by AppendEntries
	committed atomic.Uint64                           // what a leader told last
	streams   atomic.Pointer[func(net.Conn) net.Conn] // what tamper was given

	mu    sync.Mutex
	nodes map[int32]*Transport
	cut   map[int32]bool
}

// tamper has a test see every segment stream that begins from now on.
func (w *network) tamper(f func(net.Conn) net.Conn) { w.streams.Store(&f) }

func newNetwork() *network {
	w := &network{nodes: map[int32]*Transport{}, cut: map[int32]bool{}, appended: map[int32]*atomic.Int64{}}
	for id := range int32(10) {
		w.appended[id] = &atomic.Int64{}
	}
	w.tamper(func(c net.Conn) net.Conn { return c })
	return w
}

// join puts a node's transport on the network, in the place of an earlier one.
func (w *network) join(id int32, t *Transport) {
	w.mu.Lock()
	w.nodes[id] = t
	w.mu.Unlock()
	t.SetRoute(route{w, id})
	t.SetSegmentRoute(route{w, id})
}

func (w *network) setCut(id int32, cut bool) {
	w.mu.Lock()
	w.cut[id] = cut
	w.mu.Unlock()
}

func (w *network) isCut(id int32) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.cut[id]
}

func (w *network) reach(from, to int32) *Transport {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cut[from] || w.cut[to] {
		return nil
	}
	return w.nodes[to]
}

type route struct {
	net  *network
	from int32
}

var errCut = errors.New("network is cut")

// Call delivers a copy: the entries' data is the sender's mapped file.
func (r route) Call(ctx context.Context, to int32, group string, request, response any) error {
	t := r.net.reach(r.from, to)
	if t == nil {
		return errCut
	}
	if ae, ok := request.(*raft.AppendEntriesRequest); ok {
		request = cloneEntries(ae)
		r.net.appended[to].Add(int64(len(ae.Entries)))
	}
	answer, err := t.Deliver(ctx, group, request, time.Second)
	if err != nil {
		return err
	}
	if r.net.reach(to, r.from) == nil {
		return errCut // the answer is lost, not the request
	}
	switch to := response.(type) {
	case *raft.AppendEntriesResponse:
		*to = *answer.(*raft.AppendEntriesResponse)
	case *raft.RequestVoteResponse:
		*to = *answer.(*raft.RequestVoteResponse)
	case *raft.RequestPreVoteResponse:
		*to = *answer.(*raft.RequestPreVoteResponse)
	case *raft.TimeoutNowResponse:
		*to = *answer.(*raft.TimeoutNowResponse)
	}
	return nil
}

// Committed notes what a leader tells.
func (r route) Committed(_ string, _, index uint64) { r.net.committed.Store(index) }

// Ship joins the two ends of a stream in memory.
func (r route) Ship(_ context.Context, to int32, header []byte) (net.Conn, error) {
	t := r.net.reach(r.from, to)
	if t == nil {
		return nil, errCut
	}
	here, there := net.Pipe()
	go func() {
		defer there.Close()
		t.ReceiveSegments(r.from, header, there)
	}()
	return (*r.net.streams.Load())(here), nil
}

func cloneEntries(ae *raft.AppendEntriesRequest) *raft.AppendEntriesRequest {
	c := *ae
	c.Entries = make([]*raft.Log, len(ae.Entries))
	for i, l := range ae.Entries {
		e := *l
		e.Data = bytes.Clone(l.Data)
		c.Entries[i] = &e
	}
	return &c
}
