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
	Accepted             int64 // connections
	Refused              map[Refusal]int64
	Paced                int64 // connections after which the next had to wait
	Stuck                int64 // connections closed for others that waited for a heavy answer's place
	BadFrames            int64 // requests that closed their connection
	WriteErrors          int64
	Queued               int   // requests read and not yet answered
	FrameBytes           int64 // held from the budget now
	DecodedBytes         int64
	FrameBudget          int64
	DecodeBudget         int64
	MaxConnections       int   // as the limits are now
	HeavyAnswers         int   // places taken
	BudgetWaits          int64 // requests that had to wait for the budget
	AcceptErrors, Panics int64
}

// APIStats counts the requests of one API.
type APIStats struct {
	Requests, Errors int64
	Responses        uint64
	Time             time.Duration // from a request's first bytes to its response, summed
	// Within counts the responses that took no longer than the bound of the same place in
	// LatencyBounds, and longer than the one before it.
	Within [len(LatencyBounds)]uint64
}

// LatencyBounds are the upper bounds of APIStats.Within.
var LatencyBounds = [...]time.Duration{
	250 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 2500 * time.Microsecond,
	5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second,
}

type counters struct {
	apis                              [maxKey + 1]apiCounters
	bytesIn, bytesOut                 atomic.Int64
	accepted, badFrames, writeFails   atomic.Int64
	acceptFails, panics, paced, stuck atomic.Int64
	refused                           [refusals]atomic.Int64
}

type apiCounters struct {
	requests, errors, nanos atomic.Int64
	responses               atomic.Uint64
	within                  [len(LatencyBounds)]atomic.Uint64
}

// responded counts a response that was written after d.
func (a *apiCounters) responded(d time.Duration) {
	a.responses.Add(1)
	a.nanos.Add(int64(d))
	for i := range LatencyBounds {
		if d <= LatencyBounds[i] {
			a.within[i].Add(1)
			return
		}
	}
}

func (a *apiCounters) stats() APIStats {
	st := APIStats{
		Requests: a.requests.Load(), Responses: a.responses.Load(), Errors: a.errors.Load(),
		Time: time.Duration(a.nanos.Load()),
	}
	for i := range a.within {
		st.Within[i] = a.within[i].Load()
	}
	return st
}

// api returns the counters of a key that has been looked up.
func (c *counters) api(key int16) *apiCounters { return &c.apis[key&maxKey] }

// Stats returns the server's counters.
func (s *Server) Stats() Stats {
	c := &s.stats
	st := Stats{
		APIs: map[int16]APIStats{}, BytesIn: c.bytesIn.Load(), BytesOut: c.bytesOut.Load(),
		Accepted: c.accepted.Load(), Refused: map[Refusal]int64{}, Paced: c.paced.Load(), Stuck: c.stuck.Load(), BadFrames: c.badFrames.Load(),
		WriteErrors: c.writeFails.Load(), AcceptErrors: c.acceptFails.Load(), Panics: c.panics.Load(),
		FrameBytes: s.frames.inUse(), DecodedBytes: s.decoded.inUse(),
		FrameBudget: s.frames.total, DecodeBudget: s.decoded.total, HeavyAnswers: len(s.heavy.places),
		BudgetWaits: s.frames.waits.Load() + s.decoded.waits.Load(),
	}
	for key := range c.apis {
		a := &c.apis[key]
		if a.requests.Load() > 0 {
			st.APIs[int16(key)] = a.stats()
		}
	}
	for why := range refusals {
		st.Refused[why] = c.refused[why].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Connections = len(s.conns)
	st.MaxConnections = s.limits.Connections
	if s.cfg.Descriptors > 0 {
		st.MaxConnections = min(st.MaxConnections, s.cfg.Descriptors)
	}
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
