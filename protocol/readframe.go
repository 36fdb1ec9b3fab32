package protocol

import (
	"errors"
	"io"
	"net"
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

// readFrame reads a request's bytes into memory that grows as they arrive; the records of a large Produce
// request into memory of their own.
func (c *Conn) readFrame(r *Request, e *entry) error {
	f := r.frame
	f.begin = time.Now()
	if first := min(r.Size, firstStep); c.in.Buffered() < first {
		c.readWithin(c.srv.cfg.StallTimeout)
		if _, err := c.in.Peek(first); err != nil {
			return stalled(err)
		}
	}
	var err error
	if r.Key == int16(kmsg.Produce) && r.Version >= splitVersion && r.Size > freeStep {
		err = c.readSplit(r, e)
	} else {
		err = c.readWhole(f, r.Size)
	}
	if err == nil && f.held == 0 {
		f.small = int64(r.Size)
		c.smallIn.Add(f.small)
	}
	return err
}

func (c *Conn) readWhole(f *frame, size int) error {
	for have := 0; have < size; {
		next := nextStep(have, size)
		if err := c.charge(f, next, size); err != nil {
			return err
		}
		f.b = grown(f.b, next, have)
		next = min(size, len(f.b))
		if err := c.fill(f, f.b[have:next], size); err != nil {
			return err
		}
		have = next
	}
	f.b = f.b[:size]
	return nil
}

// nextStep is how large a buffer is to be for n bytes of which have have arrived.
func nextStep(have, n int) int {
	switch {
	case have < freeStep:
		return min(n, freeStep)
	case have < bulkStep:
		return min(n, bulkStep)
	default:
		return n // which the budget has granted
	}
}

// fill reads all of b, a part of a frame of size bytes.
func (c *Conn) fill(f *frame, b []byte, size int) error {
	for len(b) > 0 {
		if c.in.Buffered() == 0 {
			c.readWithin(c.frameDeadline(f, size))
		}
		n, err := c.in.Read(b)
		if b = b[n:]; err != nil && len(b) > 0 {
			return stalled(err)
		}
	}
	return nil
}

// charge takes a frame of size bytes from the budget, where it has not been and its buffer is to be
// larger than what is free.
func (c *Conn) charge(f *frame, next, size int) error {
	if f.held > 0 || next <= freeStep && c.smallIn.Load()+int64(size) <= freeFrameBytes {
		return nil
	}
	asked := time.Now()
	n, ok := c.srv.frames.acquire(int64(size), c.ctx.Done(), c.srv.draining)
	if !ok {
		return net.ErrClosed
	}
	f.held = n
	f.begin = f.begin.Add(time.Since(asked)) // that was not the peer's doing
	return nil
}

// frameDeadline returns how long the next read of a frame may take: bytes must keep coming, and
// not all too slowly; a frame that holds memory for which others wait gets no more than StallTimeout.
func (c *Conn) frameDeadline(f *frame, size int) time.Duration {
	stall := c.srv.cfg.StallTimeout
	whole := stall
	if f.held == 0 || !c.srv.frames.contended() {
		whole += time.Duration(size) * time.Second / minRate
	}
	return min(stall, whole-time.Since(f.begin))
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
