package broker

import (
	"io"
	"math"
	"net"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestLimitsOfConnectionsChangeWhileTheBrokerRuns(t *testing.T) {
	b := startBroker(t, nil)
	from := func(ip string) error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
		nc, err := d.Dial("tcp", b.Addr().String())
		if err != nil {
			return err
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1)); err != nil {
			return err
		}
		_, err = io.ReadFull(nc, make([]byte, 8))
		return err
	}
	if err := from("127.0.0.2"); err != nil {
		t.Fatal(err)
	}
	if err := alter(t, b, kmsg.ConfigResourceTypeBroker, "", "max.connections.per.ip.overrides", kmsg.StringPtr("127.0.0.2:0,[::1]:5")); err != nil {
		t.Fatal(err)
	}
	if err := from("127.0.0.2"); err == nil {
		t.Error("an address without connections was served")
	}
	if err := from("127.0.0.3"); err != nil {
		t.Errorf("another address: %v", err)
	}
	if err := alter(t, b, kmsg.ConfigResourceTypeBroker, "", "max.connections.per.ip.overrides", nil); err != nil {
		t.Fatal(err)
	}
	if err := from("127.0.0.2"); err != nil {
		t.Errorf("after the limit was removed: %v", err)
	}
}

func TestDescriptorsAreShared(t *testing.T) {
	for n, want := range map[int][2]int{
		0:       {0, 0}, // no limit is known
		100:     {32, 16},
		1024:    {448, 224},
		20_000:  {20_000 - 128 - 2*4096, 4096},
		500_000: {500_000 - 128 - 2*4096, 4096},
	} {
		connections, segments := shareDescriptors(n)
		if got := [2]int{connections, segments}; got != want {
			t.Errorf("%d: %v, want %v", n, got, want)
		}
	}
}

func TestMemoryOfRequestsFitsTheLimit(t *testing.T) {
	for _, test := range []struct{ queued, limit, frames, decoded int64 }{
		{-1, math.MaxInt64, 32 << 20, 256 << 20},
		{-1, 128 << 20, 16 << 20, 32 << 20},
		{64 << 20, 128 << 20, 64 << 20, 32 << 20},
	} {
		if frames, decoded := requestBudgets(test.queued, test.limit); frames != test.frames || decoded != test.decoded {
			t.Errorf("%+v: %d, %d", test, frames, decoded)
		}
	}
}
