package protocol

import (
	"encoding/binary"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// keptBuffer is the largest encoding buffer that serves again, in bytes.
const keptBuffer = 256 << 10

var buffers = sync.Pool{New: func() any { return new([]byte) }}

// writeLoop answers decided requests in order. Once the connection has ended it only frees
// what they hold.
func (c *Conn) writeLoop() {
	for r := range c.queue {
		c.answer(r)
		c.finish(r)
	}
}

// answer waits for a request's response and writes it.
func (c *Conn) answer(r *Request) {
	defer func() {
		if p := recover(); p != nil {
			c.srv.panicked(r, p, debug.Stack())
			c.abort(errClosed)
		}
	}()
	if r.turn != nil {
		r.turn.take()
	}
	waiting := r.answer.Wait != nil
	defer func() {
		if waiting { // nobody has seen the end of what the request began: it may still use the frame
			r.KeepFrame()
		}
	}()
	if c.ctx.Err() != nil {
		return
	}
	if waiting {
		r.answer.Wait(c.ctx)
		waiting = false
		if c.ctx.Err() != nil {
			return
		}
	}
	if r.answer.Response != nil {
		if answered := c.srv.cfg.Answered; answered != nil {
			answered(r, r.answer.Response)
		}
		if err := c.send(r); err != nil {
			c.srv.writeFailed(c, err)
			c.abort(fmt.Errorf("%w: %w", ErrPeerGone, err))
			return
		}
	}
	if r.answer.Close {
		c.abort(errClosed)
	}
}

// finish lets go of everything that belongs to a request.
func (c *Conn) finish(r *Request) {
	defer c.recycle(r)
	defer c.free(r)
	if r.answer.Release == nil {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			c.srv.panicked(r, p, debug.Stack())
			c.abort(errClosed)
		}
	}()
	r.answer.Release()
}

// send encodes and writes a request's response.
func (c *Conn) send(r *Request) error {
	resp := r.answer.Response
	if r.Body != nil {
		resp.SetVersion(r.Version)
	}
	kept := buffers.Get().(*[]byte)
	b := appendHeader(append((*kept)[:0], 0, 0, 0, 0), r.CorrelationID, resp)
	var cuts []cut
	if f, ok := resp.(*FetchResponse); ok {
		b, cuts = f.encode(b)
	} else {
		b = resp.AppendTo(b)
	}
	size := len(b) - 4
	for _, cut := range cuts {
		size += sizeOf(cut.sections)
	}
	if size > math.MaxInt32 {
		return fmt.Errorf("%s: a response of %d bytes", kmsg.NameForKey(r.Key), size)
	}
	binary.BigEndian.PutUint32(b, uint32(size))
	if len(b) <= smallAnswer {
		c.srv.leaveHeavy(r)
	}
	err := c.out.send(b, cuts)
	c.srv.stats.bytesOut.Add(int64(size) + 4)
	c.srv.stats.api(r.Key).responded(time.Since(r.Received))
	if cap(b) <= keptBuffer {
		*kept = b
		buffers.Put(kept)
	}
	return err
}
