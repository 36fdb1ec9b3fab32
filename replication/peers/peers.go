// Package peers joins the nodes of a cluster: one connection between any two of them carries the
// RPCs of all Raft groups, calls of services, what nodes publish of themselves, and the heartbeats
// by which a majority judges who is down. Large files go over connections of their own.
//
// docs/peers.md tells how it works, docs/formats/peer-protocol.md what travels.
package peers

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Deliverer takes what other nodes ask of this node's Raft groups; replication.Transport is one.
type Deliverer interface {
	// Deliver returns a group's answer; after patience, context.DeadlineExceeded. What the request
	// holds is used again afterwards, unless there was an error.
	Deliver(ctx context.Context, group string, request any, patience time.Duration) (response any, err error)
}

// Config configures New. Node, Identity, Transport and Resolve are needed.
type Config struct {
	// Node and Identity (the data directory's UUID) name this node.
	Node     int32
	Identity string
	// ClusterID returns the cluster's id, empty while it is unknown; nil for never known.
	ClusterID func() string
	// Listen is where other nodes connect; Close closes it. Nil: this node only dials.
	Listen net.Listener
	// Advertise is the address that others are told; Listen's own where empty.
	Advertise string
	// Transport is where the requests of other nodes' Raft groups go, and the segment files if it
	// has a method ReceiveSegments, as that of replication has.
	Transport Deliverer
	// Resolve returns a node's address, empty while it is unknown. It is asked for every dial.
	Resolve func(node int32) string
	// Dial connects; nil is net.Dialer's.
	Dial func(ctx context.Context, address string) (net.Conn, error)
	// Members returns the nodes that this one knows, itself included: whoever connects is told.
	Members func() []Member
	// OnMembers is told what another node answered to this one's greeting.
	OnMembers func(from Info, members []Member)
	// Admit refuses a node by an error, whose text it is told; nil admits all of the same cluster.
	Admit func(Info) error
	// Logger is slog's default where nil.
	Logger *slog.Logger
	// Timing and Limits: zero values are the defaults.
	Timing Timing
	Limits Limits
}

// Timing holds durations; zero means the default in parentheses.
type Timing struct {
	Beat      time.Duration // between heartbeats of the node (100 ms)
	Round     time.Duration // that Raft's heartbeats wait for those of other groups (200 ms)
	Suspect   time.Duration // of silence after which a node is suspected (450 ms)
	Recover   time.Duration // without suspicion until a node that was down is up (1 s)
	Silence   time.Duration // of silence after which a connection is given up (2 s)
	Retry     time.Duration // that a request waits for the connection to come back (400 ms)
	Request   time.Duration // for an answer to one of Raft's requests (10 s)
	Handshake time.Duration // for dialling and greeting (3 s)
	Write     time.Duration // for the peer to take what is written at once, and 1 s for each MB of it (10 s)
	Redial    time.Duration // at least between two attempts; grows to 8 times as much (50 ms)
	Idle      time.Duration // without a byte until a bulk connection ends (30 s)
}

// Limits holds bounds, for each peer; zero means the default in parentheses.
type Limits struct {
	Frame  int // bytes (128 MiB)
	Window int // bytes of requests without an answer, and of answers that wait (4 MiB)
	Bulk   int // bulk connections that peers have opened, in all (64)
}

func or[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}

func (t Timing) withDefaults() Timing {
	return Timing{
		Beat:      or(t.Beat, 100*time.Millisecond),
		Round:     or(t.Round, 200*time.Millisecond),
		Suspect:   or(t.Suspect, 450*time.Millisecond),
		Recover:   or(t.Recover, time.Second),
		Silence:   or(t.Silence, 2*time.Second),
		Retry:     or(t.Retry, 400*time.Millisecond),
		Request:   or(t.Request, 10*time.Second),
		Handshake: or(t.Handshake, 3*time.Second),
		Write:     or(t.Write, 10*time.Second),
		Redial:    or(t.Redial, 50*time.Millisecond),
		Idle:      or(t.Idle, 30*time.Second),
	}
}

func (l Limits) withDefaults() Limits {
	return Limits{Frame: or(l.Frame, 128<<20), Window: or(l.Window, 4<<20), Bulk: or(l.Bulk, 64)}
}

