package peers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// errNotPeer is the cause of a connection from something that is no node.
var errNotPeer = errors.New("not a node of this program")

// greet dials, says hello and takes the answer. A refusal is an error. The connection is held
// and has the deadline of the handshake.
func (p *Peers) greet(ctx context.Context, address string, why purpose, to int32) (net.Conn, welcome, error) {
	conn, err := p.config.Dial(ctx, address)
	if err != nil {
		return nil, welcome{}, err
	}
	if !p.hold(conn) {
		return nil, welcome{}, errClosed
	}
	w, err := p.exchangeHello(ctx, conn, why, to)
	if err != nil {
		p.release(conn)
		conn.Close()
		return nil, welcome{}, err
	}
	return conn, w, nil
}

func (p *Peers) exchangeHello(ctx context.Context, conn net.Conn, why purpose, to int32) (w welcome, err error) {
	deadline := time.Now().Add(p.timing.Handshake)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	conn.SetDeadline(deadline)
	h := hello{min: minVersion, max: maxVersion, purpose: why, to: to, info: p.info(), window: uint64(p.limits.Window)}
	if err := writeHandshake(conn, true, h.encode()); err != nil {
		return w, err
	}
	if err := expectMagic(conn); err != nil {
		return w, err
	}
	b, err := readHandshake(conn)
	if err != nil {
		return w, err
	}
	if err := w.decode(b); err != nil {
		return w, err
	}
	if err := w.refusal.err(); err != nil {
		return w, err
	}
	if r := p.judgeWelcome(h, w); r.code != accepted {
		_ = writeHandshake(conn, false, verdict{r}.encode()) // it ends either way
		return w, r.err()
	}
	if p.config.OnMembers != nil {
		p.config.OnMembers(w.info, w.members)
	}
	return w, nil
}

// expectMagic reads the first bytes of a connection, and names what else they may be.
func expectMagic(r io.Reader) error {
	var b [len(magic)]byte
	n, err := io.ReadFull(r, b[:])
	if n == 0 && err != nil {
		return err
	}
	if string(b[:n]) == magic {
		return nil
	}
	return fmt.Errorf("%w: %s", errNotPeer, guess(b[:n]))
}

func guess(b []byte) string {
	for _, method := range []string{"GET ", "PUT ", "POST ", "HEAD ", "HTTP", "OPTIONS ", "DELETE ", "PRI "} {
		if bytes.HasPrefix(b, []byte(method[:min(len(method), len(magic))])) {
			return "it speaks HTTP"
		}
	}
	switch {
	case len(b) >= 3 && b[0] == 0x16 && b[1] == 3:
		return "it speaks TLS"
	case len(b) >= 6 && b[0] == 0 && b[4] == 0:
		return "it seems to be a client of Kafka: that has another port"
	}
	return fmt.Sprintf("it begins with %q", b)
}

// accept is the goroutine that takes connections.
func (p *Peers) accept() {
	for p.ctx.Err() == nil {
		conn, err := p.config.Listen.Accept()
		if err == nil {
			if p.hold(conn) {
				p.running.Go(func() { p.serve(conn) })
			}
			continue
		}
		if errors.Is(err, net.ErrClosed) {
			return
		}
		p.complaints.log(p.log, "accept", "cannot accept connections", "cause", err)
		select {
		case <-time.After(100 * time.Millisecond): // out of descriptors, most likely
		case <-p.ctx.Done():
		}
	}
}

// serve takes one connection through its handshake and gives it to its purpose.
func (p *Peers) serve(conn net.Conn) {
	defer p.release(conn)
	conn.SetDeadline(time.Now().Add(p.timing.Handshake))
	h, err := readHello(conn)
	if err != nil {
		conn.Close()
		if p.ctx.Err() == nil && !errors.Is(err, io.EOF) {
			p.complaints.log(p.log, "garbage", "connection is refused", "from", conn.RemoteAddr().String(), "cause", err)
		}
		return
	}
	r := p.judgeHello(h)
	if r.code == accepted {
		r = p.admit(h)
	}
	err = p.answer(conn, h, r)
	switch {
	case r.code != accepted:
		conn.Close()
		if r.code != refusedCrossing {
			p.complaints.log(p.log, r.text, "connection is refused", "from", conn.RemoteAddr().String(), "cause", r.text)
		}
	case h.purpose == forBulk:
		p.serveBulk(conn, h.info, err)
	case err != nil || h.purpose == forProbe:
		conn.Close()
	default:
		l := p.newLink(p.peer(h.info.ID), conn, h.info, h.window)
		if r := l.peer.install(l, false); r.code != accepted {
			conn.Close()
		}
	}
}

