package broker

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/record"
)

// BenchmarkProduce is a batch from a connection to its answer: decoded, checked, proposed, written and
// committed. An operation is a batch. With -memprofilerate 1 the allocations that the Raft library makes are
// counted apart; what is left is ours, of all nodes together. PRODUCE_ALLOCATIONS=1 prints where they are made.
func BenchmarkProduce(b *testing.B) {
	for _, replicas := range []int16{1, 3} {
		for _, c := range []struct{ partitions, inflight int }{{1, 1}, {1, 64}, {6, 10}, {50, 2}} {
			b.Run(fmt.Sprintf("replicas=%d/batches=%d/inflight=%d", replicas, c.partitions, c.inflight), func(b *testing.B) {
				cluster := startCluster(b, int(replicas), map[string]string{"num.partitions": "1"})
				benchProduce(b, cluster, replicas, c.partitions, c.inflight)
			})
		}
	}
}

// benchProduce keeps so many requests on their way, each with a batch for every partition.
func benchProduce(b *testing.B, c *testCluster, replicas int16, partitions, inflight int) {
	id, nc := ledByFirst(b, c, replicas, partitions)
	frame, answer := produceFrame(id, partitions)
	sent := make(chan struct{}, inflight)
	requests := (b.N + partitions - 1) / partitions
	run := func(requests int) {
		go func() {
			for range requests {
				sent <- struct{}{}
				nc.Write(frame)
			}
		}()
		for range requests {
			readAnswer(b, nc, answer)
			<-sent
		}
	}
	run(2 * inflight) // connections, pools
	before := allocations()
	b.ReportAllocs()
	b.ResetTimer()
	run(requests)
	b.StopTimer()
	batches := float64(requests * partitions)
	after := allocations()
	for who, n := range after.total {
		b.ReportMetric(float64(n-before.total[who])/batches, who+"-allocs/batch")
	}
	after.print(before, batches)
}

// ledByFirst makes a topic all of whose partitions the first node leads, and connects to it.
func ledByFirst(b *testing.B, c *testCluster, replicas int16, partitions int) (id [16]byte, nc net.Conn) {
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis = 10_000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = "t", -1, -1
	for p := range partitions {
		t.ReplicaAssignment = append(t.ReplicaAssignment, kmsg.CreateTopicsRequestTopicReplicaAssignment{Partition: int32(p), Replicas: []int32{1, 2, 3}[:replicas]})
	}
	q.Topics = append(q.Topics, t)
	r, err := q.RequestWith(b.Context(), c.client())
	if err != nil || r.Topics[0].ErrorCode != 0 {
		b.Fatal(err, r)
	}
	adm := kadm.NewClient(c.client(kgo.MetadataMinAge(10*time.Millisecond), kgo.MetadataMaxAge(time.Second)))
	for !allLedBy(b, adm, "t", 1) { // on a busy machine another replica may have come first
		if _, err := adm.ElectLeaders(b.Context(), kadm.ElectPreferredReplica, nil); err != nil {
			b.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	if nc, err = net.Dial("tcp", c.nodes[0].Addr().String()); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nc.Close() })
	return r.Topics[0].TopicID, nc
}

func allLedBy(b *testing.B, adm *kadm.Client, topic string, node int32) bool {
	m, err := adm.Metadata(b.Context(), topic)
	if err != nil {
		b.Fatal(err)
	}
	for _, p := range m.Topics[topic].Partitions {
		if p.Leader != node {
			return false
		}
	}
	return true
}

// produceFrame is a request as it goes over the connection, with memory for its answer.
func produceFrame(topic [16]byte, partitions int) (frame, answer []byte) {
	w := record.NewBuilder(record.BuilderOptions{})
	w.Add(record.Record{Timestamp: 1, Value: make([]byte, 1000)})
	batch := w.Build()
	q := kmsg.NewPtrProduceRequest()
	q.SetVersion(13)
	q.Acks, q.TimeoutMillis = -1, 30_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic, t.TopicID = "t", topic
	for p := range partitions {
		x := kmsg.NewProduceRequestTopicPartition()
		x.Partition, x.Records = int32(p), batch
		t.Partitions = append(t.Partitions, x)
	}
	q.Topics = append(q.Topics, t)
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("bench")).AppendRequest(nil, q, 1), make([]byte, 100+100*partitions)
}

// readAnswer reads one answer and looks at its first error code.
func readAnswer(b *testing.B, nc net.Conn, buf []byte) {
	if _, err := io.ReadFull(nc, buf[:4]); err != nil {
		b.Error(err)
		return
	}
	n := binary.BigEndian.Uint32(buf)
	if _, err := io.ReadFull(nc, buf[:n]); err != nil {
		b.Error(err)
	}
	// correlation id, tags, topics, topic id, partitions, partition
	if code := binary.BigEndian.Uint16(buf[4+1+1+16+1+4:]); code != 0 {
		b.Error("refused with", code)
	}
}

// allocated is how many allocations there have been, by the module whose code made them, and by place.
type allocated struct {
	total  map[string]int64
	places map[string]int64
}

// allocations counts, where all of them are sampled.
func allocations() allocated {
	a := allocated{map[string]int64{}, map[string]int64{}}
	if runtime.MemProfileRate != 1 {
		return a
	}
	runtime.GC() // a profile holds what was allocated up to the last collection but one
	runtime.GC()
	records := make([]runtime.MemProfileRecord, 20_000)
	n, ok := runtime.MemProfile(records, true)
	if !ok {
		return a
	}
	for _, r := range records[:n] {
		who, place := whose(r.Stack())
		if strings.Contains(place, "broker.allocations:") || strings.Contains(place, "broker.whose:") {
			continue // counting allocates too
		}
		a.total[who] += r.AllocObjects
		a.places[who+" "+place] += r.AllocObjects
	}
	return a
}

// whose is the innermost frame that is ours or the Raft library's.
func whose(stack []uintptr) (who, place string) {
	for frames := runtime.CallersFrames(stack); ; {
		f, more := frames.Next()
		switch {
		case strings.HasPrefix(f.Function, "github.com/hashicorp/raft."):
			return "raft", f.Function
		case strings.HasPrefix(f.Function, "quorumlog/"):
			return "our", fmt.Sprintf("%s:%d", f.Function, f.Line)
		case !more:
			return "other", f.Function
		}
	}
}

func (a allocated) print(before allocated, batches float64) {
	if os.Getenv("PRODUCE_ALLOCATIONS") == "" {
		return
	}
	var lines []string
	for place, n := range a.places {
		if each := float64(n-before.places[place]) / batches; each >= 0.02 {
			lines = append(lines, fmt.Sprintf("%8.2f %s", each, place))
		}
	}
	slices.Sort(lines)
	slices.Reverse(lines)
	fmt.Println(strings.Join(lines, "\n"))
}
