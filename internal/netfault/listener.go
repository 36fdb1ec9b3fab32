package netfault

import (
	"context"
	"net"
	"sync"
	"syscall"
)

// listener listens in memory.
type listener struct {
	network *Network
	address string
	conns   chan net.Conn
	closed  chan struct{}
	once    sync.Once
}

// Accept returns the next connection, net.ErrClosed after Close.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close stops listening: who dials is refused.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.closed)
		l.network.mu.Lock()
		if l.network.memory[l.address] == l {
			delete(l.network.memory, l.address)
		}
		l.network.mu.Unlock()
	})
	return nil
}

// Addr is the address to dial.
func (l *listener) Addr() net.Addr { return address(l.address) }

// dial connects to the listener.
func (l *listener) dial(ctx context.Context) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case l.conns <- there:
		return here, nil
	case <-l.closed:
		return nil, &net.OpError{Op: "dial", Net: "memory", Addr: l.Addr(), Err: syscall.ECONNREFUSED}
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

type address string

func (address) Network() string  { return "memory" }
func (a address) String() string { return string(a) }
