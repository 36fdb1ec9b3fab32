package protocol

import (
	"reflect"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func FuzzDecode(f *testing.F) {
	eachVersion(func(key, version int16, req kmsg.Request) {
		f.Add(append(headerOf(key, version, req.IsFlexible()), req.AppendTo(nil)...))
		if version == req.MaxVersion() {
			fill(reflect.ValueOf(req).Elem(), true, 1, 1, 1)
			f.Add(append(headerOf(key, version, req.IsFlexible()), req.AppendTo(nil)...))
		}
	})
	c := loneConn(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < fixedHeader {
			return
		}
		r, err := decodeFrame(c, b)
		if c.srv.decoded.inUse() != 0 || c.smallMem.Load() != 0 || len(c.slots) != 0 {
			t.Fatal("something is still held")
		}
		if err != nil {
			return
		}
		// What was understood can be said again, and means the same.
		again := kmsg.RequestForKey(r.Key)
		again.SetVersion(r.Version)
		if err := again.ReadFrom(r.Body.AppendTo(nil)); err != nil {
			t.Fatalf("%s version %d is not read back: %v", r.Name(), r.Version, err)
		}
	})
}

func FuzzServe(f *testing.F) {
	f.Add(formatter.AppendRequest(nil, heartbeat(1), 1))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	s, addr := startServer(f, Config{Table: NewTable(echoAPIs()...)})
	f.Fuzz(func(t *testing.T, b []byte) {
		c := dial(t, addr)
		c.write(b)
		c.Close()
		if n := s.Stats().Panics; n != 0 {
			t.Fatalf("%d panics", n)
		}
	})
}
