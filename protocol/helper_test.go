package protocol

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// startServer serves cfg on a loopback listener until the test ends.
func startServer(t testing.TB, cfg Config) (*Server, string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(cfg)
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		s.Shutdown(ctx)
		s.running.Wait() // what it still does must not count for the next test
		if err := <-served; !errors.Is(err, ErrServerClosed) {
			t.Errorf("Serve returned %v", err)
		}
	})
	return s, ln.Addr().String()
}

// testClient is one connection, speaking frames.
type testClient struct {
	net.Conn
	t  testing.TB
	in *bufio.Reader
	id int32
}

func dial(t testing.TB, addr string) *testClient {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, nc)
}

func newClient(t testing.TB, nc net.Conn) *testClient {
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(20 * time.Second))
	return &testClient{Conn: nc, t: t, in: bufio.NewReader(nc)}
}

var formatter = kmsg.NewRequestFormatter(kmsg.FormatterClientID("tester"))

// send writes requests, one write for all, and returns the first's correlation id.
func (c *testClient) send(reqs ...kmsg.Request) int32 {
	c.t.Helper()
	var b []byte
	first := c.id
	for _, r := range reqs {
		b = append(b, formatter.AppendRequest(nil, r, c.id)...)
		c.id++
	}
	c.write(b)
	return first
}

func (c *testClient) write(b []byte) {
	c.t.Helper()
	if _, err := c.Write(b); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads one response frame.
func (c *testClient) receive() (correlationID int32, rest []byte) {
	c.t.Helper()
	var head [8]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		c.t.Fatal("no response: ", err)
	}
	rest = make([]byte, binary.BigEndian.Uint32(head[:])-4)
	if _, err := io.ReadFull(c.in, rest); err != nil {
		c.t.Fatal(err)
	}
	return int32(binary.BigEndian.Uint32(head[4:])), rest
}

// receiveInto reads the response to correlation id want into resp.
func (c *testClient) receiveInto(want int32, resp kmsg.Response) {
	c.t.Helper()
	id, b := c.receive()
	if id != want {
		c.t.Fatalf("response to request %d, want %d", id, want)
	}
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		b = b[1:]
	}
	if err := resp.ReadFrom(b); err != nil {
		c.t.Fatal(err)
	}
}

// ask sends a request and returns its response.
func (c *testClient) ask(r kmsg.Request) kmsg.Response {
	c.t.Helper()
	resp := r.ResponseKind()
	c.receiveInto(c.send(r), resp)
	return resp
}

// wantClosed fails unless the server closes the connection without another byte.
func (c *testClient) wantClosed() {
	c.t.Helper()
	n, err := io.Copy(io.Discard, c.in)
	if errors.Is(err, context.DeadlineExceeded) || isTimeout(err) {
		c.t.Fatal("the connection stays open")
	}
	if n > 0 {
		c.t.Fatalf("%d bytes before the connection was closed", n)
	}
}

// echoAPIs serves every API that kmsg knows in every version, with empty responses.
func echoAPIs() []API {
	var apis []API
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if r := kmsg.RequestForKey(key); r != nil {
			apis = append(apis, API{Key: key, Max: r.MaxVersion(), Handle: func(_ context.Context, r *Request) Answer {
				return Answer{Response: r.Body.ResponseKind()}
			}})
		}
	}
	return apis
}

func heartbeat(gen int32) *kmsg.HeartbeatRequest {
	r := kmsg.NewPtrHeartbeatRequest()
	r.Version, r.Group, r.Generation = 4, "g", gen
	return r
}

// serveHeartbeats answers a heartbeat with its generation as throttle time.
func serveHeartbeats() API {
	return Serve(0, 4, func(_ context.Context, q *kmsg.HeartbeatRequest, s *kmsg.HeartbeatResponse) error {
		s.ThrottleMillis = q.Generation
		return nil
	})
}

// logLines collects log messages.
type logLines struct {
	mu    sync.Mutex
	lines []string
}

func newLogLines() (*logLines, *slog.Logger) {
	l := new(logLines)
	return l, slog.New(slog.NewTextHandler(l, nil))
}

func (l *logLines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(b))
	return len(b), nil
}

func (l *logLines) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.lines...)
}
