package replication

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/internal/freelist"
)

// rpcBacklog bounds the RPCs that wait for one group's main goroutine.
const rpcBacklog = 16

// Route carries a request to a node and returns its answer; request and response are those of
// hashicorp/raft; of an entry, Index, Term, Type and Data travel. The entries' data is valid only
// during the call. The context ends when the group closes; the deadline is the route's own. An
// AppendEntries that fails is not tried again by Raft before its commit timeout: a route that can
// should retry.
type Route interface {
	Call(ctx context.Context, to int32, group string, request, response any) error
}

// CommitRoute is a Route that passes on how far a group led by this node has committed, so that
// followers need not wait for the next entry, or Raft's commit timeout, to learn it. It is called
// for every batch that is applied, and must not block.
type CommitRoute interface {
	Committed(group string, term, index uint64)
}

// Transport carries the RPCs of all Raft groups of a node. A group's address is its node's id,
// so that votes and configurations name nodes, never sockets.
type Transport struct {
	local   raft.ServerAddress
	encoded []byte // local, as Raft puts it into every message
	route   atomic.Pointer[Route]

	segments atomic.Pointer[SegmentRoute]

	mu      sync.RWMutex
	groups  map[string]*GroupTransport
	awaited map[string]*awaited
	waiting int // requests, for all that is awaited

	deliveries *freelist.List[delivery] // that have had their answer
}

// NewTransport returns the transport of the node with this id. It reaches nobody until it has a
// route.
func NewTransport(node int32) *Transport {
	local := NodeAddress(node)
	return &Transport{local: local, encoded: []byte(local), groups: map[string]*GroupTransport{}, awaited: map[string]*awaited{}, deliveries: freelist.New[delivery](rpcBacklog * rpcBacklog)}
}

// SetRoute says how other nodes are reached.
func (t *Transport) SetRoute(r Route) { t.route.Store(&r) }

func (t *Transport) committed(group string, term, index uint64) {
	if route := t.route.Load(); route != nil {
		if c, ok := (*route).(CommitRoute); ok {
			c.Committed(group, term, index)
		}
	}
}

// NodeAddress is a node's address inside Raft.
func NodeAddress(node int32) raft.ServerAddress {
	return raft.ServerAddress(strconv.Itoa(int(node)))
}

var (
	errNoGroup     = errors.New("this node has no such group")
	errGroupClosed = errors.New("group is closed")
)

// delivery waits for a group's answer. Raft may answer one that was given up too, so it is used
// again only after its answer has come.
type delivery struct {
	answer chan raft.RPCResponse // one fits
	late   *time.Timer
}

func (t *Transport) newDelivery(patience time.Duration) *delivery {
	d := t.deliveries.Get()
	if d == nil {
		return &delivery{make(chan raft.RPCResponse, 1), time.NewTimer(patience)}
	}
	d.late.Reset(patience)
	return d
}

