package peers

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// peer is another node: at most one link to it is used at a time.
type peer struct {
	peers *Peers
	node  int32
	beats round // Raft's heartbeats that wait to be sent

	member atomic.Bool   // it is connected to, whether there is something to send or not
	used   atomic.Int64  // when something was to be sent, by the clock of peers
	wanted chan struct{} // tells connect of either

	link atomic.Pointer[link] // nil while there is none

	stateMu sync.Mutex // one call of OnState at a time

	mu          sync.Mutex
	dialled     bool          // by this node: the link
	incarnation string        // of the process that was connected last
	turned      chan struct{} // closed and replaced when a link comes
	gone        chan struct{} // tells connect that the link went
	failure     error         // of the last attempt, for messages
}

func newPeer(p *Peers, node int32) *peer {
	x := &peer{peers: p, node: node, turned: make(chan struct{}), gone: make(chan struct{}, 1), wanted: make(chan struct{}, 1)}
	x.beats.peer = x
	return x
}

// idleAfter is how long a node that is no member is dialled after something was to be sent to it.
const idleAfter = time.Minute

// want says whether the node should be connected to.
func (x *peer) want() bool {
	used := x.used.Load()
	return x.member.Load() || used > 0 && x.peers.clock()-used < int64(idleAfter)
}

// use notes that something is to be sent.
func (x *peer) use() {
	if x.link.Load() != nil {
		return
	}
	x.used.Store(x.peers.clock())
	x.wake()
}

func (x *peer) setMember(is bool) {
	x.member.Store(is)
	x.wake()
}

func (x *peer) wake() {
	select {
	case x.wanted <- struct{}{}:
	default:
	}
}

// await returns the link, or waits for one at most so long.
func (x *peer) await(ctx context.Context, patience time.Duration) (*link, error) {
	if l := x.link.Load(); l != nil {
		return l, nil
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	for {
		x.mu.Lock()
		l, turned, failure := x.link.Load(), x.turned, x.failure
		x.mu.Unlock()
		if l != nil {
			return l, nil
		}
		select {
		case <-turned:
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-x.peers.ctx.Done():
			return nil, fmt.Errorf("node %d: %w", x.node, ErrUnreachable)
		case <-late.C:
			if failure != nil {
				return nil, fmt.Errorf("node %d: %w: %w", x.node, ErrUnreachable, failure)
			}
			return nil, fmt.Errorf("node %d: %w", x.node, ErrUnreachable)
		}
	}
}

// judge says whether a new connection may take the place of the one that is in use. Both nodes
// decide alike: of two connections between the same processes, the one that the node with the
// lower id has dialled stays.
func (x *peer) judge(info Info, dialled bool) refusal {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.judgeLocked(info, dialled)
}

func (x *peer) judgeLocked(info Info, dialled bool) refusal {
	l := x.link.Load()
	switch {
	case l == nil:
		return refusal{}
	case l.info.Identity != info.Identity:
		return refuse(refusedID, "node %d is connected to another node %d already: that one is at %s with the data directory %s, the one refused at %s with %s",
			x.peers.config.Node, x.node, l.info.Address, l.info.Identity, info.Address, info.Identity)
	case l.info.Incarnation != info.Incarnation && l.lives():
		return refuse(refusedCopy, "the data directory %s of node %d is in use by two processes: one at %s is connected to node %d and alive, the one refused is at %s",
			info.Identity, x.node, l.info.Address, x.peers.config.Node, info.Address)
	case l.info.Incarnation == info.Incarnation && dialled != x.dialled && dialled != (x.peers.config.Node < x.node):
		return refuse(refusedCrossing, "%v", errCrossing)
	}
	return refusal{}
}

// lives reports whether the other end was heard a moment ago. One that has ended and started again is
// silent on its old connection, also where that does not know of its end yet.
func (l *link) lives() bool {
	return l.ctx.Err() == nil && l.peers.clock()-l.heard.Load() < int64(l.peers.timing.Suspect)
}

// install puts a link to use, and ends the one before.
func (x *peer) install(l *link, dialled bool) refusal {
	x.mu.Lock()
	if r := x.judgeLocked(l.info, dialled); r.code != accepted {
		x.mu.Unlock()
		return r
	}
	if x.peers.ctx.Err() != nil {
		x.mu.Unlock()
		return refuse(refusedBusy, "node %d is closing", x.peers.config.Node)
	}
	old := x.link.Swap(l)
	x.dialled, x.failure = dialled, nil
	restarted := x.incarnation != l.info.Incarnation
	x.incarnation = l.info.Incarnation
	close(x.turned)
	x.turned = make(chan struct{})
	x.peers.running.Add(1)
	x.mu.Unlock()
	if old != nil {
		old.close(errReplaced)
	} else {
		x.peers.log.Info("peer is connected", "node", x.node, "address", l.info.Address, "dialled", dialled)
	}
	x.peers.watch.connected(x.node, restarted)
	x.peers.progress.connected(x.node)
	l.run()
	return refusal{}
}

// lost is told by a link that it has ended.
func (x *peer) lost(l *link, cause error) {
	x.mu.Lock()
	current := x.link.CompareAndSwap(l, nil)
	if current {
		x.failure = cause
	}
	x.mu.Unlock()
	if !current {
		return
	}
	if x.peers.ctx.Err() == nil {
		x.peers.log.Warn("connection to peer is lost", "node", x.node, "cause", cause)
	}
	select {
	case x.gone <- struct{}{}:
	default:
	}
}

// connect is the goroutine that dials whenever there is no link. Both nodes of a pair do; the
// one with the higher id lets the other go first.
func (x *peer) connect() {
	p := x.peers
	pause := p.timing.Redial
	if p.config.Node > x.node {
		x.pause(pause)
	}
	for p.ctx.Err() == nil {
		if x.link.Load() != nil || !x.want() {
			pause = p.timing.Redial
			select {
			case <-x.gone:
			case <-x.wanted:
			case <-p.ctx.Done():
			}
			continue
		}
		err := x.dial()
		if err == nil {
			continue
		}
		x.failed(err)
		x.pause(pause/2 + rand.N(pause))
		pause = min(2*pause, 8*p.timing.Redial)
	}
}

func (x *peer) pause(d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-x.peers.ctx.Done():
	}
}

