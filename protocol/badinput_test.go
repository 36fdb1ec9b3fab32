package protocol

import (
	"bytes"
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// frameOf returns a frame with its length prefix.
func frameOf(parts ...[]byte) []byte {
	body := bytes.Join(parts, nil)
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

// headerOf returns a request header, flexible or not, with a null client id.
func headerOf(key, version int16, flexible bool) []byte {
	b := binary.BigEndian.AppendUint16(nil, uint16(key))
	b = binary.BigEndian.AppendUint16(b, uint16(version))
	b = append(b, 0, 0, 0, 9, 0xff, 0xff)
	if flexible {
		b = append(b, 0)
	}
	return b
}

func TestBadFramesCloseTheirConnectionAlone(t *testing.T) {
	huge := []byte{0x7f, 0xff, 0xff, 0xff}
	for _, tt := range []struct {
		name  string
		bytes []byte
		log   string // what the log line must say
	}{
		{"a negative length", []byte{0xff, 0xff, 0xff, 0xff}, "length of -1"},
		{"a length beyond the limit", huge, "length of 2147483647"},
		{"a length below a header's", []byte{0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}, "length of 7"},
		{"TLS", []byte("\x16\x03\x01\x02\x00\x01\x00"), "TLS"},
		{"HTTP", []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "HTTP"},
		{"SSH", []byte("SSH-2.0-OpenSSH_9.9\r\n"), "SSH"},
		{"an unknown key", frameOf(headerOf(999, 0, false)), "key 999"},
		{"a negative key", frameOf(headerOf(-1, 0, false)), "key -1"},
		{"a version above the served", frameOf(headerOf(12, 5, true)), "key 12 version 5"},
		{"a version below the served", frameOf(headerOf(0, 2, false)), "key 0 version 2"},
		{"a negative version", frameOf(headerOf(12, -1, false)), "key 12 version -1"},
		{"an API's larger frame", append([]byte{0, 0x80, 0, 1}, headerOf(12, 4, true)...), "Heartbeat of 8388609 bytes"},
		{"a client id beyond the frame", frameOf([]byte{0, 12, 0, 0, 0, 0, 0, 1, 0x7f, 0xff}), "request header"},
		{"a client id of negative length", frameOf([]byte{0, 12, 0, 0, 0, 0, 0, 1, 0xff, 0xfe}), "request header"},
		{"too many header tags", frameOf(headerOf(12, 4, false), []byte{0xff, 0xff, 3}, make([]byte, 40_000)), "request header"},
		{"no body", frameOf(headerOf(12, 0, false)), "Heartbeat version 0"},
		{"a string beyond the frame", frameOf(headerOf(12, 0, false), []byte{0x7f, 0xff, 'g'}), "Heartbeat"},
		{"an array beyond the frame", frameOf(headerOf(3, 1, false), huge), "Metadata"},
		{"a compact array beyond the frame", frameOf(headerOf(3, 9, true), []byte{0xff, 0xff, 0xff, 0xff, 0xf}), "Metadata"},
		{"produce: topics beyond the frame", frameOf(headerOf(0, 3, false), []byte{0xff, 0xff, 0, 1, 0, 0, 0, 0}, huge), "Produce"},
		{"produce: records beyond the frame", frameOf(headerOf(0, 3, false),
			[]byte{0xff, 0xff, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1, 0, 0, 0, 0}, huge), "Produce"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			lines, logger := newLogLines()
			apis := echoAPIs()
			apis[0].Min = 3
			apis[12].Max = 4
			s, addr := startServer(t, Config{Table: NewTable(apis...), Logger: logger})
			other := dial(t, addr)
			other.ask(heartbeat(1))
			c := dial(t, addr)
			c.write(tt.bytes)
			c.wantClosed()
			other.ask(heartbeat(2))
			if n := s.Stats().BadFrames; n != 1 {
				t.Errorf("%d bad frames counted", n)
			}
			log := strings.Join(lines.all(), "")
			if !strings.Contains(log, tt.log) || !strings.Contains(log, c.LocalAddr().String()) {
				t.Errorf("log lacks %q or the address:\n%s", tt.log, log)
			}
		})
	}
}

func TestBadFramesAreLoggedOnceASecond(t *testing.T) {
	lines, logger := newLogLines()
	s, addr := startServer(t, Config{Table: NewTable(echoAPIs()...), Logger: logger})
	for range 50 {
		c := dial(t, addr)
		c.write([]byte{0xff, 0xff, 0xff, 0xff})
		c.wantClosed()
	}
	if n := s.Stats().BadFrames; n != 50 {
		t.Errorf("%d bad frames counted", n)
	}
	if n := len(lines.all()); n < 1 || n > 10 {
		t.Errorf("%d log lines", n)
	}
}

func TestRequestsBeforeABadFrameAreAnswered(t *testing.T) {
	_, addr := startServer(t, Config{Table: NewTable(echoAPIs()...)})
	c := dial(t, addr)
	b := formatter.AppendRequest(nil, heartbeat(1), 0)
	c.write(append(b, 0xff, 0xff, 0xff, 0xff))
	c.receiveInto(0, heartbeat(1).ResponseKind())
	c.wantClosed()
}

func TestTooManyElementsAreRefused(t *testing.T) {
	s, addr := startServer(t, Config{Table: NewTable(echoAPIs()...)})
	for n, refused := range map[int]bool{maxElements: false, maxElements + 1: true} {
		before := s.Stats().BadFrames
		// Metadata 9 for n topics: each an empty name and no tagged fields.
		body := binary.AppendUvarint(nil, uint64(n)+1)
		body = append(body, bytes.Repeat([]byte{1, 0}, n)...)
		body = append(body, 0, 0, 0, 0)
		c := dial(t, addr)
		c.write(frameOf(headerOf(3, 9, true), body))
		if refused {
			c.wantClosed()
		} else {
			c.receiveInto(9, &kmsg.MetadataResponse{Version: 9})
		}
		if (s.Stats().BadFrames > before) != refused {
			t.Errorf("%d elements: %+v", n, s.Stats())
		}
	}
}

func TestTooManyTaggedFieldsAreRefused(t *testing.T) {
	for _, tt := range []struct {
		name string
		req  kmsg.Request
	}{
		{"tags", func() kmsg.Request {
			r := kmsg.NewPtrMetadataRequest()
			r.Version = 9
			for i := range uint32(maxTags + 1) {
				r.UnknownTags.Set(i, nil)
			}
			return r
		}()},
		{"produce tags", func() kmsg.Request {
			r := kmsg.NewPtrProduceRequest()
			r.Version = 9
			for i := range uint32(maxTags + 1) {
				r.UnknownTags.Set(i, nil)
			}
			return r
		}()},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, addr := startServer(t, Config{Table: NewTable(echoAPIs()...)})
			c := dial(t, addr)
			c.send(tt.req)
			c.wantClosed()
			if st := s.Stats(); st.BadFrames != 1 || len(st.APIs) != 0 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestAPanicClosesItsConnectionAlone(t *testing.T) {
	boom := func(context.Context) { panic("boom") }
	for name, api := range map[string]API{
		"handle": {Key: 12, Max: 4, Handle: func(context.Context, *Request) Answer { panic("boom") }},
		"wait":   {Key: 12, Max: 4, Handle: func(context.Context, *Request) Answer { return Answer{Wait: boom} }},
		"encode": {Key: 12, Max: 4, Handle: func(context.Context, *Request) Answer {
			return Answer{Response: (*kmsg.HeartbeatResponse)(nil)}
		}},
		"release": {Key: 12, Max: 4, Handle: func(ctx context.Context, _ *Request) Answer {
			return Answer{Release: func() { panic("boom") }}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			lines, logger := newLogLines()
			versions := ServeRequest(0, 3, func(_ context.Context, _ *Request, _ *kmsg.ApiVersionsRequest, _ *kmsg.ApiVersionsResponse) error {
				return nil
			})
			s, addr := startServer(t, Config{Table: NewTable(api, versions), Logger: logger})
			other := dial(t, addr)
			c := dial(t, addr)
			c.send(heartbeat(1))
			c.wantClosed()
			other.ask(kmsg.NewPtrApiVersionsRequest())
			log := strings.Join(lines.all(), "")
			if !strings.Contains(log, "api=Heartbeat") || !strings.Contains(log, "badinput_test.go") && name != "encode" {
				t.Errorf("log:\n%s", log)
			}
			if st := s.Stats(); st.Panics != 1 || st.APIs[12].Errors != 1 {
				t.Errorf("stats %+v", st)
			}
		})
	}
}

func TestAHandlersErrorClosesItsConnection(t *testing.T) {
	lines, logger := newLogLines()
	api := Serve(0, 4, func(context.Context, *kmsg.HeartbeatRequest, *kmsg.HeartbeatResponse) error {
		return context.DeadlineExceeded
	})
	s, addr := startServer(t, Config{Table: NewTable(api), Logger: logger})
	c := dial(t, addr)
	c.send(heartbeat(1))
	c.wantClosed()
	if log := strings.Join(lines.all(), ""); !strings.Contains(log, "Heartbeat") || s.Stats().APIs[12].Errors != 1 {
		t.Errorf("stats %+v, log:\n%s", s.Stats(), log)
	}
}
