package integration

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

// begins waits until partition 0 of the topic begins beyond the offset, and returns where.
func begins(t *testing.T, b *brokertest.Broker, topic string, beyond int64) int64 {
	t.Helper()
	admin := kadm.NewClient(client(t, b))
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		offsets, err := admin.ListStartOffsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := offsets.Lookup(topic, 0); o.Offset > beyond {
			return o.Offset
		}
	}
	t.Fatalf("after 20 seconds %s still begins at %d or before", topic, beyond)
	return 0
}

// Old segments go while the broker runs, by age in one topic and by size in another, and in a third, which holds the
// same, nothing does. What is left is whole, and stays where it was after a kill.
func TestRetentionByTimeAndBySizeWhileRunning(t *testing.T) {
	b := brokertest.Start(t, "--set", "log.retention.check.interval.ms=100")
	const (
		size    = 900_000
		records = 90 // more than a checkpoint's worth, as retention keeps what a restart would read
	)
	topics := map[string]map[string]*string{
		"by-time": {"retention.ms": ptr("1000")},
		"by-size": {"retention.bytes": ptr("36000000"), "retention.ms": ptr("-1")},
		"kept":    {},
	}
	for name, configs := range topics {
		configs["segment.bytes"] = ptr("4194304")
		createTopic(t, b, name, 1, configs)
		p := client(t, b, kgo.DefaultProduceTopic(name), kgo.ProducerBatchCompression(kgo.NoCompression()))
		value := make([]byte, size)
		for range records {
			if err := p.ProduceSync(t.Context(), kgo.SliceRecord(value)).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	// 36 MB are 40 records, and a segment holds four more.
	first := map[string]int64{"by-time": begins(t, b, "by-time", 0), "by-size": begins(t, b, "by-size", records-45)}
	if left := records - first["by-size"]; left < 40 {
		t.Errorf("by-size holds %d records; 40 were to be kept", left)
	}
	b.Kill()
	b.Restart()
	for name := range topics {
		from := begins(t, b, name, first[name]-1)
		if name != "by-time" && from != first[name] {
			t.Errorf("%s begins at %d; before the kill at %d", name, from, first[name])
		}
		if name != "by-time" { // which goes on losing its oldest records
			readOn(t, b, name, from, records)
		}
		if err := client(t, b, kgo.DefaultProduceTopic(name)).ProduceSync(t.Context(), kgo.StringRecord("new")).FirstErr(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// readOn reads partition 0 of a topic from an offset on, up to another, and checks that none is left out.
func readOn(t *testing.T, b *brokertest.Broker, topic string, from, to int64) {
	t.Helper()
	c := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().At(from)}}))
	for next := from; next < to; {
		f := c.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset != next {
				t.Fatalf("%s: offset %d where %d was expected", topic, r.Offset, next)
			}
			next++
		})
	}
}
