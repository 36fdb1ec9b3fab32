package protocol

import (
	"sync/atomic"
	"time"
)

// Steps in which a frame's buffer grows while its bytes arrive. A peer has to send what is
// before a step to make the server take the next.
const (
	firstStep = 4 << 10  // in the connection's read buffer
	freeStep  = 64 << 10 // up to here without asking the budget
	bulkStep  = 2 << 20  // taken at once when freeStep has arrived; the rest when this has
)

// frame is a request's bytes, without the length prefix.
type frame struct {
	b     []byte
	held  int64 // bytes held from Server.frames
	small int64 // or from Conn.smallIn
	kept  atomic.Bool
	begin time.Time // of its arrival; later by what it waited for the budget
}

// grow makes the frame's buffer at least n bytes large, keeping the first have of them.
func (s *Server) grow(f *frame, n, have int) {
	b := s.pool.Get(n)
	copy(b, f.b[:have])
	s.pool.Put(f.b)
	f.b = b[:cap(b)]
}
