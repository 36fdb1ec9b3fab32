package protocol

import (
	"bytes"
	"net"
	"net/netip"
	"reflect"
	"runtime"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// loneConn returns a connection of a server that serves everything, to decode frames on.
func loneConn(t testing.TB) *Conn {
	s := NewServer(Config{Table: NewTable(echoAPIs()...)})
	s.cfg.Table.apis[0].Min = 3
	client, server := net.Pipe()
	t.Cleanup(func() { client.Close(); server.Close() })
	return newConn(s, 1, server, netip.Addr{})
}

// decodeFrame decodes a frame as the reader does, and gives everything back.
func decodeFrame(c *Conn, b []byte) (*Request, error) {
	h := parseFixedHeader(b)
	e := c.srv.cfg.Table.lookup(h.key, h.version)
	if e == nil {
		return nil, errUnsupported
	}
	r := &Request{Conn: c, Key: h.key, Version: h.version, Size: len(b), frame: &frame{b: b}}
	c.slots <- struct{}{}
	err := c.decode(r, e)
	c.free(r)
	return r, err
}

// eachVersion calls f for every API and version that kmsg has and the server may serve.
func eachVersion(f func(key, version int16, req kmsg.Request)) {
	for key := int16(0); key <= kmsg.MaxKey; key++ {
		if key == int16(kmsg.ControlledShutdown) || kmsg.RequestForKey(key) == nil {
			continue
		}
		for v := int16(0); v <= kmsg.RequestForKey(key).MaxVersion(); v++ {
			if key == int16(kmsg.Produce) && v < 3 {
				continue
			}
			req := kmsg.RequestForKey(key)
			req.SetVersion(v)
			f(key, v, req)
		}
	}
}

// fill gives every slice in v as many elements as counts says for its depth, and every struct
// a tagged field that nobody knows, if tagged.
func fill(v reflect.Value, tagged bool, counts ...int) {
	switch v.Kind() {
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 || len(counts) == 0 {
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), counts[0], counts[0]))
		for i := range v.Len() {
			fill(v.Index(i), tagged, counts[1:]...)
		}
	case reflect.Struct:
		if v.Type() == tagsType {
			if tagged {
				v.Addr().Interface().(*kmsg.Tags).Set(100, nil)
			}
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), tagged, counts...)
		}
	}
}

// costOf returns the bytes that f allocates.
func costOf(f func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// hostileBodies returns frames' bodies made to be expensive: honest ones of the smallest elements,
// and ones whose counts promise as much as the decoder believes.
func hostileBodies(req kmsg.Request) [][]byte {
	const many = 500
	var all [][]byte
	for _, tagged := range []bool{false, true} {
		for _, counts := range [][]int{{many}, {1, many}, {1, 1, many}, {20, 20}, {8, 8, 8}} {
			fill(reflect.ValueOf(req).Elem(), tagged, counts...)
			all = append(all, req.AppendTo(nil))
		}
	}
	for _, pattern := range [][]byte{{0}, {1}, {2}, {0x7f}, {0xff}, {0, 0, 0x10, 0}, {0, 0x40}, {0x80, 0x20}, {0xfe, 0xff, 3, 2}} {
		for shift := range 2 {
			all = append(all, append(make([]byte, shift), bytes.Repeat(pattern, 4<<10/len(pattern))...))
		}
	}
	return all
}

func TestDecodingStaysWithinItsWorstCase(t *testing.T) {
	c := loneConn(t)
	eachVersion(func(key, version int16, req kmsg.Request) {
		e := c.srv.cfg.Table.lookup(key, version)
		header := headerOf(key, version, req.IsFlexible())
		for i, body := range hostileBodies(req) {
			frame := append(header[:len(header):len(header)], body...)
			bound, err := e.worstCase(version, req.IsFlexible(), body)
			begin := time.Now()
			cost := costOf(func() { decodeFrame(c, frame) })
			if err != nil {
				bound = 0 // refused before it is decoded
			}
			if slack := int64(16 << 10); cost > allocationFactor*bound+slack {
				t.Errorf("%s version %d, body %d: %d bytes decode to %d, at most %d expected",
					kmsg.NameForKey(key), version, i, len(body), cost, bound)
			}
			if d := time.Since(begin); d > 5*time.Second {
				t.Errorf("%s version %d, body %d: took %v", kmsg.NameForKey(key), version, i, d)
			}
		}
	})
	if c.srv.decoded.inUse() != 0 || c.smallMem.Load() != 0 || len(c.slots) != 0 {
		t.Error("something is still held")
	}
}

func TestTruncatedRequestsAreRefused(t *testing.T) {
	c := loneConn(t)
	eachVersion(func(key, version int16, req kmsg.Request) {
		fill(reflect.ValueOf(req).Elem(), false, 2, 2, 2)
		frame := append(headerOf(key, version, req.IsFlexible()), req.AppendTo(nil)...)
		if _, err := decodeFrame(c, frame); err != nil {
			t.Errorf("%s version %d: %v", kmsg.NameForKey(key), version, err)
		}
		for n := fixedHeader; n < len(frame); n++ {
			if _, err := decodeFrame(c, frame[:n:n]); err == nil {
				t.Errorf("%s version %d: %d of %d bytes were enough", kmsg.NameForKey(key), version, n, len(frame))
				break
			}
		}
	})
}

func TestHostileFramesDisturbNobodyElse(t *testing.T) {
	s, addr := startServer(t, Config{Table: NewTable(echoAPIs()...)})
	other := dial(t, addr)
	sent := 0
	eachVersion(func(key, version int16, req kmsg.Request) {
		if version != req.MaxVersion() {
			return
		}
		// An array, string or number of tags, whatever is first, of four billion.
		body := append(bytes.Repeat([]byte{0xff}, 1024), 0x0f)
		c := dial(t, addr)
		c.write(frameOf(headerOf(key, version, req.IsFlexible()), body))
		c.Conn.(*net.TCPConn).CloseWrite()
		sent++
	})
	eventually(t, func() bool { return s.Stats().Accepted == int64(sent)+1 && s.Stats().Connections == 1 })
	other.ask(heartbeat(1))
	if st := s.Stats(); st.Panics != 0 || st.FrameBytes != 0 || st.DecodedBytes != 0 {
		t.Errorf("stats %+v", st)
	}
}
