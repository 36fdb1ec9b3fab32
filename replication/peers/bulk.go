package peers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"
)

// BulkHandler serves a bulk connection that another node has opened. The connection ends when it
// returns.
type BulkHandler func(from int32, header []byte, conn net.Conn) error

// HandleBulk sets who serves the bulk connections of a service, from 1 to 255; before Start.
func (p *Peers) HandleBulk(service byte, h BulkHandler) {
	p.services.mu.Lock()
	defer p.services.mu.Unlock()
	if p.services.bulk == nil {
		p.services.bulk = map[byte]BulkHandler{}
	}
	p.services.bulk[service] = h
}

// OpenBulk opens a connection of its own to a service of another node; the header, of at most
// 1 MiB, comes first. The connection ends after Timing.Idle without a byte, and with Close.
func (p *Peers) OpenBulk(ctx context.Context, to int32, service byte, header []byte) (*BulkConn, error) {
	address := p.config.Resolve(to)
	if address == "" {
		return nil, failed(to, fmt.Errorf("%w: %w", ErrUnreachable, errNoAddress))
	}
	conn, w, err := p.greet(ctx, address, forBulk, to)
	if err != nil {
		return nil, failed(to, err)
	}
	c := &BulkConn{Conn: conn, peers: p, info: w.info}
	err = writeHandshake(conn, false, verdict{}.encode())
	if err == nil {
		err = writeHandshake(conn, false, append([]byte{service}, header...))
	}
	if err == nil {
		err = c.accepted()
	}
	if err != nil {
		c.Close()
		return nil, failed(to, err)
	}
	conn.SetDeadline(time.Time{})
	return c, nil
}

// bulkSegments is the bulk service of segment files.
const bulkSegments = 0

// segmentReceiver is a Config.Transport that takes segment files too.
type segmentReceiver interface {
	ReceiveSegments(from int32, header []byte, conn net.Conn) error
}

// Ship opens a bulk connection to where segment files are received: the other node's
// Config.Transport. It makes Peers a replication.SegmentRoute.
func (p *Peers) Ship(ctx context.Context, to int32, header []byte) (net.Conn, error) {
	c, err := p.OpenBulk(ctx, to, bulkSegments, header)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// accepted reads whether the other node has the service.
func (c *BulkConn) accepted() error {
	b, err := readHandshake(c.Conn)
	if err != nil {
		return err
	}
	d := decoder{b: b}
	return d.failure()
}

// admitBulk takes a slot for a bulk connection.
func (p *Peers) admitBulk() refusal {
	select {
	case p.bulks <- struct{}{}:
		return refusal{}
	default:
		return refuse(refusedBusy, "node %d has %d bulk connections already", p.config.Node, cap(p.bulks))
	}
}

// serveBulk serves a bulk connection after its handshake, and gives back its slot.
func (p *Peers) serveBulk(conn net.Conn, from Info, err error) {
	defer func() { <-p.bulks }()
	c := &BulkConn{Conn: conn, peers: p, info: from}
	defer c.Close()
	if err != nil {
		return
	}
	b, err := readHandshake(conn)
	if err != nil || len(b) == 0 {
		return
	}
	p.services.mu.RLock()
	h := p.services.bulk[b[0]]
	p.services.mu.RUnlock()
	if h == nil {
		e := &Error{CodeNoService, fmt.Sprintf("node %d has no bulk service %d", p.config.Node, b[0])}
		_ = writeHandshake(conn, false, appendFailure(nil, e)) // it ends either way
		return
	}
	if writeHandshake(conn, false, []byte{0}) != nil {
		return
	}
	conn.SetDeadline(time.Time{})
	if err := h(from.ID, b[1:], c); err != nil && p.ctx.Err() == nil && !errors.Is(err, io.EOF) {
		p.complaints.log(p.log, fmt.Sprintf("bulk %d", b[0]), "bulk connection failed", "node", from.ID, "service", b[0], "cause", err)
	}
}

// BulkConn is a connection for one long stream. Copying a file to it is left to the kernel.
// Each read and write must get on within Timing.Idle, unless its user sets deadlines.
type BulkConn struct {
	net.Conn
	peers *Peers
	info  Info

	readBy, writeBy atomic.Bool // the user has set a deadline for that direction
}

// Peer is what the other node said of itself.
func (c *BulkConn) Peer() Info { return c.info }

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *BulkConn) SetDeadline(t time.Time) error {
	c.readBy.Store(!t.IsZero())
	c.writeBy.Store(!t.IsZero())
	return c.Conn.SetDeadline(t)
}

// SetReadDeadline bounds reads in the place of Timing.Idle; the zero time brings that back.
func (c *BulkConn) SetReadDeadline(t time.Time) error {
	c.readBy.Store(!t.IsZero())
	return c.Conn.SetReadDeadline(t)
}

// SetWriteDeadline bounds writes in the place of Timing.Idle; the zero time brings that back.
func (c *BulkConn) SetWriteDeadline(t time.Time) error {
	c.writeBy.Store(!t.IsZero())
	return c.Conn.SetWriteDeadline(t)
}

// Read reads, or fails after Timing.Idle.
func (c *BulkConn) Read(b []byte) (int, error) {
	if !c.readBy.Load() {
		c.Conn.SetReadDeadline(time.Now().Add(c.peers.timing.Idle))
	}
	return c.Conn.Read(b)
}

func (c *BulkConn) writing() {
	if !c.writeBy.Load() {
		c.Conn.SetWriteDeadline(time.Now().Add(c.peers.timing.Idle))
	}
}

// bulkStep is how much is written under one deadline.
const bulkStep = 4 << 20

// Write writes all of b, unless the other side takes nothing for Timing.Idle.
func (c *BulkConn) Write(b []byte) (n int, err error) {
	for {
		c.writing()
		m, err := c.Conn.Write(b[n:min(len(b), n+bulkStep)])
		n += m
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// ReadFrom copies r to the connection; a file, or a part of it by io.LimitedReader, by sendfile.
func (c *BulkConn) ReadFrom(r io.Reader) (n int64, err error) {
	limit, ok := r.(*io.LimitedReader)
	if !ok {
		limit = &io.LimitedReader{R: r, N: 1<<63 - 1}
	}
	for limit.N > 0 {
		c.writing()
		step := &io.LimitedReader{R: limit.R, N: min(limit.N, bulkStep)}
		want := step.N
		m, err := io.Copy(c.Conn, step)
		n, limit.N = n+m, limit.N-m
		if err != nil || m < want {
			return n, err
		}
	}
	return n, nil
}

// CloseWrite tells the other side that nothing more comes.
func (c *BulkConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return errors.ErrUnsupported
}

// Close ends the connection.
func (c *BulkConn) Close() error {
	c.peers.release(c.Conn)
	return c.Conn.Close()
}