// unreachableEvery is how often the log tells that a node cannot be reached.
const unreachableEvery = 10 * time.Second

// failed notes why there is no link. That nobody listens is as good as a message that the node
// is down, once it has been up.
func (x *peer) failed(err error) {
	p := x.peers
	if p.ctx.Err() != nil || errors.Is(err, errCrossing) {
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) && x.link.Load() == nil {
		p.watch.refused(x.node)
	}
	x.mu.Lock()
	x.failure = err
	x.mu.Unlock()
	p.complaints.every(unreachableEvery, p.log, fmt.Sprintf("dial %d", x.node), "peer cannot be reached", "node", x.node, "cause", err)
}

// dial makes one attempt; nil when there is a link afterwards.
func (x *peer) dial() error {
	p := x.peers
	address := p.config.Resolve(x.node)
	if address == "" {
		return errNoAddress
	}
	ctx, cancel := context.WithTimeout(p.ctx, p.timing.Handshake)
	defer cancel()
	conn, w, err := p.greet(ctx, address, forLink, x.node)
	if err != nil {
		return err
	}
	return x.agree(conn, w)
}

// agree ends the handshake of a connection that this node dialled.
func (x *peer) agree(conn net.Conn, w welcome) error {
	p := x.peers
	defer p.release(conn)
	if r := x.judge(w.info, true); r.code != accepted {
		_ = writeHandshake(conn, false, verdict{r}.encode()) // it ends either way
		conn.Close()
		return r.err()
	}
	if err := writeHandshake(conn, false, verdict{}.encode()); err != nil {
		conn.Close()
		return err
	}
	if r := x.install(p.newLink(x, conn, w.info, w.window), true); r.code != accepted {
		conn.Close()
		return r.err()
	}
	return nil
}
