package broker

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/broker/config"
)

// testBroker is a broker in this process, on a free port.
type testBroker struct {
	*Broker
	t   testing.TB
	cfg Config
}

func startBroker(t testing.TB, settings map[string]string) *testBroker {
	t.Helper()
	b := newTestBroker(t, settings)
	b.start()
	t.Cleanup(b.stop)
	return b
}

// newTestBroker is one that is not started yet.
func newTestBroker(t testing.TB, settings map[string]string) *testBroker {
	t.Helper()
	b := &testBroker{t: t, cfg: Config{NodeID: 1, DataDir: t.TempDir(), Listen: "127.0.0.1:0", Logger: slog.New(slog.DiscardHandler)}}
	if os.Getenv("BROKER_TEST_LOG") != "" {
		b.cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	all := map[string]string{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4"}
	for k, v := range settings {
		all[k] = v
	}
	var err error
	if b.cfg.Settings, err = config.NewValues(all); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *testBroker) start() {
	b.t.Helper()
	var err error
	if b.Broker, err = Open(b.t.Context(), b.cfg); err != nil {
		b.t.Fatal(err)
	}
	b.cfg.Listen = b.Addr().String() // a client finds it there again after a restart
}

func (b *testBroker) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.Close(ctx); err != nil {
		b.t.Error(err)
	}
}

func (b *testBroker) restart() {
	b.t.Helper()
	b.stop()
	b.start()
}

func (b *testBroker) client(opts ...kgo.Opt) *kgo.Client {
	b.t.Helper()
	// The first fetch may go out before all partitions are known: the others wait for its end.
	own := []kgo.Opt{kgo.WithContext(b.t.Context()), kgo.SeedBrokers(b.Addr().String()), kgo.FetchMaxWait(100 * time.Millisecond)}
	c, err := kgo.NewClient(append(own, opts...)...)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(c.Close)
	return c
}

func (b *testBroker) admin() *kadm.Client { return kadm.NewClient(b.client()) }

// topic makes a topic.
func (b *testBroker) topic(name string, partitions int32, configs map[string]*string) {
	b.t.Helper()
	r, err := b.admin().CreateTopic(b.t.Context(), partitions, 1, configs, name)
	if err != nil {
		b.t.Fatalf("%v (%s)", err, r.ErrMessage)
	}
}

// request sends a raw request and returns its response.
func request[R kmsg.Response](b *testBroker, c *kgo.Client, q kmsg.Request) R {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 10*time.Second)
	defer cancel()
	resp, err := c.Broker(1).Request(ctx, q)
	if err != nil {
		b.t.Fatalf("%s: %v", kmsg.NameForKey(q.Key()), err)
	}
	return resp.(R)
}

// raw sends a request in exactly its own version over a connection of its own.
func raw[R kmsg.Response](b *testBroker, q kmsg.Request) R {
	b.t.Helper()
	nc, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		b.t.Fatal(err)
	}
	defer nc.Close()
	resp, err := exchange[R](nc, q)
	if err != nil {
		b.t.Fatalf("%s: %v", kmsg.NameForKey(q.Key()), err)
	}
	return resp
}

// exchange sends a request in exactly its own version over a connection.
func exchange[R kmsg.Response](nc net.Conn, q kmsg.Request) (none R, _ error) {
	nc.SetDeadline(time.Now().Add(time.Minute)) // not a limit to keep, but an end
	if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)); err != nil {
		return none, err
	}
	var size [4]byte
	if _, err := io.ReadFull(nc, size[:]); err != nil {
		return none, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(nc, body); err != nil {
		return none, err
	}
	resp := q.ResponseKind()
	body = body[4:]
	if resp.IsFlexible() && q.Key() != 18 {
		body = body[1:]
	}
	if err := resp.ReadFrom(body); err != nil {
		return none, err
	}
	return resp.(R), nil
}

func ptr[T any](v T) *T { return &v }
