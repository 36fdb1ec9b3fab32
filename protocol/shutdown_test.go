package protocol

import (
	"context"
	"errors"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestShutdownAnswersWhatWasDecided(t *testing.T) {
	w := newWaiting()
	s, addr := startServer(t, Config{Table: NewTable(w.api(), serveHeartbeats())})
	idle, half, busy := dial(t, addr), dial(t, addr), dial(t, addr)
	idle.ask(heartbeat(0))
	half.ask(heartbeat(0))
	half.write([]byte{0, 0, 1, 0, 0, 12}) // a frame that never arrives
	busy.send(fetch(11), heartbeat(1))
	<-w.begun
	eventually(t, func() bool { return s.Stats().APIs[12].Requests == 3 })

	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	busy.receiveInto(0, fetch(11).ResponseKind())
	busy.receiveInto(1, heartbeat(1).ResponseKind())
	for _, c := range []*testClient{idle, half, busy} {
		c.wantClosed()
	}
	if _, err := net.Dial("tcp", addr); err == nil {
		t.Error("still listening")
	}
	if st := s.Stats(); st.Connections != 0 || st.BadFrames != 0 || st.FrameBytes != 0 || st.DecodedBytes != 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestShutdownIsBoundedByItsContext(t *testing.T) {
	stuck := make(chan error, 1)
	api := API{Key: 12, Max: 4, Handle: func(context.Context, *Request) Answer {
		return Answer{Response: new(kmsg.HeartbeatResponse), Wait: func(ctx context.Context) {
			<-ctx.Done()
			stuck <- context.Cause(ctx)
		}}
	}}
	s, addr := startServer(t, Config{Table: NewTable(api)})
	c := dial(t, addr)
	c.send(heartbeat(1))
	eventually(t, func() bool { return s.Stats().Queued == 1 })
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := <-stuck; err == nil {
		t.Error("the wait was not told")
	}
	c.wantClosed()
}

func TestShutdownDoesNotHangOnAHandler(t *testing.T) {
	var hang, entered chan struct{}
	api := API{Key: 12, Max: 4, Handle: func(context.Context, *Request) Answer {
		close(entered)
		<-hang
		return Answer{}
	}}
	inBubble(t, Config{Table: NewTable(api)}, func(s *Server, c net.Conn) {
		hang, entered = make(chan struct{}), make(chan struct{})
		c.Write(formatter.AppendRequest(nil, heartbeat(1), 0))
		<-entered
		ctx, cancel := context.WithTimeout(context.Background(), 9*time.Second)
		defer cancel()
		begin := time.Now()
		if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 10*time.Second {
			t.Errorf("Shutdown returned %v after %v", err, time.Since(begin))
		}
		close(hang)
	})
}

func TestAServerThatWasShutDownServesNoMore(t *testing.T) {
	s := NewServer(Config{Table: NewTable()})
	if err := s.Shutdown(context.Background()); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(ln); !errors.Is(err, ErrServerClosed) {
		t.Errorf("Serve returned %v", err)
	}
	if err := s.Shutdown(context.Background()); err != nil {
		t.Errorf("a second Shutdown returned %v", err)
	}
}
