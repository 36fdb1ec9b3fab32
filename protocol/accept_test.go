package protocol

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func TestConnectionsBeyondTheLimitsAreRefused(t *testing.T) {
	loopback := netip.MustParseAddr("127.0.0.1")
	with := func(change func(*Limits)) Limits {
		l := NoLimits()
		change(&l)
		return l
	}
	for name, test := range map[string]struct {
		why         Refusal
		limits      Limits
		descriptors int
	}{
		"max.connections":          {RefusedMaxConnections, with(func(l *Limits) { l.Connections = 2 }), 0},
		"max.connections.per.ip":   {RefusedPerIP, with(func(l *Limits) { l.PerIP = 2 }), 0},
		"an override that is less": {RefusedPerIP, with(func(l *Limits) { l.PerIPOf = map[netip.Addr]int{loopback: 2} }), 0},
		"an override that is more": {RefusedPerIP, with(func(l *Limits) { l.PerIP, l.PerIPOf = 0, map[netip.Addr]int{loopback: 2} }), 0},
		"file descriptors":         {RefusedDescriptors, NoLimits(), 2},
	} {
		t.Run(name, func(t *testing.T) {
			lines, logger := newLogLines()
			s, addr := startServer(t, Config{Table: NewTable(serveHeartbeats()), Logger: logger, Descriptors: test.descriptors})
			s.SetLimits(test.limits)
			first, second := dial(t, addr), dial(t, addr)
			first.ask(heartbeat(1))
			second.ask(heartbeat(1))
			dial(t, addr).wantClosed()
			if log := strings.Join(lines.all(), ""); !strings.Contains(log, test.why.String()) || s.Stats().Refused[test.why] != 1 {
				t.Errorf("stats %+v, log %s", s.Stats(), log)
			}
			first.Close()
			eventually(t, func() bool { return s.Stats().Connections == 1 })
			dial(t, addr).ask(heartbeat(2))
			second.ask(heartbeat(2))
		})
	}
}

func TestLimitsChangeWhileTheServerRuns(t *testing.T) {
	s, addr := startServer(t, Config{Table: NewTable(serveHeartbeats())})
	first, second := dial(t, addr), dial(t, addr)
	first.ask(heartbeat(1))
	second.ask(heartbeat(1))
	l := NoLimits()
	l.Connections = 1
	s.SetLimits(l)
	dial(t, addr).wantClosed()
	second.ask(heartbeat(2)) // who is there stays
	s.SetLimits(NoLimits())
	dial(t, addr).ask(heartbeat(3))
}

func TestConnectionsAreAcceptedAtTheirRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(Config{Table: NewTable(serveHeartbeats())})
		l := NoLimits()
		l.CreationRate = 10
		s.SetLimits(l)
		ln := newPipeListener()
		go s.Serve(ln)
		begin := time.Now()
		for range 60 {
			client, server := net.Pipe()
			defer client.Close()
			ln.conns <- server
		}
		if d := time.Since(begin); d < 4*time.Second || d > 6*time.Second {
			t.Errorf("60 connections at 10 a second, and a second's worth at once, took %v", d)
		}
		s.SetLimits(NoLimits())
		begin = time.Now()
		for range 60 {
			client, server := net.Pipe()
			defer client.Close()
			ln.conns <- server
		}
		if d := time.Since(begin); d > time.Second {
			t.Errorf("60 connections without a limit took %v", d)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Shutdown(ctx)
	})
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