// Deliver hands a request from another node to its group, which may take so long as patience says,
// and returns the answer; context.DeadlineExceeded where none came. What the request holds must
// stay as it is until then; after an error the group may still be reading it.
func (t *Transport) Deliver(ctx context.Context, group string, request any, patience time.Duration) (response any, err error) {
	g := t.await(ctx, group, request)
	if g == nil {
		return nil, fmt.Errorf("group %s: %w", group, errNoGroup)
	}
	if g.admission != nil {
		if err := g.admission.check(request); err != nil {
			return nil, fmt.Errorf("group %s: %w", group, err)
		}
	}
	if r, ok := request.(*raft.AppendEntriesRequest); ok {
		g.hear(r)
		if g.told != nil {
			defer g.told()
		}
	}
	d := t.newDelivery(patience)
	rpc := raft.RPC{Command: request, RespChan: d.answer}
	if handle := g.heartbeat.Load(); handle != nil && isHeartbeat(request) {
		(*handle)(rpc)
	} else {
		select {
		case g.rpcs <- rpc:
		case <-d.late.C:
			return nil, context.DeadlineExceeded
		case <-g.life.Done():
			return nil, errGroupClosed
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	select {
	case r := <-d.answer:
		d.late.Stop()
		t.deliveries.Put(d)
		if err := g.vouch(request, r.Response); err != nil {
			return nil, err
		}
		return r.Response, r.Error
	case <-d.late.C:
		return nil, context.DeadlineExceeded
	case <-g.life.Done():
		return nil, errGroupClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// heard is a leader, known by what it sends.
type heard struct {
	term   uint64
	leader int32
}

// hear takes note of who leads in a term: whoever sends entries or heartbeats does.
func (g *GroupTransport) hear(r *raft.AppendEntriesRequest) {
	if h := g.heard.Load(); h == nil || h.term < r.Term {
		g.heard.Store(&heard{r.Term, nodeOf(g.DecodePeer(r.RPCHeader.Addr))})
	}
}

// leaderIn is the leader of a term, -1 while nothing has come from it. Raft's own word is of no
// use for this: it keeps the old leader while a higher term has none.
func (g *GroupTransport) leaderIn(term uint64) int32 {
	if h := g.heard.Load(); h != nil && h.term == term {
		return h.leader
	}
	return -1
}

// vouch makes sure that a follower has on disk what it acknowledges: Raft stores only entries that
// are new to it, and this node may have written the others when it led itself.
func (g *GroupTransport) vouch(request, answer any) error {
	r, ok := request.(*raft.AppendEntriesRequest)
	if !ok || g.durable == nil || len(r.Entries) == 0 {
		return nil
	}
	if a, ok := answer.(*raft.AppendEntriesResponse); !ok || !a.Success {
		return nil
	}
	return g.durable.reach(r.Entries[len(r.Entries)-1].Index)
}

// openPatience is how long entries and votes wait for a group that this node may be about to open:
// a leader that is refused entries does not come back before Raft's commit timeout, which is
// seconds, and a candidate that is refused a vote costs an election.
const openPatience = 2 * time.Second

// maxAwaiting bounds the requests that wait so; more are refused at once.
const maxAwaiting = 4096

// awaited is a group that requests wait for.
type awaited struct {
	come    chan struct{} // closed when the group is there
	waiting int
}

// await returns the group, nil where there is none. Only entries and votes wait for one that is
// not there yet: they are few, as a leader or candidate sends no more before it has an answer.
func (t *Transport) await(ctx context.Context, group string, request any) *GroupTransport {
	t.mu.RLock()
	g := t.groups[group]
	t.mu.RUnlock()
	if g != nil || !worthAwaiting(request) {
		return g
	}
	g, a := t.expect(group)
	if a == nil {
		return g
	}
	defer t.leave(group, a)
	late := time.NewTimer(openPatience)
	defer late.Stop()
	select {
	case <-a.come:
	case <-late.C:
	case <-ctx.Done():
	}
	t.mu.RLock()
	defer t.mu.RUnlock()
	return t.groups[group]
}

// expect returns the group, or what to wait for; neither where too many wait already.
func (t *Transport) expect(group string) (*GroupTransport, *awaited) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if g := t.groups[group]; g != nil || t.waiting >= maxAwaiting {
		return g, nil
	}
	a := t.awaited[group]
	if a == nil {
		a = &awaited{come: make(chan struct{})}
		t.awaited[group] = a
	}
	a.waiting++
	t.waiting++
	return nil, a
}

func (t *Transport) leave(group string, a *awaited) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waiting--
	if a.waiting--; a.waiting == 0 && t.awaited[group] == a {
		delete(t.awaited, group)
	}
}

func worthAwaiting(request any) bool {
	switch request.(type) {
	case *raft.AppendEntriesRequest:
		return !isHeartbeat(request)
	case *raft.RequestVoteRequest:
		return true
	}
	return false
}

// isHeartbeat recognises what Raft's heartbeat goroutine sends: nothing but term and leader.
func isHeartbeat(request any) bool {
	r, ok := request.(*raft.AppendEntriesRequest)
	return ok && r.Term != 0 && r.PrevLogEntry == 0 && r.PrevLogTerm == 0 && len(r.Entries) == 0 && r.LeaderCommitIndex == 0
}

// Group returns the raft.Transport of one group, which Close gives back.
func (t *Transport) Group(name string) *GroupTransport {
	return t.add(&GroupTransport{name: name})
}

// add prepares and opens a group's transport.
func (t *Transport) add(g *GroupTransport) *GroupTransport {
	t.prepare(g).open()
	return g
}

// prepare completes a group's transport, which can send from now on.
func (t *Transport) prepare(g *GroupTransport) *GroupTransport {
	g.node, g.rpcs = t, make(chan raft.RPC, rpcBacklog)
	g.life, g.end = context.WithCancel(context.Background())
	return g
}

// open makes the group reachable for other nodes.
func (g *GroupTransport) open() {
	t := g.node
	t.mu.Lock()
	defer t.mu.Unlock()
	t.groups[g.name] = g
	if a := t.awaited[g.name]; a != nil {
		close(a.come)
		delete(t.awaited, g.name)
	}
}

// GroupTransport is one group's face of a node's Transport.
type GroupTransport struct {
	node      *Transport
	name      string
	rpcs      chan raft.RPC
	heartbeat atomic.Pointer[func(raft.RPC)]
	admission *admission // nil lets every request in
	followers *followers // nil: nobody asks

	// load fills in an entry's data, which stays valid until release; nil when all of it is there.
	load     func(*raft.Log) (release func(), err error)
	maxBytes int         // of the entries of a request; 0 for no bound
	durable  *durability // of the group's log; nil where entries are durable before they are sent
	// onAnswer and onInstalled are told what members have taken, nil for nobody.
	onAnswer    func(id raft.ServerID, r *raft.AppendEntriesRequest, success bool)
	onInstalled func(id raft.ServerID, index uint64)

	ship    func(to raft.ServerID, term uint64, s *shipment) (uint64, error)
	receive func(shipHeader, net.Conn) error

	heard atomic.Pointer[heard] // of the highest term
	told  func()                // is called after every request of a leader's; nil: nobody asks

	life context.Context // ends with Close, and with it every call that is out
	end  context.CancelFunc
}

// Close removes the group from its node's transport.
func (g *GroupTransport) Close() error {
	g.end()
	g.node.mu.Lock()
	if g.node.groups[g.name] == g {
		delete(g.node.groups, g.name)
	}
	g.node.mu.Unlock()
	return nil
}

// Campaign makes the local member stand for election at once: the RPC that Raft itself uses to
// transfer leadership, put into its own queue. It is right for a group of one, and on a
// majority verdict that the leader is gone. Where the queue is full, others are at work.
func (g *GroupTransport) Campaign() {
	g.inject(&raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}})
}

