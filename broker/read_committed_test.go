package broker

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/record"
)

// finish ends a transaction that no coordinator knows of.
func (b *testBroker) finish(topic string, partition int32, m record.Marker) {
	b.t.Helper()
	a := b.partition(topic, partition).EndTransaction(m, 2)
	<-a.Done()
	if _, err := a.Result(); err != nil {
		b.t.Fatal(err)
	}
}

func TestReadersOfCommittedTransactionsStopAtTheFirstOneThatIsOpen(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	b.write("t", "plain")
	b.begin("t", 0, transactionalBatch(1, 0, 0, "aborted"))
	b.begin("t", 0, transactionalBatch(2, 0, 0, "committed"))
	b.begin("t", 0, transactionalBatch(3, 0, 0, "open"))
	b.finish("t", 0, record.Marker{ProducerID: 1, ProducerEpoch: 1})
	b.finish("t", 0, record.Marker{ProducerID: 2, ProducerEpoch: 1, Commit: true})
	q := fetch11("t")
	q.IsolationLevel = 1
	p := b.fetched(q)
	if p.HighWatermark != 6 || p.LastStableOffset != 3 || p.LogStartOffset != 0 {
		t.Errorf("high watermark %d, last stable offset %d", p.HighWatermark, p.LastStableOffset)
	}
	if got := offsetsOf(t, p.RecordBatches); !slices.Equal(got, []int64{0, 1, 2}) {
		t.Errorf("offsets %v", got)
	}
	if a := p.AbortedTransactions; len(a) != 1 || a[0].ProducerID != 1 || a[0].FirstOffset != 1 {
		t.Errorf("aborted %+v", a)
	}
	q.IsolationLevel = 0
	p = b.fetched(q)
	if got := offsetsOf(t, p.RecordBatches); len(got) != 6 || p.AbortedTransactions != nil || p.LastStableOffset != 3 {
		t.Errorf("read uncommitted: offsets %v, aborted %v, last stable offset %d", got, p.AbortedTransactions, p.LastStableOffset)
	}
	// From the last stable offset on it waits, until the transaction has ended.
	q.IsolationLevel, q.MaxWaitMillis = 1, 20_000
	q.Topics[0].Partitions[0].FetchOffset = 3
	got := make(chan kmsg.FetchResponseTopicPartition, 1)
	go func() { got <- b.fetched(q) }()
	b.write("t", "more, which is not stable")
	select {
	case p := <-got:
		t.Fatalf("answered with %d bytes up to %d", len(p.RecordBatches), p.LastStableOffset)
	case <-time.After(50 * time.Millisecond):
	}
	b.finish("t", 0, record.Marker{ProducerID: 3, ProducerEpoch: 1})
	select {
	case p = <-got:
	case <-time.After(10 * time.Second):
		t.Fatal("the end of the transaction did not wake the waiting fetch")
	}
	if got := offsetsOf(t, p.RecordBatches); !slices.Equal(got, []int64{3, 4, 5, 6, 7}) {
		t.Errorf("offsets %v", got)
	}
	// The markers of the others are in the answer too, but none of their records.
	if a := p.AbortedTransactions; len(a) != 2 || a[0].ProducerID != 1 || a[1].ProducerID != 3 {
		t.Errorf("aborted %+v", a)
	}
}

func offsetsOf(t *testing.T, batches []byte) (out []int64) {
	t.Helper()
	for len(batches) > 0 {
		b, rest, err := record.Split(batches)
		if err != nil {
			t.Fatal(err)
		}
		for o := b.BaseOffset(); o < b.NextOffset(); o++ {
			out = append(out, o)
		}
		batches = rest
	}
	return out
}

func TestListOffsetsByIsolationLevel(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	for _, ts := range []int64{1000, 2000} {
		if r := b.produced(produceRequest("t", batchAt(time.Now().UnixMilli()-100_000+ts, "v"))); r.ErrorCode != 0 {
			t.Fatal(kerr.ErrorForCode(r.ErrorCode))
		}
	}
	newest := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: 1}, Transactional: true})
	now := time.Now().UnixMilli()
	newest.Add(record.Record{Timestamp: now})
	b.begin("t", 0, newest.Build())
	ask := func(level int8, ts int64) int64 {
		t.Helper()
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version, q.IsolationLevel = 7, level
		topic := kmsg.NewListOffsetsRequestTopic()
		topic.Topic = "t"
		p := kmsg.NewListOffsetsRequestTopicPartition()
		p.Timestamp, p.CurrentLeaderEpoch = ts, -1
		topic.Partitions = append(topic.Partitions, p)
		q.Topics = append(q.Topics, topic)
		out := raw[*kmsg.ListOffsetsResponse](b, q).Topics[0].Partitions[0]
		if out.ErrorCode != 0 {
			t.Fatal(kerr.ErrorForCode(out.ErrorCode))
		}
		return out.Offset
	}
	for _, c := range []struct {
		name                   string
		ts                     int64
		uncommitted, committed int64
	}{
		{"latest", latest, 3, 2}, {"earliest", earliest, 0, 0}, {"the newest record", maxTimestamp, 2, -1},
		{"a time before all", 1, 0, 0}, {"a time that only the open transaction has", now, 2, -1},
	} {
		if got := ask(0, c.ts); got != c.uncommitted {
			t.Errorf("%s, uncommitted: %d", c.name, got)
		}
		if got := ask(1, c.ts); got != c.committed {
			t.Errorf("%s, committed: %d", c.name, got)
		}
	}
	b.finish("t", 0, record.Marker{ProducerID: 1, ProducerEpoch: 1, Commit: true})
	if got := ask(1, latest); got != 4 {
		t.Errorf("latest after the commit: %d", got)
	}
	if got := ask(1, now); got != 2 {
		t.Errorf("the transaction's record after the commit: %d", got)
	}
}

func TestAClientReadsCommittedRecordsOnly(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, map[string]*string{"segment.bytes": ptr("1048576")})
	var want []string
	for i := range 100 {
		id, value := int64(1+i%7), fmt.Sprint(i)
		b.begin("t", 0, transactionalBatch(id, int16(i/7), 0, value, value+"b"))
		b.finish("t", 0, record.Marker{ProducerID: id, ProducerEpoch: int16(i/7) + 1, Commit: i%3 == 0})
		if i%3 == 0 {
			want = append(want, value, value+"b")
		}
		if i == 50 {
			if err := b.partition("t", 0).Checkpoint(); err != nil {
				t.Fatal(err)
			}
		}
	}
	b.restart()
	c := b.client(kgo.ConsumeTopics("t"), kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxBytes(2000))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var got []string
	for len(got) < len(want) {
		fs := c.PollFetches(ctx)
		if err := fs.Err(); err != nil {
			t.Fatal(err)
		}
		fs.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	if !slices.Equal(got, want) {
		t.Errorf("read %v", got)
	}
}
