package protocol

import (
	"io"
	"sync/atomic"
	"time"
)

// Stats is what a server counted since it was made, and how full it is now.
type Stats struct {
	APIs                 map[int16]APIStats // by key; APIs without a request are left out
	BytesIn, BytesOut    int64
	Connections          int   // open now
	Accepted, Refused    int64 // connections
	BadFrames            int64 // requests that closed their connection
	WriteErrors          int64
	Queued               int   // requests read and not yet answered
	FrameBytes           int64 // held from the budget now
	DecodedBytes         int64
	BudgetWaits          int64 // requests that had to wait for the budget
	AcceptErrors, Panics int64
}

// APIStats counts the requests of one API.
type APIStats struct {
	Requests, Responses, Errors int64
	Time                        time.Duration // from a request's first bytes to its response, summed
}

type counters struct {
	apis                                     [maxKey + 1]apiCounters
	bytesIn, bytesOut                        atomic.Int64
	accepted, refused, badFrames, writeFails atomic.Int64
	acceptFails, panics                      atomic.Int64
}

type apiCounters struct{ requests, responses, errors, nanos atomic.Int64 }

// api returns the counters of a key that has been looked up.
func (c *counters) api(key int16) *apiCounters { return &c.apis[key&maxKey] }

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		APIs: map[int16]APIStats{}, BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Accepted: c.accepted.Load(), Refused: c.refused.Load(), BadFrames: c.badFrames.Load(),
		WriteErrors: c.writeFails.Load(), AcceptErrors: c.acceptFails.Load(), Panics: c.panics.Load(),
		FrameBytes: s.frames.inUse(), DecodedBytes: s.decoded.inUse(),
		BudgetWaits: s.frames.waits.Load() + s.decoded.waits.Load(),
	}
	for key := range c.apis {
		a := &c.apis[key]
		if n := a.requests.Load(); n > 0 {
			st.APIs[int16(key)] = APIStats{n, a.responses.Load(), a.errors.Load(), time.Duration(a.nanos.Load())}
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Connections = len(s.conns)
	for conn := range s.conns {
		st.Queued += conn.inFlight()
	}
	return st
}

// countingReader counts what is read.
type countingReader struct {
	r io.Reader
	n *atomic.Int64
}

func (c countingReader) Read(b []byte) (int, error) {
	n, err := c.r.Read(b)
	c.n.Add(int64(n))
	return n, err
}
