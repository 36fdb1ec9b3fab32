package protocol

import (
	"sync/atomic"
	"time"

	"quorumlog/internal/bufpool"
)

// Steps in which a frame's buffers grow while their bytes arrive. A peer has to send what is
// before a step to make the server take the next.
const (
	firstStep = 4 << 10  // in the connection's read buffer
	freeStep  = 64 << 10 // up to here without asking the budget
	bulkStep  = 2 << 20  // taken at once when freeStep has arrived; the rest when this has
)

// frame is a request's bytes, without the length prefix.
type frame struct {
	b     []byte  // without what is in parts
	parts []part  // of a large Produce request
	first [1]part // their memory while there is one, as there mostly is
	left  int64   // bytes of such a request that still take memory
	held  int64   // bytes held from Server.frames
	small int64   // or from Conn.smallIn
	kept  atomic.Bool
	begin time.Time // of its arrival; later by what it waited for the budget
}

// grown returns a buffer of at least n bytes with the first have of b, which it gives back.
func grown(b []byte, n, have int) []byte {
	larger := bufpool.Get(n)
	copy(larger, b[:have])
	bufpool.Put(b)
	return larger[:cap(larger)]
}
