package group

import (
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/shards"
	"quorumlog/internal/shards/shardstest"
	"quorumlog/record"
)

// loadedLog is a log of groups with members each, as their last generations left it.
func loadedLog(groups, members int) *shardstest.Log {
	l := &shardstest.Log{}
	sub := kmsg.NewConsumerMemberMetadata()
	sub.Topics = []string{"orders"}
	for i := range groups {
		v := kmsg.GroupMetadataValue{Version: 3, ProtocolType: "consumer", Generation: 1, Protocol: kmsg.StringPtr("range")}
		for j := range members {
			v.Members = append(v.Members, kmsg.GroupMetadataValueMember{
				MemberID: fmt.Sprintf("consumer-%d-%d-6f1b5a52-7f1e-4a64-9e0c-1f2d3c4b5a69", i, j), ClientID: "consumer", ClientHost: "/10.0.0.1",
				RebalanceTimeoutMillis: 300000, SessionTimeoutMillis: 45000, Subscription: sub.AppendTo(nil), Assignment: make([]byte, 30),
			})
		}
		v.Leader = &v.Members[0].MemberID
		l.Append(buildBatch([]keyValue{{groupKey(fmt.Sprint("group-", i)), v.AppendTo(nil)}}, nil))
	}
	return l
}

func benchCoordinator(b *testing.B, l shards.Log) *Coordinator {
	c := New(testOptions())
	c.Lead(0, 1, l)
	for {
		if s, code := c.enter("x"); code == none {
			s.mu.Unlock()
			break
		}
		time.Sleep(time.Millisecond)
	}
	b.Cleanup(c.Close)
	return c
}

// 10,000 members in 1,000 groups.
func BenchmarkHeartbeat(b *testing.B) {
	c := benchCoordinator(b, loadedLog(1000, 10))
	reqs := make([]kmsg.HeartbeatRequest, 0, 10000)
	for i := range 1000 {
		for j := range 10 {
			r := kmsg.NewHeartbeatRequest()
			r.Version, r.Group, r.Generation = 4, fmt.Sprint("group-", i), 1
			r.MemberID = fmt.Sprintf("consumer-%d-%d-6f1b5a52-7f1e-4a64-9e0c-1f2d3c4b5a69", i, j)
			reqs = append(reqs, r)
		}
	}
	var resp kmsg.HeartbeatResponse
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		c.Heartbeat(&reqs[i%len(reqs)], &resp)
		if resp.ErrorCode != none {
			b.Fatal(resp.ErrorCode)
		}
	}
}

// delayLog commits each append after a while, like a replicated log.
type delayLog struct {
	shardstest.Log
	delay time.Duration
	n     atomic.Int64
}

func (l *delayLog) Append(batch record.Batch) shards.Pending {
	n := int64(batch.NumRecords())
	return shardstest.Later(l.n.Add(n)-n, l.delay)
}

func benchCommit(i int) (*kmsg.OffsetCommitRequest, *kmsg.OffsetCommitResponse) {
	r := kmsg.NewPtrOffsetCommitRequest()
	r.Version, r.Group, r.Generation = 9, fmt.Sprint("group-", i%1000), -1
	t := kmsg.NewOffsetCommitRequestTopic()
	t.Topic = "orders"
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = int32(i%3), int64(i)
	t.Partitions = append(t.Partitions, p)
	r.Topics = append(r.Topics, t)
	return r, r.ResponseKind().(*kmsg.OffsetCommitResponse)
}

// 64 clients commit one offset at a time to a log that takes 1 ms.
func BenchmarkCommit(b *testing.B) {
	l := &delayLog{delay: time.Millisecond}
	c := benchCoordinator(b, l)
	var n atomic.Int64
	b.SetParallelism(32)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			r, resp := benchCommit(int(n.Add(1)))
			if wait := c.OffsetCommit(r, resp); wait != nil {
				wait(b.Context())
			}
			if code := resp.Topics[0].Partitions[0].ErrorCode; code != none {
				b.Fatal(code)
			}
		}
	})
}

func BenchmarkFetch(b *testing.B) {
	l := &delayLog{}
	c := benchCoordinator(b, l)
	for i := range 3000 {
		r, resp := benchCommit(i)
		c.OffsetCommit(r, resp)(b.Context())
	}
	r := kmsg.NewPtrOffsetFetchRequest()
	r.Version = 9
	g := kmsg.NewOffsetFetchRequestGroup()
	g.Group = "group-7"
	t := kmsg.NewOffsetFetchRequestGroupTopic()
	t.Topic, t.Partitions = "orders", []int32{0, 1, 2}
	g.Topics = append(g.Topics, t)
	r.Groups = append(r.Groups, g)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		resp := r.ResponseKind().(*kmsg.OffsetFetchResponse)
		c.OffsetFetch(r, resp)
	}
}

// One million commits of 1,000 groups with 100 partitions each.
func BenchmarkReplay1M(b *testing.B) {
	l := &shardstest.Log{}
	var records []keyValue
	for i := range 1_000_000 {
		o := committed{offset: int64(i), commitMs: 1_700_000_000_000, expireMs: -1, leaderEpoch: 1, topicID: testID("orders")}
		records = append(records, keyValue{offsetKey(fmt.Sprint("group-", i%1000), "orders", int32(i/1000%100)), o.value()})
		if len(records) == 100 {
			l.Append(buildBatch(records, nil))
			records = records[:0]
		}
	}
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		im := newImage(slog.New(slog.DiscardHandler))
		if err := im.replay(l, func() bool { return false }); err != nil || len(im.groups) != 1000 {
			b.Fatal(err, len(im.groups))
		}
	}
}

func heapBytes() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkMemory(b *testing.B) {
	for range b.N {
		before := heapBytes()
		im := newImage(slog.New(slog.DiscardHandler))
		for i := range 100_000 {
			o := committed{offset: int64(i), expireMs: -1}
			im.putOffset(fmt.Sprint("group-", i%100), "orders", int32(i/100), o)
		}
		offsets := heapBytes() - before
		b.ReportMetric(float64(offsets)/100_000, "B/offset")

		before = heapBytes()
		im2 := newImage(slog.New(slog.DiscardHandler))
		for i := range 10_000 {
			im2.putOffset(fmt.Sprint("group-", i), "orders", 0, committed{})
		}
		b.ReportMetric(float64(heapBytes()-before)/10_000, "B/group")
		runtime.KeepAlive(im)
		runtime.KeepAlive(im2)

		l := loadedLog(1000, 10)
		before = heapBytes()
		c := benchCoordinator(b, l)
		b.ReportMetric(float64(heapBytes()-before)/10_000, "B/member")
		runtime.KeepAlive(c)
		runtime.KeepAlive(l)
	}
}
