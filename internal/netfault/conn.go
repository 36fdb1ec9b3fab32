package netfault

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// conn is the dialling end of a connection. What it writes goes out, what it reads came the other
// way; both pass a gate.
type conn struct {
	net.Conn
	network *Network
	out, in way
	read    gate
	write   gate
	closed  chan struct{}
	once    sync.Once

	reading sync.Mutex
	pending []byte // has arrived, but not passed the gate
	failure error  // after pending
}

// gate holds up one direction; its deadline is that of the connection.
type gate struct {
	mu       sync.Mutex
	deadline time.Time
	changed  chan struct{} // closed and replaced with the deadline
}

func newConn(n *Network, inner net.Conn, out way) *conn {
	return &conn{
		Conn: inner, network: n, out: out, in: way{out.to, out.from}, closed: make(chan struct{}),
		read: gate{changed: make(chan struct{})}, write: gate{changed: make(chan struct{})},
	}
}

// pass waits until the way is open, and as long as it takes.
func (c *conn) pass(w way, g *gate) error {
	began := time.Now()
	for {
		cut, delay, mended := c.network.state(w)
		left := delay - time.Since(began)
		if !cut && left <= 0 {
			return nil
		}
		g.mu.Lock()
		deadline, moved := g.deadline, g.changed
		g.mu.Unlock()
		wait := time.Hour
		if !cut {
			wait = left
		}
		if !deadline.IsZero() {
			wait = min(wait, time.Until(deadline))
		}
		if wait <= 0 {
			return os.ErrDeadlineExceeded
		}
		timer := time.NewTimer(wait)
		select {
		case <-mended:
		case <-moved:
		case <-timer.C:
		case <-c.closed:
			timer.Stop()
			return net.ErrClosed
		}
		timer.Stop()
	}
}

// Read reads what has passed the gate. What arrives while the way is cut waits there.
func (c *conn) Read(b []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if len(c.pending) == 0 && c.failure == nil {
		c.pending = make([]byte, min(len(b), 64<<10))
		n, err := c.Conn.Read(c.pending)
		c.pending = c.pending[:n]
		if n == 0 && err != nil && !errors.Is(err, io.EOF) {
			return 0, err // a deadline, or an end that both sides know
		}
		c.failure = err
	}
	if err := c.pass(c.in, &c.read); err != nil {
		return 0, err
	}
	n := copy(b, c.pending)
	c.pending = c.pending[n:]
	if n == 0 && c.failure != nil {
		return 0, c.failure
	}
	return n, nil
}

// Write writes once the gate is open, as if the socket's buffer had been full until then.
func (c *conn) Write(b []byte) (int, error) {
	if err := c.pass(c.out, &c.write); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close ends the connection, cut or not.
func (c *conn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.network.mu.Lock()
		delete(c.network.conns, c)
		c.network.mu.Unlock()
	})
	return c.Conn.Close()
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *conn) SetDeadline(t time.Time) error {
	c.read.set(t)
	c.write.set(t)
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline bounds reads, also of what waits at the gate.
func (c *conn) SetReadDeadline(t time.Time) error {
	c.read.set(t)
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline bounds writes, also those that wait at the gate.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.write.set(t)
	return c.Conn.SetWriteDeadline(t)
}

func (g *gate) set(t time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deadline = t
	close(g.changed)
	g.changed = make(chan struct{})
}
