package protocol

import (
	"context"
	"encoding/binary"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// versionTable serves ApiVersions, Produce and Heartbeat.
func versionTable(f Features, seen chan<- *Conn) *Table {
	t := new(Table)
	t.Add(ServeRequest(0, 4, func(_ context.Context, r *Request, q *kmsg.ApiVersionsRequest, s *kmsg.ApiVersionsResponse) error {
		t.ApiVersions(q, s, f)
		if seen != nil {
			seen <- r.Conn
		}
		return nil
	}))
	t.Add(API{Key: 0, Min: 3, Max: 11, AdvertiseZero: true, Handle: func(context.Context, *Request) Answer { return Answer{} }})
	t.Add(serveHeartbeats())
	return t
}

func TestApiVersionsTellsTheTable(t *testing.T) {
	_, addr := startServer(t, Config{Table: versionTable(Features{}, nil)})
	for v := int16(0); v <= 4; v++ {
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = v, "lib", "1.2"
		resp := dial(t, addr).ask(q).(*kmsg.ApiVersionsResponse)
		want := []kmsg.ApiVersionsResponseApiKey{{ApiKey: 0, MaxVersion: 11}, {ApiKey: 12, MaxVersion: 4}, {ApiKey: 18, MaxVersion: 4}}
		if resp.ErrorCode != 0 || len(resp.ApiKeys) != len(want) {
			t.Fatalf("version %d: %+v", v, resp)
		}
		for i, k := range resp.ApiKeys {
			if k.ApiKey != want[i].ApiKey || k.MinVersion != want[i].MinVersion || k.MaxVersion != want[i].MaxVersion {
				t.Errorf("version %d: key %+v, want %+v", v, k, want[i])
			}
		}
	}
}

func TestAnUnknownApiVersionsVersionIsAnsweredInVersionZero(t *testing.T) {
	_, addr := startServer(t, Config{Table: versionTable(Features{}, nil)})
	c := dial(t, addr)
	// A later version may have any body.
	c.write(frameOf(headerOf(18, 99, true), []byte("whatever it may be")))
	id, b := c.receive()
	if id != 9 {
		t.Fatalf("correlation id %d", id)
	}
	// Error 35, one key: 18, from 0 to 4. Nothing else: neither header tags nor throttle time.
	want := []byte{0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4}
	if string(b) != string(want) {
		t.Fatalf("body % x, want % x", b, want)
	}
	// The client goes on with what it learned, on the same connection.
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 4, "lib", "1"
	if resp := c.ask(q).(*kmsg.ApiVersionsResponse); len(resp.ApiKeys) != 3 {
		t.Fatalf("then: %+v", resp)
	}
}

func TestTheApiVersionsResponseHeaderHasNoTags(t *testing.T) {
	_, addr := startServer(t, Config{Table: versionTable(Features{}, nil)})
	c := dial(t, addr)
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, "lib", "1"
	c.send(q)
	if _, b := c.receive(); binary.BigEndian.Uint16(b) != 0 || b[2] != 4 { // error, keys + 1
		t.Fatalf("body % x", b)
	}
}

func TestTheClientsSoftwareIsKept(t *testing.T) {
	seen := make(chan *Conn, 1)
	_, addr := startServer(t, Config{Table: versionTable(Features{}, seen)})
	q := kmsg.NewPtrApiVersionsRequest()
	q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, "librdkafka", "2.15.0"
	dial(t, addr).ask(q)
	if name, version := (<-seen).ClientSoftware(); name != "librdkafka" || version != "2.15.0" {
		t.Errorf("%q %q", name, version)
	}
	q.Version = 2
	dial(t, addr).ask(q)
	if name, version := (<-seen).ClientSoftware(); name != "" || version != "" {
		t.Errorf("%q %q", name, version)
	}
}

func TestAnImproperSoftwareNameIsAnInvalidRequest(t *testing.T) {
	for _, name := range []string{"", "-lib", "lib-", "li b", "lib\n", "löb"} {
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = 3, name, "1"
		var resp kmsg.ApiVersionsResponse
		versionTable(Features{}, nil).ApiVersions(q, &resp, Features{})
		if resp.ErrorCode != errInvalidRequest || len(resp.ApiKeys) > 0 {
			t.Errorf("%q: %+v", name, resp)
		}
	}
}

func TestFeaturesFromLevelZeroAreHiddenFromOlderClients(t *testing.T) {
	f := Features{
		Supported: []kmsg.ApiVersionsResponseSupportedFeature{
			{Name: "group.version", MinVersion: 0, MaxVersion: 1}, {Name: "metadata.version", MinVersion: 7, MaxVersion: 28}},
		Finalized:      []kmsg.ApiVersionsResponseFinalizedFeature{{Name: "group.version", MinVersionLevel: 1, MaxVersionLevel: 1}},
		FinalizedEpoch: 42,
	}
	_, addr := startServer(t, Config{Table: versionTable(f, nil)})
	for version, want := range map[int16]int{3: 1, 4: 2} {
		q := kmsg.NewPtrApiVersionsRequest()
		q.Version, q.ClientSoftwareName, q.ClientSoftwareVersion = version, "lib", "1"
		resp := dial(t, addr).ask(q).(*kmsg.ApiVersionsResponse)
		if len(resp.SupportedFeatures) != want || len(resp.FinalizedFeatures) != 1 || resp.FinalizedFeaturesEpoch != 42 {
			t.Errorf("version %d: %+v", version, resp)
		}
	}
}

func TestTheTableIsAlsoItsDocumentation(t *testing.T) {
	got := versionTable(Features{}, nil).Markdown()
	for _, row := range []string{"| 0 | Produce | 3–11 | 0–11 |\n", "| 12 | Heartbeat | 0–4 | 0–4 |\n", "| 18 | ApiVersions | 0–4 | 0–4 |\n"} {
		if !strings.Contains(got, row) {
			t.Errorf("no row %q in\n%s", row, got)
		}
	}
}

func TestTheTableRefusesWhatCannotBeServed(t *testing.T) {
	handle := func(context.Context, *Request) Answer { return Answer{} }
	for name, api := range map[string]API{
		"unknown key":     {Key: 4242, Handle: handle},
		"negative key":    {Key: -1, Handle: handle},
		"twice":           {Key: 12, Max: 1, Handle: handle},
		"no handler":      {Key: 11, Max: 1},
		"version too new": {Key: 11, Max: 99, Handle: handle},
		"empty range":     {Key: 11, Min: 2, Max: 1, Handle: handle},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("registered")
				}
			}()
			NewTable(API{Key: 12, Max: 4, Handle: handle}, api)
		})
	}
}

func TestLookupKnowsServedVersionsOnly(t *testing.T) {
	table := versionTable(Features{}, nil)
	for _, tt := range []struct {
		key, version int16
		want         bool
	}{{0, 2, false}, {0, 3, true}, {0, 11, true}, {0, 12, false}, {12, 0, true}, {13, 0, false}, {-1, 0, false}, {999, 0, false}} {
		if _, ok := table.Lookup(tt.key, tt.version); ok != tt.want {
			t.Errorf("key %d version %d: %v", tt.key, tt.version, ok)
		}
	}
}
