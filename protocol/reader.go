package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// What small requests take is not charged to the server's budgets, as long as one connection's
// stay within these: one ordinary request always passes.
const (
	freeFrameBytes   = freeStep
	freeDecodedBytes = 1 << 20
)

// minRate is the slowest a frame may arrive on the whole, in bytes a second, on top of
// Config.StallTimeout.
const minRate = 64 << 10

// readLoop reads and decides requests until the connection ends.
func (c *Conn) readLoop() {
	defer close(c.queue)
	for {
		r, err := c.next()
		switch {
		case err == nil:
			c.decide(r)
			if r.answer.Close {
				return
			}
			continue
		case c.srv.isDraining():
			// What was decided is answered.
		case isRefusal(err):
			c.srv.badFrame(c, err) // earlier requests are answered, then it closes
		default:
			c.cancel(ErrPeerGone)
		}
		return
	}
}

func isRefusal(err error) bool {
	for _, e := range []error{errMalformed, errTooLarge, errTooMany, errUnsupported, errStalled} {
		if errors.Is(err, e) {
			return true
		}
	}
	return false
}

// next reads and decodes the next request.
func (c *Conn) next() (*Request, error) {
	size, err := c.awaitSize()
	if err != nil {
		return nil, err
	}
	select {
	case c.slots <- struct{}{}:
	case <-c.ctx.Done():
		return nil, c.ctx.Err()
	case <-c.srv.draining:
		return nil, net.ErrClosed
	}
	r := &Request{Conn: c, Size: size}
	e, err := c.readRequest(r)
	if err == nil && e != nil {
		err = c.decode(r, e)
	}
	if err != nil {
		c.free(r)
		return nil, err
	}
	return r, nil
}

// awaitSize waits for the next frame, at most the idle timeout, and returns its length.
func (c *Conn) awaitSize() (int, error) {
	for c.in.Buffered() == 0 {
		c.readWithin(c.srv.cfg.IdleTimeout)
		if _, err := c.in.Peek(1); err == nil {
			break
		} else if !isTimeout(err) || c.inFlight() == 0 || c.srv.isDraining() {
			return 0, err
		}
	}
	if c.in.Buffered() < 4 {
		c.readWithin(c.srv.cfg.StallTimeout)
	}
	b, err := c.in.Peek(4)
	if err != nil {
		return 0, stalled(err)
	}
	size := int32(binary.BigEndian.Uint32(b))
	if int(size) > c.srv.cfg.MaxRequestBytes || size < fixedHeader {
		return 0, fmt.Errorf("%w: a length of %d%s", errTooLarge, size, otherProtocol(b))
	}
	c.in.Discard(4)
	return int(size), nil
}

// readRequest reads a frame. It returns the API that serves it; nil where the answer is
// already decided.
func (c *Conn) readRequest(r *Request) (*entry, error) {
	if c.in.Buffered() < fixedHeader {
		c.readWithin(c.srv.cfg.StallTimeout)
	}
	b, err := c.in.Peek(fixedHeader)
	if err != nil {
		return nil, stalled(err)
	}
	h := parseFixedHeader(b)
	r.Received = time.Now()
	r.Key, r.Version, r.CorrelationID = h.key, h.version, h.correlationID
	e := c.srv.cfg.Table.lookup(h.key, h.version)
	if e == nil && h.key != int16(kmsg.ApiVersions) {
		return nil, fmt.Errorf("%w: key %d version %d", errUnsupported, h.key, h.version)
	}
	if limit := c.srv.limit(e); r.Size > limit {
		return nil, fmt.Errorf("%w: %s of %d bytes, at most %d", errTooLarge, r.Name(), r.Size, limit)
	}
	if r.frame, err = c.readFrame(r.Size); err != nil {
		return nil, err
	}
	if e == nil {
		r.answer.Response = c.srv.cfg.Table.unsupportedApiVersions()
	}
	return e, nil
}

// readFrame reads size bytes into memory that grows as they arrive.
func (c *Conn) readFrame(size int) (*frame, error) {
	f := &frame{class: -1, b: make([]byte, min(size, firstStep))}
	begin, have := time.Now(), 0
	for {
		for have < min(size, len(f.b)) {
			if c.in.Buffered() == 0 {
				c.readWithin(c.frameDeadline(begin, size))
			}
			n, err := c.in.Read(f.b[have:min(size, len(f.b))])
			have += n
			if err != nil {
				c.drop(f)
				return nil, stalled(err)
			}
		}
		if have == size {
			break
		}
		if err := c.growFrame(f, size, have); err != nil {
			c.drop(f)
			return nil, err
		}
	}
	f.b = f.b[:size]
	if f.held == 0 {
		f.small = int64(size)
		c.smallIn.Add(f.small)
	}
	return f, nil
}