// inject puts a request into the local member's queue, unless that is full, and forgets the answer.
func (g *GroupTransport) inject(request any) {
	select {
	case g.rpcs <- raft.RPC{Command: request, RespChan: make(chan raft.RPCResponse, 1)}:
	default:
	}
}

// Consumer is where Raft takes incoming RPCs from.
func (g *GroupTransport) Consumer() <-chan raft.RPC { return g.rpcs }

// LocalAddr is this node's address inside Raft.
func (g *GroupTransport) LocalAddr() raft.ServerAddress { return g.node.local }

// AppendEntriesPipeline declines: Raft's pipelining stalls bursts until CommitTimeout.
func (g *GroupTransport) AppendEntriesPipeline(raft.ServerID, raft.ServerAddress) (raft.AppendPipeline, error) {
	return nil, raft.ErrPipelineReplicationNotSupported
}

func (g *GroupTransport) call(to raft.ServerAddress, request, response any) error {
	route := g.node.route.Load()
	if route == nil {
		return fmt.Errorf("group %s to node %s: %w", g.name, to, ErrNoRoute)
	}
	if g.life.Err() != nil {
		return errGroupClosed
	}
	return (*route).Call(g.life, nodeOf(to), g.name, request, response)
}

// AppendEntries replicates to a peer. Entries beyond the byte bound are left for the next
// request: Raft goes on after the last one that the request holds when it returns.
func (g *GroupTransport) AppendEntries(id raft.ServerID, to raft.ServerAddress, r *raft.AppendEntriesRequest, response *raft.AppendEntriesResponse) error {
	var few [16]func() // the memory of held for most requests
	held := few[:0]
	defer func() {
		for _, release := range held {
			release()
		}
	}()
	if g.durable != nil {
		r.LeaderCommitIndex = min(r.LeaderCommitIndex, g.durable.index.Load())
	}
	size := 0
	for i, l := range r.Entries {
		if l.Type == raft.LogCommand && l.Data == nil && g.load != nil {
			release, err := g.load(l)
			if err != nil {
				return err
			}
			held = append(held, release)
		}
		if size += len(l.Data); i > 0 && g.maxBytes > 0 && size > g.maxBytes {
			r.Entries = r.Entries[:i]
			break
		}
	}
	if g.followers == nil {
		return g.call(to, r, response)
	}
	sent := g.followers.sending()
	err := g.call(to, r, response)
	if err == nil && response.Term == r.Term {
		g.followers.answered(id, r, response, sent)
		if g.onAnswer != nil {
			g.onAnswer(id, r, response.Success)
		}
	}
	return err
}

