package protocol

import (
	"errors"
	"io"
	"net"
	"time"
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

// readFrame reads size bytes into memory that grows as they arrive.
func (c *Conn) readFrame(size int) (*frame, error) {
	f, have := &frame{begin: time.Now()}, 0
	if first := min(size, firstStep); c.in.Buffered() < first {
		c.readWithin(c.srv.cfg.StallTimeout)
		if _, err := c.in.Peek(first); err != nil {
			return nil, stalled(err)
		}
	}
	for have < size {
		err := c.growFrame(f, size, have)
		if err == nil {
			have, err = c.fill(f, min(size, len(f.b)), have, size)
		}
		if err != nil {
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

// fill reads a frame of size bytes, of which have have arrived, up to n.
func (c *Conn) fill(f *frame, n, have, size int) (int, error) {
	for have < n {
		if c.in.Buffered() == 0 {
			c.readWithin(c.frameDeadline(f, size))
		}
		n, err := c.in.Read(f.b[have:n])
		if have += n; err != nil {
			return have, stalled(err)
		}
	}
	return have, nil
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
		next = size // which the budget has granted
	}
	if f.held == 0 && (next > freeStep || c.smallIn.Load()+int64(size) > freeFrameBytes) {
		asked := time.Now()
		n, ok := c.srv.frames.acquire(int64(size), c.ctx.Done(), c.srv.draining)
		if !ok {
			return net.ErrClosed
		}
		f.held = n
		f.begin = f.begin.Add(time.Since(asked)) // that was not the peer's doing
	}
	c.srv.grow(f, next, have)
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
