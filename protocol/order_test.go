package protocol

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// waiting serves Fetch by waiting for open, and tells what became of each request.
type waiting struct {
	open     chan struct{}
	begun    chan struct{}
	ended    chan error // why a wait was cut short, nil where it was not
	released atomic.Int32
}

func newWaiting() *waiting {
	return &waiting{open: make(chan struct{}), begun: make(chan struct{}, 100), ended: make(chan error, 100)}
}

func (w *waiting) api() API {
	return API{Key: int16(kmsg.Fetch), Min: 4, Max: 11, Handle: func(_ context.Context, r *Request) Answer {
		return Answer{
			Response: r.Body.ResponseKind(),
			Wait: func(ctx context.Context) {
				w.begun <- struct{}{}
				select {
				case <-w.open:
					w.ended <- nil
				case <-r.Conn.Draining():
					w.ended <- nil
				case <-ctx.Done():
					w.ended <- context.Cause(ctx)
				}
			},
			Release: func() { w.released.Add(1) },
		}
	}}
}

func fetch(version int16) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.Version = version
	return r
}

func TestPipelinedRequestsAreAnsweredInOrder(t *testing.T) {
	_, addr := startServer(t, Config{Table: NewTable(serveHeartbeats()), MaxInFlight: 3})
	c := dial(t, addr)
	const n = 500
	var reqs []kmsg.Request
	for i := range n {
		reqs = append(reqs, heartbeat(int32(i)))
	}
	go c.send(reqs...)
	for i := range n {
		resp := heartbeat(0).ResponseKind().(*kmsg.HeartbeatResponse)
		c.receiveInto(int32(i), resp)
		if resp.ThrottleMillis != int32(i) {
			t.Fatalf("response %d carries %d", i, resp.ThrottleMillis)
		}
	}
}

func TestAWaitingFetchHoldsUpAnswersButNoDecision(t *testing.T) {
	w := newWaiting()
	decided := make(chan int32, 1)
	beat := Serve(0, 4, func(_ context.Context, q *kmsg.HeartbeatRequest, s *kmsg.HeartbeatResponse) error {
		decided <- q.Generation
		return nil
	})
	_, addr := startServer(t, Config{Table: NewTable(w.api(), beat)})
	c := dial(t, addr)
	c.send(fetch(11), heartbeat(5))
	<-w.begun
	if g := <-decided; g != 5 {
		t.Fatalf("decided %d", g)
	}
	close(w.open)
	c.receiveInto(0, fetch(11).ResponseKind())
	c.receiveInto(1, heartbeat(5).ResponseKind())
}

func TestAWaitEndsWhenThePeerCloses(t *testing.T) {
	w := newWaiting()
	s, addr := startServer(t, Config{Table: NewTable(w.api())})
	c := dial(t, addr)
	c.send(fetch(11), fetch(11))
	<-w.begun
	c.Close()
	if err := <-w.ended; !errors.Is(err, ErrPeerGone) {
		t.Errorf("the wait ended with %v", err)
	}
	eventually(t, func() bool { return s.Stats().Connections == 0 })
	if n := w.released.Load(); n != 2 {
		t.Errorf("%d of 2 requests released", n)
	}
	if len(w.begun) != 0 {
		t.Error("the second request waited though nobody reads its answer")
	}
}

func TestTheQueueBoundsWhatIsRead(t *testing.T) {
	w := newWaiting()
	s, addr := startServer(t, Config{Table: NewTable(w.api(), serveHeartbeats()), MaxInFlight: 4})
	c := dial(t, addr)
	c.send(fetch(11), heartbeat(1), heartbeat(2), heartbeat(3), heartbeat(4), heartbeat(5))
	<-w.begun
	eventually(t, func() bool { return s.Stats().Queued == 4 })
	if n := s.Stats().APIs[12].Requests; n != 3 {
		t.Errorf("%d heartbeats decided beside the fetch, want 3", n)
	}
	close(w.open)
	c.receiveInto(0, fetch(11).ResponseKind())
	for i := int32(1); i <= 5; i++ {
		c.receiveInto(i, heartbeat(0).ResponseKind())
	}
}

func TestNoResponseMeansNoBytes(t *testing.T) {
	var produced atomic.Int32
	produce := API{Key: 0, Min: 3, Max: 9, Handle: func(context.Context, *Request) Answer {
		produced.Add(1)
		return Answer{}
	}}
	_, addr := startServer(t, Config{Table: NewTable(produce, serveHeartbeats())})
	c := dial(t, addr)
	q := kmsg.NewPtrProduceRequest()
	q.Version = 9
	c.send(q, q)
	c.ask(heartbeat(1))
	if produced.Load() != 2 {
		t.Errorf("%d requests produced", produced.Load())
	}
}

func TestAWaitFillsTheResponse(t *testing.T) {
	api := ServeWait(0, 4, func(_ context.Context, _ *Request, q *kmsg.HeartbeatRequest, s *kmsg.HeartbeatResponse) (func(context.Context), error) {
		return func(context.Context) { s.ThrottleMillis = q.Generation }, nil
	})
	_, addr := startServer(t, Config{Table: NewTable(api)})
	if resp := dial(t, addr).ask(heartbeat(77)).(*kmsg.HeartbeatResponse); resp.ThrottleMillis != 77 {
		t.Errorf("%+v", resp)
	}
}

func TestCloseComesAfterTheResponse(t *testing.T) {
	api := API{Key: 12, Max: 4, Handle: func(_ context.Context, r *Request) Answer {
		return Answer{Response: r.Body.ResponseKind(), Close: true}
	}}
	_, addr := startServer(t, Config{Table: NewTable(api)})
	c := dial(t, addr)
	c.ask(heartbeat(1))
	c.wantClosed()
}

// eventually fails unless cond becomes true.
func eventually(t testing.TB, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if cond() {
			return
		}
	}
	t.Fatal("it never came true")
}