// RequestVote asks a peer for its vote.
func (g *GroupTransport) RequestVote(_ raft.ServerID, to raft.ServerAddress, r *raft.RequestVoteRequest, response *raft.RequestVoteResponse) error {
	return g.call(to, r, response)
}

// RequestPreVote asks a peer whether it would vote.
func (g *GroupTransport) RequestPreVote(_ raft.ServerID, to raft.ServerAddress, r *raft.RequestPreVoteRequest, response *raft.RequestPreVoteResponse) error {
	return g.call(to, r, response)
}

// InstallSnapshot ships the segment files that a peer lacks.
func (g *GroupTransport) InstallSnapshot(id raft.ServerID, _ raft.ServerAddress, r *raft.InstallSnapshotRequest, response *raft.InstallSnapshotResponse, data io.Reader) error {
	s, ok := data.(*shipment)
	if !ok || g.ship == nil {
		return errNoSnapshots
	}
	sent := g.followers.sending()
	term, err := g.ship(id, r.Term, s)
	if err != nil {
		return err
	}
	response.Term, response.Success = term, term == r.Term
	if response.Success {
		g.onInstalled(id, r.LastLogIndex)
		g.followers.answered(id, &raft.AppendEntriesRequest{Term: r.Term, PrevLogEntry: r.LastLogIndex}, &raft.AppendEntriesResponse{Success: true}, sent)
	}
	return nil
}

// TimeoutNow transfers leadership to a peer.
func (g *GroupTransport) TimeoutNow(_ raft.ServerID, to raft.ServerAddress, r *raft.TimeoutNowRequest, response *raft.TimeoutNowResponse) error {
	return g.call(to, r, response)
}

// EncodePeer returns the address as bytes, which must stay as they are: they are always this
// node's, and in every message.
func (g *GroupTransport) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte {
	if a == g.node.local {
		return g.node.encoded
	}
	return []byte(a)
}

// DecodePeer is EncodePeer's inverse.
func (g *GroupTransport) DecodePeer(b []byte) raft.ServerAddress { return raft.ServerAddress(b) }

// SetHeartbeatHandler is told where heartbeats go past the queue.
func (g *GroupTransport) SetHeartbeatHandler(f func(raft.RPC)) { g.heartbeat.Store(&f) }
