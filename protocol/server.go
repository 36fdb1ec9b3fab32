// Package protocol speaks Kafka's wire protocol to clients: it accepts connections, frames,
// decodes and dispatches requests to a table of APIs, and writes their answers in order. What
// a peer sends is bounded in size, in memory, and in time; see docs/protocol.md.
package protocol

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/time/rate"

	"quorumlog/internal/freelist"
)

// Config configures a Server. The zero value of every field but Table is the default.
type Config struct {
	Table  *Table
	Logger *slog.Logger // default: discard

	MaxRequestBytes int           // socket.request.max.bytes, default 100 MiB
	MaxInFlight     int           // requests of one connection that are not answered yet, default 64
	IdleTimeout     time.Duration // connections.max.idle.ms, default 10 min; negative: never
	StallTimeout    time.Duration // a begun request that makes no progress, default 30 s
	WriteTimeout    time.Duration // a peer that takes less than a MiB of an answer meanwhile, default 30 s
	Descriptors     int           // the most connections that the process has file descriptors for, default unlimited

	// Answered, where it is not nil, sees every response before it is written, on the
	// connection's writer goroutine.
	Answered func(*Request, kmsg.Response)

	// FrameBudget bounds what all connections' requests take together, in bytes, DecodeBudget
	// what is decoded from them. What is larger has all of it for itself; requests that are
	// small for their connection are not counted. Default 32 and 256 MiB.
	FrameBudget, DecodeBudget int64
}

func (c Config) withDefaults() Config {
	setDefault(&c.Logger, slog.New(slog.DiscardHandler))
	setDefault(&c.MaxRequestBytes, 100<<20)
	setDefault(&c.MaxInFlight, 64)
	setDefault(&c.IdleTimeout, 10*time.Minute)
	if c.IdleTimeout < 0 {
		c.IdleTimeout = never
	}
	setDefault(&c.StallTimeout, 30*time.Second)
	setDefault(&c.WriteTimeout, 30*time.Second)
	setDefault(&c.FrameBudget, 32<<20)
	setDefault(&c.DecodeBudget, 256<<20)
	return c
}

// never is a timeout beyond any process's life.
const never = 50 * 365 * 24 * time.Hour

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// Server serves a table of APIs on any number of listeners.
type Server struct {
	cfg      Config
	log      *slog.Logger
	ctx      context.Context // of all connections
	cancel   context.CancelFunc
	draining chan struct{}  // closed by Shutdown
	running  sync.WaitGroup // connections
	frames   budget
	decoded  budget
	spare    *freelist.List[Request]
	stats    counters
	bad      occasional // log lines of bad frames
	refused  occasional // log lines of refused connections
	failing  occasional // log lines of failing handlers
	slow     occasional // log lines of closed slow readers

	heavy    heavyAnswers
	creation *rate.Limiter

	mu        sync.Mutex
	limits    Limits
	listeners map[net.Listener]struct{}
	conns     map[*Conn]struct{}
	perIP     map[netip.Addr]int
	nextID    uint64
}

// ErrServerClosed is returned by Serve after Shutdown.
var ErrServerClosed = errors.New("protocol: server closed")

// NewServer returns a server that is not listening yet.
func NewServer(cfg Config) *Server {
	cfg = cfg.withDefaults()
	s := &Server{
		cfg: cfg, log: cfg.Logger, draining: make(chan struct{}),
		frames: budget{total: cfg.FrameBudget}, decoded: budget{total: cfg.DecodeBudget},
		spare:     freelist.New[Request](maxSpare),
		listeners: map[net.Listener]struct{}{}, conns: map[*Conn]struct{}{}, perIP: map[netip.Addr]int{},
		heavy: newHeavyAnswers(), creation: rate.NewLimiter(rate.Inf, 1), limits: NoLimits(),
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Serve accepts connections until Shutdown, when it returns ErrServerClosed, or until the
// listener fails for good. It closes the listener.
func (s *Server) Serve(ln net.Listener) error {
	defer ln.Close()
	if !s.addListener(ln) {
		return ErrServerClosed
	}
	defer s.dropListener(ln)
	var backoff time.Duration
	for {
		nc, err := ln.Accept()
		switch {
		case err == nil:
			backoff = 0
			s.start(nc)
			s.pace()
		case s.isDraining():
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed):
			return err
		default: // out of descriptors, or the peer gave up meanwhile
			backoff = min(max(2*backoff, 5*time.Millisecond), time.Second)
			s.acceptFailed(err, backoff)
			select {
			case <-time.After(backoff):
			case <-s.draining:
			}
		}
	}
}

// Shutdown stops listening and reading, answers the requests that were decided, and closes the
// connections. When ctx ends first the rest is closed as it is, and ctx's error returned after
// at most a second more. Without an error, all handlers have returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	if !s.isDraining() {
		close(s.draining)
	}
	for ln := range s.listeners {
		ln.Close()
	}
	for c := range s.conns {
		c.stopReading()
	}
	s.mu.Unlock()

	drained := make(chan struct{})
	go func() {
		s.running.Wait()
		close(drained)
	}()
	select {
	case <-drained:
		s.cancel()
		return nil
	case <-ctx.Done():
	}
	s.cancel()
	s.mu.Lock()
	for c := range s.conns {
		c.abort(ErrServerClosed)
	}
	s.mu.Unlock()
	select {
	case <-drained:
	case <-time.After(time.Second): // a handler that does not heed its context
	}
	return ctx.Err()
}

func (s *Server) isDraining() bool {
	select {
	case <-s.draining:
		return true
	default:
		return false
	}
}

func (s *Server) addListener(ln net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.isDraining() {
		return false
	}
	s.listeners[ln] = struct{}{}
	return true
}

func (s *Server) dropListener(ln net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.listeners, ln)
}

// limit returns the largest request of an API, in bytes.
func (s *Server) limit(e *entry) int {
	const ordinary = 8 << 20
	limit := ordinary
	switch {
	case e == nil:
	case e.MaxBytes > 0:
		limit = e.MaxBytes
	case e.Key == 0:
		limit = s.cfg.MaxRequestBytes
	}
	return min(limit, s.cfg.MaxRequestBytes)
}
