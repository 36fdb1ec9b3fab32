package protocol

import (
	"maps"
	"math"
	"net/netip"
	"time"

	"golang.org/x/time/rate"
)

// Limits bound a server's connections. They may change while it runs; connections that are open
// stay open.
type Limits struct {
	Connections int                // max.connections
	PerIP       int                // max.connections.per.ip
	PerIPOf     map[netip.Addr]int // max.connections.per.ip.overrides, by unmapped address
	// CreationRate is how many connections are accepted in a second (max.connection.creation.rate,
	// KIP-612); the others wait in the operating system's backlog.
	CreationRate int
}

// NoLimits is what holds until SetLimits.
func NoLimits() Limits {
	return Limits{Connections: math.MaxInt32, PerIP: math.MaxInt32, CreationRate: math.MaxInt32}
}

// SetLimits replaces the limits.
func (s *Server) SetLimits(l Limits) {
	l.PerIPOf = maps.Clone(l.PerIPOf)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limits = l
	if l.CreationRate == math.MaxInt32 {
		s.creation.SetLimit(rate.Inf)
		return
	}
	s.creation.SetLimit(rate.Limit(l.CreationRate))
	s.creation.SetBurst(l.CreationRate) // a second's worth
}

// Refusal is why a connection was closed as soon as it was accepted.
type Refusal uint8

// The reasons, by the setting that gave them.
const (
	RefusedMaxConnections Refusal = iota
	RefusedPerIP
	RefusedDescriptors // there are not more file descriptors for connections
	refusals
)

// String returns the reason as log lines and metrics name it.
func (r Refusal) String() string {
	return [...]string{"max.connections", "max.connections.per.ip", "file.descriptors"}[r]
}

// refusal says whether the limits forbid one more connection from an address; the caller holds mu.
func (s *Server) refusal(ip netip.Addr) (Refusal, bool) {
	perIP, ok := s.limits.PerIPOf[ip]
	if !ok {
		perIP = s.limits.PerIP
	}
	switch {
	case len(s.conns) >= s.limits.Connections:
		return RefusedMaxConnections, true
	case s.perIP[ip] >= perIP:
		return RefusedPerIP, true
	case s.cfg.Descriptors > 0 && len(s.conns) >= s.cfg.Descriptors:
		return RefusedDescriptors, true
	}
	return 0, false
}

// creationRetry is how often a server that accepts no connections at all looks whether it may.
const creationRetry = time.Second

// pace waits until another connection may be accepted.
func (s *Server) pace() {
	for waited := false; ; waited = true {
		r := s.creation.Reserve()
		d := r.Delay()
		if r.OK() && d == 0 {
			return
		}
		if !waited {
			s.stats.paced.Add(1)
		}
		t := time.NewTimer(min(d, creationRetry))
		select {
		case <-t.C:
		case <-s.draining:
			t.Stop()
			return
		}
		if r.OK() {
			return
		}
	}
}
