package peers

import (
	"bytes"
	"net"
	"sync"
	"time"
)

// replay is a connection that brings what was recorded and takes everything.
type replay struct {
	from   *bytes.Reader
	once   sync.Once
	closed chan struct{}
}

func (r *replay) Read(b []byte) (int, error) { return r.from.Read(b) }

func (r *replay) Write(b []byte) (int, error) { return len(b), nil }

func (r *replay) Close() error {
	r.once.Do(func() { close(r.closed) })
	return nil
}

func (r *replay) LocalAddr() net.Addr              { return nil }
func (r *replay) RemoteAddr() net.Addr             { return nil }
func (r *replay) SetDeadline(time.Time) error      { return nil }
func (r *replay) SetReadDeadline(time.Time) error  { return nil }
func (r *replay) SetWriteDeadline(time.Time) error { return nil }
