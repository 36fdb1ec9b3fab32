package broker

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
)

// BenchmarkScale is what a node knows of the leaders of 200,000 partitions on 100 nodes, and what it
// answers to a client that asks for all of them: see docs/scaling.md.
func BenchmarkScale(b *testing.B) {
	const nodes, topics, partitions = 100, 2000, 100
	fill := func() *leaderTable {
		t := newLeaderTable()
		for n := range topics {
			for p := range int32(partitions) {
				first := int32(n*partitions+int(p))%nodes + 1
				t.learn(replicaKey{cluster.TopicID{byte(n), byte(n >> 8)}, p}, leader{first, 1, []int32{first, first%nodes + 1, (first+1)%nodes + 1}})
			}
		}
		return t
	}
	before := heapInUse()
	t := fill()
	memory := heapInUse() - before
	b.Run("leaders-learned", func(b *testing.B) {
		for b.Loop() {
			fill()
		}
		b.ReportMetric(memory/1e6, "MB")
	})
	var table []byte // what one node tells each of the others when they connect
	for n := range topics * partitions / nodes {
		table = appendLeader(table, replicaKey{cluster.TopicID{byte(n), byte(n >> 8)}, 1}, leader{1, 1, []int32{1, 2, 3}})
	}
	b.Run("table-of-a-node", func(b *testing.B) {
		for b.Loop() {
			if err := decodeLeaders(table, 1, func(k replicaKey, l leader) { t.learn(k, l) }); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(table))/1e3, "KB")
	})
	b.Run("metadata-of-all", func(b *testing.B) {
		resp := kmsg.NewPtrMetadataResponse()
		resp.SetVersion(13)
		for n := range topics {
			name := fmt.Sprintf("team-%02d.topic-%04d", n%40, n)
			x := kmsg.NewMetadataResponseTopic()
			x.Topic = &name
			x.Partitions = make([]kmsg.MetadataResponseTopicPartition, partitions)
			for p := range x.Partitions {
				x.Partitions[p].Replicas, x.Partitions[p].ISR = []int32{1, 2, 3}, []int32{1, 2, 3}
			}
			resp.Topics = append(resp.Topics, x)
		}
		var out []byte
		for b.Loop() {
			out = resp.AppendTo(out[:0])
		}
		b.ReportMetric(float64(len(out))/1e6, "MB")
	})
	runtime.KeepAlive(t)
}

func heapInUse() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
