package protocol

import (
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// start serves an accepted connection, or closes it where there are too many.
func (s *Server) start(nc net.Conn) {
	tune(nc)
	c := s.admit(nc)
	if c == nil {
		nc.Close()
		return
	}
	go func() {
		defer s.running.Done()
		defer s.forget(c)
		c.serve()
	}()
}

// tune sets a TCP connection's options, also below TLS: small answers leave at once, and a
// peer that vanished is noticed in two minutes.
func tune(nc net.Conn) {
	if wrapped, ok := nc.(interface{ NetConn() net.Conn }); ok {
		nc = wrapped.NetConn()
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetNoDelay(true)
		tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute, Interval: 15 * time.Second, Count: 4})
	}
}

// admit counts a connection in; nil where a limit forbids it, or the server shuts down.
func (s *Server) admit(nc net.Conn) *Conn {
	ip := addrOf(nc.RemoteAddr())
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isDraining() {
		return nil
	}
	if why, refused := s.refusal(ip); refused {
		s.stats.refused[why].Add(1)
		s.refused.log(s.log, slog.LevelWarn, "connection refused", "remote", nc.RemoteAddr(), "reason", why, "connections", len(s.conns))
		return nil
	}
	s.nextID++
	c := newConn(s, s.nextID, nc, ip)
	s.conns[c] = struct{}{}
	s.perIP[ip]++
	s.running.Add(1)
	s.stats.accepted.Add(1)
	return c
}

func (s *Server) forget(c *Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.conns, c)
	if s.perIP[c.ip]--; s.perIP[c.ip] == 0 {
		delete(s.perIP, c.ip)
	}
}

// addrOf returns an address's IP, the zero value where it has none.
func addrOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		return tcp.AddrPort().Addr().Unmap().WithZone("")
	}
	return netip.Addr{}
}
