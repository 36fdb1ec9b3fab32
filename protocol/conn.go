package protocol

import (
	"bufio"
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/bufpool"
)

// Conn is one client connection. Its reader goroutine reads, decodes and decides requests; its
// writer goroutine waits for what was decided, and answers, in the same order.
type Conn struct {
	ID     uint64    // unique in the server's life
	Opened time.Time // when the connection was accepted

	// Value is for the handlers: what they keep for the connection, such as the
	// authenticated principal. Only the reader goroutine, thus Handle, may touch it.
	Value any

	srv      *Server
	nc       net.Conn
	ip       netip.Addr
	in       *bufio.Reader
	out      sender
	ctx      context.Context
	cancel   context.CancelCauseFunc
	queue    chan *Request // decided, to be answered; holds MaxInFlight
	slots    chan struct{} // one for each request between its first byte and its answer
	software atomic.Pointer[software]

	clientID *string      // reader: the last one, since most connections have one
	smallIn  atomic.Int64 // bytes of frames that were not charged to the server's budget
	smallMem atomic.Int64 // the same for decoded bytes

	mu      sync.Mutex
	stopped bool // no read may be begun: guarded by mu, so that no deadline undoes it
}

type software struct{ name, version string }

// Why a connection's context ended.
var (
	ErrPeerGone = errors.New("the peer closed the connection")
	errClosed   = errors.New("the connection was closed")
)

func newConn(s *Server, id uint64, nc net.Conn, ip netip.Addr) *Conn {
	c := &Conn{
		ID: id, Opened: time.Now(), srv: s, nc: nc, ip: ip,
		queue: make(chan *Request, s.cfg.MaxInFlight),
		slots: make(chan struct{}, s.cfg.MaxInFlight),
	}
	c.out.nc, c.out.raw, c.out.long, c.out.timeout = nc, rawConn(nc), sendfileBytes, s.cfg.WriteTimeout
	c.in = bufio.NewReaderSize(countingReader{nc, &s.stats.bytesIn}, firstStep)
	c.ctx, c.cancel = context.WithCancelCause(s.ctx)
	return c
}

// LocalAddr returns the address on which the connection arrived.
func (c *Conn) LocalAddr() net.Addr { return c.nc.LocalAddr() }

// RemoteAddr returns the client's address.
func (c *Conn) RemoteAddr() net.Addr { return c.nc.RemoteAddr() }

// ClientSoftware returns what the client said it is (KIP-511), empty if it did not.
func (c *Conn) ClientSoftware() (name, version string) {
	if s := c.software.Load(); s != nil {
		return s.name, s.version
	}
	return "", ""
}

// Draining is closed when the server shuts down. A long poll ends with what it has then, so
// that its answer still goes out.
func (c *Conn) Draining() <-chan struct{} { return c.srv.draining }

// Close ends the connection at once, without any further answer.
func (c *Conn) Close() { c.abort(errClosed) }

// serve runs the connection until both goroutines have ended.
func (c *Conn) serve() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		c.writeLoop()
	}()
	c.readLoop()
	<-done
	c.abort(errClosed)
}

// abort ends the connection now: whoever waits for it stops, and nothing more is written.
func (c *Conn) abort(cause error) {
	c.cancel(cause)
	c.nc.Close()
}

// readWithin sets how long the next read may take.
func (c *Conn) readWithin(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.stopped {
		c.nc.SetReadDeadline(time.Now().Add(d))
	}
}

// stopReading makes the reader end at the next request; what was decided is still answered.
func (c *Conn) stopReading() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = true
	c.nc.SetReadDeadline(time.Unix(1, 0))
}

// inFlight returns the number of requests between their first byte and their answer.
func (c *Conn) inFlight() int { return len(c.slots) }

// drop gives a frame's memory back.
func (c *Conn) drop(f *frame) {
	c.srv.frames.release(f.held)
	c.smallIn.Add(-f.small)
	bufpool.Put(f.b)
	for i := range f.parts {
		f.parts[i].memory.Free()
	}
}

// free gives back what a request holds. Frames of Produce requests serve again, unless they
// were kept: their records are all that large requests consist of. Those of other APIs are left
// to the garbage collector, so that handlers may keep any part of them.
func (c *Conn) free(r *Request) {
	if f := r.frame; f != nil {
		if r.Key != int16(kmsg.Produce) || f.kept.Load() {
			f.b, f.parts = nil, nil
		}
		c.drop(f)
	}
	c.srv.leaveHeavy(r)
	if r.charged {
		c.srv.decoded.release(r.memory)
	} else {
		c.smallMem.Add(-r.memory)
	}
	r.frame, r.memory = nil, 0
	<-c.slots
}
