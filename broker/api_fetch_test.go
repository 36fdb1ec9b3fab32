package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fetch11 is a Fetch request by name of partition 0 of topics, from offset 0.
func fetch11(topics ...string) *kmsg.FetchRequest {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.MaxBytes = 11, 0, 1, 1<<20
	for _, name := range topics {
		t := kmsg.NewFetchRequestTopic()
		t.Topic = name
		p := kmsg.NewFetchRequestTopicPartition()
		p.PartitionMaxBytes, p.CurrentLeaderEpoch = 1<<20, -1
		t.Partitions = append(t.Partitions, p)
		q.Topics = append(q.Topics, t)
	}
	return q
}

func (b *testBroker) fetched(q *kmsg.FetchRequest) kmsg.FetchResponseTopicPartition {
	b.t.Helper()
	r := raw[*kmsg.FetchResponse](b, q)
	if r.ErrorCode != 0 || len(r.Topics) == 0 {
		b.t.Fatalf("%v, %d topics", kerr.ErrorForCode(r.ErrorCode), len(r.Topics))
	}
	return r.Topics[0].Partitions[0]
}

func (b *testBroker) write(topic string, values ...string) {
	b.t.Helper()
	for _, v := range values {
		if got := b.produced(produceRequest(topic, batchOf(v))); got.ErrorCode != 0 {
			b.t.Fatal(kerr.ErrorForCode(got.ErrorCode))
		}
	}
}

func TestFetchWaitsForMinBytesAndNoLonger(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	q := fetch11("t")
	q.MaxWaitMillis = 200
	begin := time.Now()
	if p := b.fetched(q); len(p.RecordBatches) != 0 || p.HighWatermark != 0 || p.ErrorCode != 0 {
		t.Errorf("empty partition: %+v", p)
	}
	if d := time.Since(begin); d < 200*time.Millisecond {
		t.Errorf("answered after %v; want 200ms", d)
	}
	q.MaxWaitMillis = 20_000
	got := make(chan kmsg.FetchResponseTopicPartition, 1)
	go func() { got <- b.fetched(q) }()
	b.write("t", "v")
	select {
	case p := <-got:
		if len(p.RecordBatches) == 0 || p.HighWatermark != 1 {
			t.Errorf("woken with %+v", p)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a record did not wake the waiting fetch")
	}
}

func TestFirstPartitionIgnoresLimitsAndOthersKeepThem(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("a", 1, nil)
	b.topic("b", 1, nil)
	b.write("a", string(make([]byte, 5000)), "second")
	b.write("b", "small")
	q := fetch11("a", "b")
	q.MaxBytes = 100
	r := raw[*kmsg.FetchResponse](b, q)
	first, second := r.Topics[0].Partitions[0], r.Topics[1].Partitions[0]
	if n := len(first.RecordBatches); n < 5000 || n > 5200 {
		t.Errorf("%d bytes of the first partition; want its first batch", n)
	}
	if len(second.RecordBatches) != 0 {
		t.Errorf("%d bytes of the second partition; want none", len(second.RecordBatches))
	}
}

func TestFetchErrors(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	b.write("t", "v")
	epoch := b.replicas.get(b.meta.Image().Topic("t").ID, 0).partition().State().Epoch
	for name, tc := range map[string]struct {
		change func(*kmsg.FetchRequestTopicPartition)
		want   *kerr.Error
	}{
		"past the end":        {func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = 5 }, kerr.OffsetOutOfRange},
		"before the start":    {func(p *kmsg.FetchRequestTopicPartition) { p.FetchOffset = -1 }, kerr.OffsetOutOfRange},
		"unknown partition":   {func(p *kmsg.FetchRequestTopicPartition) { p.Partition = 3 }, kerr.UnknownTopicOrPartition},
		"older leader epoch":  {func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = epoch - 1 }, kerr.FencedLeaderEpoch},
		"future leader epoch": {func(p *kmsg.FetchRequestTopicPartition) { p.CurrentLeaderEpoch = epoch + 1 }, kerr.UnknownLeaderEpoch},
	} {
		q := fetch11("t")
		tc.change(&q.Topics[0].Partitions[0])
		if p := b.fetched(q); p.ErrorCode != tc.want.Code {
			t.Errorf("%s: %v; want %v", name, kerr.ErrorForCode(p.ErrorCode), tc.want)
		}
	}
	if p := b.fetched(fetch11("nowhere")); p.ErrorCode != kerr.UnknownTopicOrPartition.Code {
		t.Errorf("unknown topic: %v", kerr.ErrorForCode(p.ErrorCode))
	}
	q := fetch11("")
	q.Version = 13
	q.Topics[0].TopicID = [16]byte{1}
	if p := b.fetched(q); p.ErrorCode != kerr.UnknownTopicID.Code {
		t.Errorf("unknown topic id: %v", kerr.ErrorForCode(p.ErrorCode))
	}
}

