package protocol

import (
	"bytes"
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// occasional limits a kind of log line to one a second.
type occasional struct {
	next    atomic.Int64 // unix nanoseconds
	skipped atomic.Int64
}

func (o *occasional) log(l *slog.Logger, level slog.Level, msg string, args ...any) {
	now, next := time.Now().UnixNano(), o.next.Load()
	if now < next || !o.next.CompareAndSwap(next, now+int64(time.Second)) {
		o.skipped.Add(1)
		return
	}
	if n := o.skipped.Swap(0); n > 0 {
		args = append(args, "similar", n)
	}
	l.Log(context.Background(), level, msg, args...)
}

func (s *Server) badFrame(c *Conn, err error) {
	s.stats.badFrames.Add(1)
	s.bad.log(s.log, slog.LevelWarn, "bad request, closing the connection", "remote", c.RemoteAddr(), "error", err)
}

func (s *Server) acceptFailed(err error, backoff time.Duration) {
	s.stats.acceptFails.Add(1)
	s.refused.log(s.log, slog.LevelError, "cannot accept connections", "error", err, "retry_in", backoff)
}

func (s *Server) writeFailed(c *Conn, err error) {
	s.stats.writeFails.Add(1)
	s.log.Debug("cannot answer", "remote", c.RemoteAddr(), "error", err)
}

func (s *Server) panicked(r *Request, p any, stack []byte) {
	s.stats.panics.Add(1)
	s.stats.api(r.Key).errors.Add(1)
	s.log.Error("panic while serving a request", "api", r.Name(), "version", r.Version,
		"remote", r.Conn.RemoteAddr(), "panic", p, "stack", string(stack))
}

// handlerFailed records that a handler could not answer.
func (c *Conn) handlerFailed(r *Request, err error) {
	c.srv.stats.api(r.Key).errors.Add(1)
	c.srv.failing.log(c.srv.log, slog.LevelError, "request failed, closing the connection",
		"api", r.Name(), "version", r.Version, "remote", c.RemoteAddr(), "error", err)
}

// otherProtocol names what speaks when a frame's first four bytes are no length, as a remark.
func otherProtocol(b []byte) string {
	switch {
	case b[0] == 0x16 && b[1] == 3:
		return " (this looks like TLS on a plaintext listener)"
	case bytes.Equal(b, []byte("SSH-")):
		return " (this looks like SSH)"
	}
	for _, method := range []string{"GET ", "POST", "PUT ", "HEAD", "OPTI", "CONN", "DELE", "PATC", "PRI "} {
		if string(b) == method {
			return " (this looks like HTTP)"
		}
	}
	return ""
}
