package protocol

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"runtime/debug"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// readLoop reads and decides requests until the connection ends.
func (c *Conn) readLoop() {
	defer close(c.queue)
	for {
		r, err := c.next()
		switch {
		case err == nil:
			if c.decide(r) {
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
	r := c.newRequest()
	r.Conn, r.Size = c, size
	e, err := c.readRequest(r)
	if err == nil && e != nil {
		err = c.decode(r, e)
	}
	if err != nil {
		if r.told {
			r.KeepFrame() // what was begun may still use it
		}
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
	switch {
	case size < fixedHeader:
		return 0, fmt.Errorf("%w: a length of %d%s", errMalformed, size, otherProtocol(b))
	case int(size) > c.srv.cfg.MaxRequestBytes:
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
	r.frame = &r.bytes
	if err = c.readFrame(r, e); err != nil {
		return nil, err
	}
	if e == nil {
		r.answer.Response = c.srv.cfg.Table.unsupportedApiVersions()
	}
	return e, nil
}

// decide lets the API's handler decide, and passes the request on to the writer, whose it is from then
// on. It reports whether the request is the connection's last.
func (c *Conn) decide(r *Request) (last bool) {
	c.srv.stats.api(r.Key).requests.Add(1)
	switch {
	case r.Body != nil && isHeavy(r.Key):
		c.decideInTurn(r)
		return r.answer.Close // one that is heavy is nobody else's afterwards
	case r.Body != nil:
		c.handle(r)
	}
	last = r.answer.Close
	c.queue <- r
	return last
}

func (c *Conn) handle(r *Request) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.panicked(r, p, debug.Stack())
			r.KeepFrame() // what it had begun may still use it
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