func TestDivergenceIsToldWithEpochAndEnd(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	b.write("t", "v", "w")
	p := b.replicas.get(b.meta.Image().Topic("t").ID, 0).partition()
	first := p.State().Epoch
	b.restart() // begins another epoch
	b.write("t", "x")
	q := fetch11("t")
	q.Version = 12
	in := &q.Topics[0].Partitions[0]
	in.FetchOffset, in.LastFetchedEpoch = 3, first
	if got := b.fetched(q); got.DivergingEpoch.Epoch != first || got.DivergingEpoch.EndOffset != 2 || len(got.RecordBatches) != 0 {
		t.Errorf("a log that wrote offset 2 in epoch %d: %+v; want divergence at 2", first, got)
	}
	in.FetchOffset = 2
	if got := b.fetched(q); got.ErrorCode != 0 || got.DivergingEpoch.EndOffset != -1 || len(got.RecordBatches) == 0 {
		t.Errorf("a log that agrees: %+v", got)
	}
	in.LastFetchedEpoch = 1_000
	if got := b.fetched(q); got.ErrorCode != kerr.OffsetOutOfRange.Code {
		t.Errorf("an epoch that never was: %v", kerr.ErrorForCode(got.ErrorCode))
	}
}

func TestIncrementalFetchLeavesOutWhatIsKnown(t *testing.T) {
	b := startBroker(t, nil)
	for _, n := range []string{"a", "b"} {
		b.topic(n, 1, nil)
	}
	q := fetch11("a", "b")
	q.SessionEpoch = 0
	r := raw[*kmsg.FetchResponse](b, q)
	if r.SessionID == 0 || len(r.Topics) != 2 {
		t.Fatalf("session %d, %d topics; want both in a new session", r.SessionID, len(r.Topics))
	}
	next := fetch11()
	next.SessionID, next.SessionEpoch = r.SessionID, 1
	if r := raw[*kmsg.FetchResponse](b, next); r.ErrorCode != 0 || len(r.Topics) != 0 {
		t.Errorf("no news: %d topics, error %d", len(r.Topics), r.ErrorCode)
	}
	b.write("b", "v")
	next.SessionEpoch = 2
	r = raw[*kmsg.FetchResponse](b, next)
	if len(r.Topics) != 1 || r.Topics[0].Topic != "b" || len(r.Topics[0].Partitions[0].RecordBatches) == 0 {
		t.Errorf("news of b: %+v", r.Topics)
	}
}

func TestListOffsetsAnswersItsQuestions(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	for i, ts := range []int64{1000, 3000, 2000} {
		if got := b.produced(produceRequest("t", batchAt(ts, fmt.Sprint(i)))); got.ErrorCode != 0 {
			t.Fatal(kerr.ErrorForCode(got.ErrorCode))
		}
	}
	for name, tc := range map[string]struct{ ask, offset, timestamp int64 }{
		"latest":                  {latest, 3, -1},
		"earliest":                {earliest, 0, -1},
		"earliest local":          {earliestLocal, 0, -1},
		"largest timestamp":       {maxTimestamp, 1, 3000},
		"latest tiered":           {latestTiered, -1, -1},
		"earliest pending upload": {earliestPendingUpload, -1, -1},
		"a timestamp":             {1000, 0, 1000},
		"between two":             {1500, 1, 3000},
		"after all":               {9000, -1, -1},
	} {
		q := kmsg.NewPtrListOffsetsRequest()
		q.Version = 11
		qt := kmsg.NewListOffsetsRequestTopic()
		qt.Topic = "t"
		qp := kmsg.NewListOffsetsRequestTopicPartition()
		qp.Timestamp = tc.ask
		qt.Partitions = append(qt.Partitions, qp)
		q.Topics = append(q.Topics, qt)
		p := raw[*kmsg.ListOffsetsResponse](b, q).Topics[0].Partitions[0]
		if p.ErrorCode != 0 || p.Offset != tc.offset || p.Timestamp != tc.timestamp {
			t.Errorf("%s: offset %d at %d, %v; want %d at %d", name, p.Offset, p.Timestamp, kerr.ErrorForCode(p.ErrorCode), tc.offset, tc.timestamp)
		}
	}
}

func TestDeletedRecordsAreOutOfRange(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	b.write("t", "a", "b", "c")
	del := func(before int64) kmsg.DeleteRecordsResponseTopicPartition {
		q := kmsg.NewPtrDeleteRecordsRequest()
		q.Version = 2
		qt := kmsg.NewDeleteRecordsRequestTopic()
		qt.Topic = "t"
		qp := kmsg.NewDeleteRecordsRequestTopicPartition()
		qp.Offset = before
		qt.Partitions = append(qt.Partitions, qp)
		q.Topics = append(q.Topics, qt)
		return raw[*kmsg.DeleteRecordsResponse](b, q).Topics[0].Partitions[0]
	}
	if p := del(2); p.ErrorCode != 0 || p.LowWatermark != 2 {
		t.Errorf("before 2: %+v", p)
	}
	if p := del(9); p.ErrorCode != kerr.OffsetOutOfRange.Code {
		t.Errorf("beyond the end: %v", kerr.ErrorForCode(p.ErrorCode))
	}
	if p := b.fetched(fetch11("t")); p.ErrorCode != kerr.OffsetOutOfRange.Code || p.LogStartOffset != 2 {
		t.Errorf("fetch from 0: %v, log start %d", kerr.ErrorForCode(p.ErrorCode), p.LogStartOffset)
	}
	b.restart()
	if p := b.fetched(fetch11("t")); p.LogStartOffset != 2 {
		t.Errorf("after a restart the log starts at %d", p.LogStartOffset)
	}
	if p := del(-1); p.ErrorCode != 0 || p.LowWatermark != 3 {
		t.Errorf("all: %+v", p)
	}
}
