package integration

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/brokertest"
)

// readKeys reads partition 0 of a topic from its beginning up to an offset, and returns the last
// value of each key, and how many records there were.
func readKeys(t *testing.T, b *brokertest.Broker, topic string, to int64) (last map[string]string, records int) {
	t.Helper()
	c := client(t, b, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {0: kgo.NewOffset().AtStart()}}))
	last = map[string]string{}
	for next := int64(0); next < to; {
		f := c.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset < next {
				t.Fatalf("%s: offset %d after %d", topic, r.Offset, next-1)
			}
			next = r.Offset + 1
			records++
			if last[string(r.Key)] = string(r.Value); r.Value == nil {
				delete(last, string(r.Key))
			}
		})
	}
	return last, records
}

// A compacted topic shrinks while the broker runs and keeps the last record of each key, also after
// a kill; deleted keys leave no trace once their time is over.
func TestCompactionWhileRunning(t *testing.T) {
	b := brokertest.Start(t, "--set", "log.cleaner.backoff.ms=100")
	const topic = "changes"
	createTopic(t, b, topic, 1, map[string]*string{
		"cleanup.policy": ptr("compact"), "segment.bytes": ptr("1048576"), "min.cleanable.dirty.ratio": ptr("0.01"), "delete.retention.ms": ptr("500"),
	})
	p := client(t, b, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.NoCompression()))
	want := map[string]string{}
	written := 0
	write := func(records int) {
		t.Helper()
		var rs []*kgo.Record
		for range records {
			r := &kgo.Record{Key: fmt.Append(nil, "key", written*31%500), Value: fmt.Append(nil, written, string(make([]byte, 1000)))}
			if want[string(r.Key)] = string(r.Value); written%9 == 0 {
				r.Value = nil
				delete(want, string(r.Key))
			}
			rs = append(rs, r)
			written++
		}
		if err := p.ProduceSync(t.Context(), rs...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	check := func(limit int) {
		t.Helper()
		for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
			got, n := readKeys(t, b, topic, int64(written))
			if !maps.Equal(got, want) {
				t.Fatalf("%d keys, want %d, or other values", len(got), len(want))
			}
			if n < limit {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("still %d records of %d", n, written)
			}
		}
	}
	for range 4 {
		write(3000)
		check(3000) // 500 of the compacted segments, and those of the last one
	}
	b.Kill()
	b.Restart()
	check(3000)
	write(3000)
	check(3000)

	err := p.ProduceSync(t.Context(), &kgo.Record{Value: []byte("no key")}).FirstErr()
	if !errors.Is(err, kerr.InvalidRecord) {
		t.Errorf("a record without a key: %v", err)
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt := kmsg.NewDeleteRecordsRequestTopic()
	rt.Topic = topic
	rt.Partitions = append(rt.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: 0, Offset: 5})
	req.Topics = append(req.Topics, rt)
	resp, err := req.RequestWith(t.Context(), p)
	if err != nil || resp.Topics[0].Partitions[0].ErrorCode != kerr.PolicyViolation.Code {
		t.Errorf("DeleteRecords of a compacted topic: %+v, %v", resp, err)
	}
}