// Peers is this node's end of all connections. It is a replication.Route and SegmentRoute.
type Peers struct {
	config      Config
	timing      Timing
	limits      Limits
	log         *slog.Logger
	incarnation string
	began       time.Time

	ctx     context.Context // ends with Close
	end     context.CancelFunc
	running sync.WaitGroup

	complaints complaints
	progress   progress
	services   services
	state      state
	watch      watch
	bulks      chan struct{} // a slot for each bulk connection that was accepted

	mu    sync.Mutex
	peers map[int32]*peer
	conns map[net.Conn]struct{} // that are not links: in a handshake, or bulk
}

// New prepares a node's end; nothing moves before Start.
func New(c Config) *Peers {
	p := &Peers{
		config: c, timing: c.Timing.withDefaults(), limits: c.Limits.withDefaults(), log: c.Logger,
		incarnation: rand.Text(), began: time.Now(), peers: map[int32]*peer{}, conns: map[net.Conn]struct{}{},
	}
	if p.log == nil {
		p.log = slog.Default()
	}
	if p.config.Dial == nil {
		p.config.Dial = func(ctx context.Context, address string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
	if p.config.Advertise == "" && c.Listen != nil {
		p.config.Advertise = c.Listen.Addr().String()
	}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.bulks = make(chan struct{}, p.limits.Bulk)
	p.progress.init()
	p.state.init()
	p.watch.init(p)
	if r, ok := c.Transport.(segmentReceiver); ok {
		p.HandleBulk(bulkSegments, r.ReceiveSegments)
	}
	return p
}

// Start accepts connections and connects to the members. Handlers are set before.
func (p *Peers) Start() {
	if p.config.Listen != nil {
		p.running.Go(p.accept)
	}
	p.running.Go(p.watch.run)
	p.running.Go(p.watch.tellAll)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watch.started = true
	for _, peer := range p.peers {
		p.running.Go(peer.connect)
	}
}

// Close ends all connections, and returns when no goroutine is left. Handlers must return when
// their context ends.
func (p *Peers) Close() error {
	p.end()
	if p.config.Listen != nil {
		p.config.Listen.Close()
	}
	p.mu.Lock()
	for _, peer := range p.peers {
		if l := peer.link.Load(); l != nil {
			go l.close(errClosed)
		}
	}
	for c := range p.conns {
		c.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
	return nil
}

func (p *Peers) info() Info {
	i := Info{Member: Member{ID: p.config.Node, Identity: p.config.Identity, Address: p.config.Advertise}, Incarnation: p.incarnation}
	if p.config.ClusterID != nil {
		i.ClusterID = p.config.ClusterID()
	}
	return i
}

// clock is monotonic, in ns; at is its inverse.
func (p *Peers) clock() int64 { return int64(time.Since(p.began)) }

func (p *Peers) at(clock int64) time.Time { return p.began.Add(time.Duration(clock)) }

// peer returns the other end of a node.
func (p *Peers) peer(node int32) *peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	if x := p.peers[node]; x != nil {
		return x
	}
	x := newPeer(p, node)
	p.peers[node] = x
	if p.watch.started && p.ctx.Err() == nil {
		p.running.Go(x.connect)
	}
	return x
}

// target is the peer that something is to be sent to.
func (p *Peers) target(node int32) *peer {
	x := p.peer(node)
	x.use()
	return x
}

// all lists the peers that are known.
func (p *Peers) all() []*peer {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := make([]*peer, 0, len(p.peers))
	for _, x := range p.peers {
		list = append(list, x)
	}
	return list
}

// Connected returns what the node at the other end of a connection said of itself; false when
// there is no connection to it now.
func (p *Peers) Connected(node int32) (Info, bool) {
	p.mu.Lock()
	x := p.peers[node]
	p.mu.Unlock()
	if x == nil {
		return Info{}, false
	}
	l := x.link.Load()
	if l == nil {
		return Info{}, false
	}
	return l.info, true
}

// maxConns bounds the connections in handshakes, and those for bulk.
const maxConns = 512

// hold keeps a connection so that Close ends it; false when Close was called, or there are too
// many.
func (p *Peers) hold(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		c.Close()
		return false
	}
	if len(p.conns) >= maxConns {
		c.Close()
		return false
	}
	p.conns[c] = struct{}{}
	return true
}

func (p *Peers) release(c net.Conn) {
	p.mu.Lock()
	delete(p.conns, c)
	p.mu.Unlock()
}

var errNoAddress = errors.New("its address is not known")