// growFrame takes the next step of a frame of size bytes of which have have arrived.
func (c *Conn) growFrame(f *frame, size, have int) error {
	var next int
	switch {
	case have < freeStep:
		next = min(size, freeStep)
	case have < bulkStep:
		next = min(size, bulkStep)
	default:
		next = min(size, 2*have)
	}
	if f.held == 0 && (next > freeStep || c.smallIn.Load()+int64(size) > freeFrameBytes) {
		n, ok := c.srv.frames.acquire(int64(size), c.ctx.Done(), c.srv.draining)
		if !ok {
			return net.ErrClosed
		}
		f.held = n
	}
	c.srv.pools.grow(f, next, have)
	return nil
}

// frameDeadline returns how long the next read of a frame may take: bytes must keep coming,
// and not all too slowly.
func (c *Conn) frameDeadline(begin time.Time, size int) time.Duration {
	stall := c.srv.cfg.StallTimeout
	whole := stall + time.Duration(size)*time.Second/minRate
	return min(stall, whole-time.Since(begin))
}

// decode turns the frame into r.Body, within the server's budget for decoded requests.
func (c *Conn) decode(r *Request, e *entry) (err error) {
	body := kmsg.RequestForKey(r.Key)
	body.SetVersion(r.Version)
	clientID, rest, err := parseClient(r.frame.b[fixedHeader:], body.IsFlexible())
	if err != nil {
		return err
	}
	r.ClientID = c.intern(clientID)
	worst, err := e.worstCase(r.Version, body.IsFlexible(), rest)
	if err != nil {
		return err
	}
	r.charged = c.smallMem.Load()+worst > freeDecodedBytes
	if r.charged {
		n, ok := c.srv.decoded.acquire(worst, c.ctx.Done(), c.srv.draining)
		if !ok {
			return net.ErrClosed
		}
		r.memory = n
	}
	if err := readBody(body, rest); err != nil {
		return fmt.Errorf("%w: %s version %d: %w", errMalformed, r.Name(), r.Version, err)
	}
	r.Body = body
	return c.settle(r, worst)
}

// settle replaces what was held for the worst case by what the request really takes: requests
// that wait for each other, as JoinGroup does, must not keep others from being read.
func (c *Conn) settle(r *Request, worst int64) error {
	if r.Key != int16(kmsg.Produce) && (r.charged || r.Size > auditBytes) {
		holds, err := audit(r.Body)
		if err != nil {
			return fmt.Errorf("%w: %s version %d", err, r.Name(), r.Version)
		}
		worst = min(worst, holds)
	}
	switch {
	case !r.charged:
		r.memory = worst
		c.smallMem.Add(worst)
	case r.memory > worst:
		c.srv.decoded.release(r.memory - worst)
		r.memory = worst
	}
	return nil
}

// readBody decodes; a panic in the decoder is an error of the frame.
func readBody(body kmsg.Request, b []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoder: %v", p)
		}
	}()
	return body.ReadFrom(b)
}

// intern returns the client id as a string, the previous one where it is the same.
func (c *Conn) intern(id []byte) *string {
	if id == nil {
		return nil
	}
	if c.clientID == nil || *c.clientID != string(id) {
		s := string(id)
		c.clientID = &s
	}
	return c.clientID
}

// decide lets the API's handler decide, and passes the request on to the writer.
func (c *Conn) decide(r *Request) {
	c.srv.stats.api(r.Key).requests.Add(1)
	if r.Body != nil {
		c.handle(r)
	}
	c.queue <- r
}

func (c *Conn) handle(r *Request) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.panicked(r, p, debug.Stack())
			r.answer = Answer{Close: true}
		}
	}()
	if v, ok := r.Body.(*kmsg.ApiVersionsRequest); ok && namesSoftware(v) {
		c.software.Store(&software{v.ClientSoftwareName, v.ClientSoftwareVersion})
	}
	r.answer = c.srv.cfg.Table.apis[r.Key].Handle(c.ctx, r)
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// stalled tells a frame that stopped arriving from a connection that ended.
func stalled(err error) error {
	switch {
	case isTimeout(err):
		return errStalled
	case errors.Is(err, io.EOF):
		return io.ErrUnexpectedEOF
	}
	return err
}
