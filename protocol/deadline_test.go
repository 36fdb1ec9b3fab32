package protocol

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// inBubble runs f with a server and a client that share an in-memory connection and a clock
// that jumps.
func inBubble(t *testing.T, cfg Config, f func(s *Server, c net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		s := NewServer(cfg)
		ln := newPipeListener()
		go s.Serve(ln)
		client, server := net.Pipe()
		ln.conns <- server
		f(s, client)
		client.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		s.Shutdown(ctx)
	})
}

// closedAfter returns how long it took until the server closed c.
func closedAfter(c net.Conn) time.Duration {
	begin := time.Now()
	io.Copy(io.Discard, c)
	return time.Since(begin)
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	inBubble(t, Config{Table: NewTable()}, func(s *Server, c net.Conn) {
		if d := closedAfter(c); d != 10*time.Minute {
			t.Errorf("closed after %v", d)
		}
		if n := s.Stats().BadFrames; n != 0 {
			t.Errorf("%d bad frames", n)
		}
	})
}

func TestAConnectionThatWaitsForAnAnswerIsNotIdle(t *testing.T) {
	w := newWaiting()
	inBubble(t, Config{Table: NewTable(w.api())}, func(_ *Server, c net.Conn) {
		w.open = make(chan struct{}) // of this bubble
		w.begun, w.ended = make(chan struct{}, 9), make(chan error, 9)
		c.Write(formatter.AppendRequest(nil, fetch(11), 3))
		time.Sleep(25 * time.Minute)
		close(w.open)
		var b [8]byte
		if _, err := io.ReadFull(c, b[:]); err != nil || b[7] != 3 {
			t.Errorf("response %x, %v", b, err)
		}
		if d := closedAfter(c); d > 10*time.Minute {
			t.Errorf("then closed after %v", d)
		}
	})
}

func TestAFrameThatStopsArrivingIsGivenUp(t *testing.T) {
	frame := formatter.AppendRequest(nil, heartbeat(1), 0)
	for _, n := range []int{1, 3, 4, 5, 11, 12, len(frame) - 1} {
		inBubble(t, Config{Table: NewTable(serveHeartbeats())}, func(s *Server, c net.Conn) {
			c.Write(frame[:n])
			if d := closedAfter(c); d != 30*time.Second {
				t.Errorf("after %d bytes: closed after %v", n, d)
			}
			if n := s.Stats().BadFrames; n != 1 {
				t.Errorf("%d bad frames", n)
			}
		})
	}
}

func TestAFrameThatDripsIsGivenUp(t *testing.T) {
	inBubble(t, Config{Table: NewTable(echoAPIs()...)}, func(_ *Server, c net.Conn) {
		head := append([]byte{0, 0x10, 0, 0}, headerOf(0, 3, false)...) // 1 MiB
		c.Write(head)
		c.Write(make([]byte, 2*firstStep))
		begin := time.Now()
		for {
			if _, err := c.Write([]byte{0}); err != nil {
				break
			}
			time.Sleep(5 * time.Second)
		}
		// 30 s and 16 s for a MiB, noticed by the byte after.
		if d := time.Since(begin); d < 40*time.Second || d > 55*time.Second {
			t.Errorf("given up after %v", d)
		}
	})
}

func TestAPeerThatReadsNothingIsGivenUp(t *testing.T) {
	released := 0
	api := API{Key: 12, Max: 4, Handle: func(_ context.Context, r *Request) Answer {
		return Answer{Response: new(kmsg.HeartbeatResponse), Release: func() { released++ }}
	}}
	inBubble(t, Config{Table: NewTable(api)}, func(s *Server, c net.Conn) {
		frame := formatter.AppendRequest(nil, heartbeat(1), 0)
		c.Write(frame)
		c.Write(frame)
		begin := time.Now()
		for {
			if _, err := c.Write(frame); err != nil {
				break
			}
		}
		if d := time.Since(begin); d != 30*time.Second {
			t.Errorf("given up after %v", d)
		}
		synctest.Wait()
		if st := s.Stats(); st.WriteErrors != 1 || st.Connections != 0 || int64(released) != st.APIs[12].Requests {
			t.Errorf("%d released, stats %+v", released, st)
		}
	})
}

func TestASlowReaderIsNotGivenUp(t *testing.T) {
	big := NewFetchResponse(11)
	big.Topics = []kmsg.FetchResponseTopic{{Partitions: []kmsg.FetchResponseTopicPartition{{RecordBatches: make([]byte, 8<<20)}}}}
	api := API{Key: 1, Min: 4, Max: 11, Handle: func(context.Context, *Request) Answer { return Answer{Response: big} }}
	inBubble(t, Config{Table: NewTable(api)}, func(_ *Server, c net.Conn) {
		c.Write(formatter.AppendRequest(nil, fetch(11), 0))
		b := make([]byte, 128<<10)
		got := 0
		for got < 8<<20 {
			n, err := c.Read(b)
			if err != nil {
				t.Fatalf("after %d bytes: %v", got, err)
			}
			got += n
			time.Sleep(3 * time.Second) // 3 minutes in all
		}
	})
}
