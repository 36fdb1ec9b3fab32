package protocol

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnectionsBeyondTheLimitsAreRefused(t *testing.T) {
	for name, cfg := range map[string]Config{
		"max.connections":        {MaxConnections: 2},
		"max.connections.per.ip": {MaxConnectionsPerIP: 2},
	} {
		t.Run(name, func(t *testing.T) {
			lines, logger := newLogLines()
			cfg.Table, cfg.Logger = NewTable(serveHeartbeats()), logger
			s, addr := startServer(t, cfg)
			first, second := dial(t, addr), dial(t, addr)
			first.ask(heartbeat(1))
			second.ask(heartbeat(1))
			dial(t, addr).wantClosed()
			if log := strings.Join(lines.all(), ""); !strings.Contains(log, name) || s.Stats().Refused != 1 {
				t.Errorf("stats %+v, log %s", s.Stats(), log)
			}
			first.Close()
			eventually(t, func() bool { return s.Stats().Connections == 1 })
			dial(t, addr).ask(heartbeat(2))
			second.ask(heartbeat(2))
		})
	}
}

// pipeListener accepts the connections it is given, or fails with err.
type pipeListener struct {
	conns   chan net.Conn
	closed  chan struct{}
	err     error
	accepts atomic.Int32
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	l.accepts.Add(1)
	if l.err != nil {
		return nil, l.err
	}
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestAcceptErrorsDoNotSpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lines, logger := newLogLines()
		s := NewServer(Config{Table: NewTable(), Logger: logger})
		ln := newPipeListener()
		ln.err = &net.OpError{Op: "accept", Err: syscall.EMFILE}
		served := make(chan error, 1)
		go func() { served <- s.Serve(ln) }()
		time.Sleep(time.Minute)
		if n := ln.accepts.Load(); n < 50 || n > 80 {
			t.Errorf("%d calls of Accept in a minute", n)
		}
		if n := len(lines.all()); n < 30 || n > 70 || !strings.Contains(lines.all()[0], "too many open files") {
			t.Errorf("%d log lines", n)
		}
		s.Shutdown(context.Background())
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
}
