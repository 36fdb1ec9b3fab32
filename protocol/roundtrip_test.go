package protocol

import (
	"context"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestEveryAPIAndVersionRoundTrips(t *testing.T) {
	s, addr := startServer(t, Config{Table: NewTable(echoAPIs()...)})
	c := dial(t, addr)
	n := 0
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		req := kmsg.RequestForKey(key)
		if req == nil || key == int16(kmsg.ControlledShutdown) {
			continue // version 0 has a header of its own, and brokers alone used it
		}
		for v := int16(0); v <= req.MaxVersion(); v++ {
			if key == int16(kmsg.Produce) && v < 3 {
				continue
			}
			req.SetVersion(v)
			if resp := c.ask(req); resp.GetVersion() != v || resp.Key() != key {
				t.Fatalf("%s %d answered by %s %d", kmsg.NameForKey(key), v, kmsg.NameForKey(resp.Key()), resp.GetVersion())
			}
			n++
		}
	}
	if n < 200 || s.Stats().BadFrames > 0 {
		t.Fatalf("%d requests answered, stats %+v", n, s.Stats())
	}
}

func TestAHandlerSeesTheRequestsHeader(t *testing.T) {
	got := make(chan *Request, 1)
	api := ServeRequest(0, 4, func(_ context.Context, r *Request, q *kmsg.HeartbeatRequest, s *kmsg.HeartbeatResponse) error {
		got <- r
		s.ThrottleMillis = q.Generation
		return nil
	})
	_, addr := startServer(t, Config{Table: NewTable(api)})
	for version := int16(0); version <= 4; version++ {
		c := dial(t, addr)
		q := heartbeat(7)
		q.Version = version
		resp := c.ask(q).(*kmsg.HeartbeatResponse)
		r := <-got
		if r.Key != 12 || r.Version != version || r.ClientID == nil || *r.ClientID != "tester" || r.Name() != "Heartbeat" {
			t.Errorf("version %d: the handler saw %+v", version, r)
		}
		if r.Conn.RemoteAddr().String() != c.LocalAddr().String() || r.Conn.LocalAddr().String() != addr {
			t.Errorf("addresses %v → %v", r.Conn.RemoteAddr(), r.Conn.LocalAddr())
		}
		if version >= 1 && resp.ThrottleMillis != 7 {
			t.Errorf("version %d: response %+v", version, resp)
		}
	}
}