// admit says whether there is room for a connection whose hello is all right.
func (p *Peers) admit(h hello) refusal {
	switch h.purpose {
	case forLink:
		p.mu.Lock()
		full := p.peers[h.info.ID] == nil && len(p.peers) >= maxMembers
		p.mu.Unlock()
		if full {
			return refuse(refusedBusy, "node %d knows %d nodes already", p.config.Node, maxMembers)
		}
		return p.peer(h.info.ID).judge(h.info, false)
	case forBulk:
		if i, ok := p.Connected(h.info.ID); ok && i.Identity != h.info.Identity {
			return refuse(refusedID, "node %d has another data directory than the node %d that is connected to node %d", h.info.ID, h.info.ID, p.config.Node)
		}
		return p.admitBulk()
	case forProbe:
		return refusal{}
	}
	return refuse(refusedVersion, "node %d does not know connections for purpose %d", p.config.Node, h.purpose)
}

func readHello(conn net.Conn) (h hello, err error) {
	if err := expectMagic(conn); err != nil {
		return h, err
	}
	b, err := readHandshake(conn)
	if err != nil {
		return h, err
	}
	return h, h.decode(b)
}

// answer tells who is here, and waits for the other side's verdict.
func (p *Peers) answer(conn net.Conn, h hello, r refusal) error {
	w := welcome{refusal: r, version: min(maxVersion, h.max), info: p.info(), window: uint64(p.limits.Window)}
	if p.config.Members != nil {
		w.members = p.config.Members()
		w.members = w.members[:min(len(w.members), maxMembers)]
	}
	if err := writeHandshake(conn, true, w.encode()); err != nil || r.code != accepted {
		return err
	}
	b, err := readHandshake(conn)
	if err != nil {
		return err
	}
	var v verdict
	if err := v.decode(b); err != nil {
		return err
	}
	if err := v.refusal.err(); err != nil {
		if v.refusal.code != refusedCrossing {
			p.complaints.log(p.log, fmt.Sprintf("refused by %d", h.info.ID), "node refuses this one", "node", h.info.ID, "cause", v.refusal.text)
		}
		return err
	}
	return nil
}

// Probe asks who is at an address, without a connection that lasts: the node's cluster and the
// members that it knows. Errors are those of refusals, and of the network.
func (p *Peers) Probe(ctx context.Context, address string) (Info, []Member, error) {
	conn, w, err := p.greet(ctx, address, forProbe, -1)
	if err != nil {
		return Info{}, nil, err
	}
	defer p.release(conn)
	defer conn.Close()
	err = writeHandshake(conn, false, verdict{}.encode())
	return w.info, w.members, err
}

// complaints keeps what may happen all the time from filling the log: one line a second for each
// kind, and one in a while for what is known to last.
type complaints struct {
	mu   sync.Mutex
	last map[string]time.Time
}

func (c *complaints) log(to *slog.Logger, kind, message string, args ...any) {
	c.every(time.Second, to, kind, message, args...)
}

func (c *complaints) every(interval time.Duration, to *slog.Logger, kind, message string, args ...any) {
	now := time.Now()
	c.mu.Lock()
	if last, ok := c.last[kind]; ok && now.Sub(last) < interval || len(c.last) >= 1024 && now.Sub(c.last[""]) < time.Second {
		c.mu.Unlock()
		return
	}
	if c.last == nil || len(c.last) >= 1024 {
		c.last = map[string]time.Time{"": now}
	}
	c.last[kind] = now
	c.mu.Unlock()
	to.Warn(message, args...)
}
