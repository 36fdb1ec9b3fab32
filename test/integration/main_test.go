// Package integration tests brokerd as a process of its own, with real clients, real ports and
// real signals.
package integration

import (
	"context"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

func TestMain(m *testing.M) { brokertest.Main(m) }

// quick makes a client find a restarted broker again at once.
func quick() []kgo.Opt {
	return []kgo.Opt{
		kgo.RetryBackoffFn(func(int) time.Duration { return 10 * time.Millisecond }),
		kgo.MetadataMinAge(10 * time.Millisecond),
		kgo.RequestTimeoutOverhead(3 * time.Second),
		kgo.RecordDeliveryTimeout(time.Minute),
		kgo.RecordRetries(1 << 30),
	}
}

func client(t testing.TB, b *brokertest.Broker, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	c, err := kgo.NewClient(append(append(quick(), kgo.SeedBrokers(b.Addr), kgo.WithContext(t.Context())), opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func createTopic(t testing.TB, b *brokertest.Broker, name string, partitions int32, configs map[string]*string) {
	t.Helper()
	r, err := kadm.NewClient(client(t, b)).CreateTopic(t.Context(), partitions, 1, configs, name)
	if err != nil {
		t.Fatalf("create %s: %v %s", name, err, r.ErrMessage)
	}
}

func deleteTopic(t testing.TB, b *brokertest.Broker, name string) {
	t.Helper()
	if r, err := kadm.NewClient(client(t, b)).DeleteTopic(t.Context(), name); err != nil || r.Err != nil {
		t.Fatalf("delete %s: %v %v", name, err, r.Err)
	}
}

// readAll reads every record of a topic up to its end, by partition.
func readAll(t testing.TB, b *brokertest.Broker, topic string) map[int32][]*kgo.Record {
	t.Helper()
	return readAllWith(t, func(opts ...kgo.Opt) *kgo.Client { return client(t, b, opts...) }, topic)
}

func readAllWith(t testing.TB, connect func(...kgo.Opt) *kgo.Client, topic string) map[int32][]*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ends, err := kadm.NewClient(connect()).ListEndOffsets(ctx, topic)
	if err != nil {
		t.Fatal(err)
	}
	var want int64
	ends.Each(func(o kadm.ListedOffset) { want += o.Offset })
	got := map[int32][]*kgo.Record{}
	if want == 0 {
		return got
	}
	c := connect(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for n := int64(0); n < want; {
		f := c.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			t.Fatalf("after %d of %d records: %v", n, want, err)
		}
		f.EachRecord(func(r *kgo.Record) {
			got[r.Partition] = append(got[r.Partition], r)
			n++
		})
	}
	return got
}
