package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

// Many partitions of three replicas each on three nodes: how long it takes until all of them have a leader, after the
// topic is created and after one node is killed; and what they cost while nobody writes.
func BenchmarkPartitions(b *testing.B) {
	for _, n := range []int32{1000, 5000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			c := brokertest.StartCluster(b, 3)
			time.Sleep(settled)
			begin := time.Now()
			createReplicated(b, c, "t", n)
			awaitLeaders(b, c, "t", int(n))
			b.ReportMetric(milliseconds(time.Since(begin)), "led-ms")
			reportIdle(b, c)

			begin = time.Now()
			c.Node(1).Kill()
			awaitLeaders(b, c, "t", int(n), 1)
			b.ReportMetric(milliseconds(time.Since(begin)), "led-again-ms")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// calm is how long partitions are left alone before it is measured what they cost, and idle for how long it is.
const (
	calm = 15 * time.Second
	idle = 30 * time.Second
)

// reportIdle reports what all nodes together use of the processors, and the most memory that one of them has.
func reportIdle(b *testing.B, c *brokertest.Cluster) {
	time.Sleep(calm)
	used := -allCPU(b, c)
	time.Sleep(idle)
	used += allCPU(b, c)
	b.ReportMetric(used.Seconds()/idle.Seconds(), "idle-cpu-s/s")
	b.ReportMetric(float64(mostAnonymous(b, c))/(1<<20), "idle-anon-MiB")
}

func allCPU(b *testing.B, c *brokertest.Cluster) (used time.Duration) {
	for _, n := range c.Nodes {
		used += cpuTime(b, n.Pid())
	}
	return used
}

// mostAnonymous is the most memory that one of the nodes has.
func mostAnonymous(b *testing.B, c *brokertest.Cluster) (most int64) {
	for _, n := range c.Nodes {
		most = max(most, anonymous(b, n.Pid()))
	}
	return most
}

// awaitLeaders returns when a node that runs names a leader for every partition, none of which is a node that is gone.
func awaitLeaders(b *testing.B, c *brokertest.Cluster, topic string, partitions int, gone ...int32) {
	adm := kadm.NewClient(client(b, c.Node(3)))
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) { // asking costs the nodes too
		m, err := adm.Metadata(b.Context(), topic)
		led := 0
		if err == nil {
			for _, p := range m.Topics[topic].Partitions {
				if p.Leader >= 0 && (len(gone) == 0 || p.Leader != gone[0]) {
					led++
				}
			}
		}
		switch {
		case led == partitions:
			return
		case time.Since(begin) > time.Minute:
			b.Fatalf("%d of %d partitions have a leader after a minute: %v", led, partitions, err)
		}
	}
}

// Producing to many replicated partitions as fast as three nodes take it, and the memory that one of them has after it.
func BenchmarkReplicatedThroughput(b *testing.B) {
	const (
		partitions = 200
		bytes      = 256 << 20
		size       = 1 << 10
	)
	c := brokertest.StartCluster(b, 3)
	createReplicated(b, c, "t", partitions)
	awaitLeaders(b, c, "t", partitions)
	cl := clusterClient(b, c, kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(64<<20))
	value := incompressible(size)
	cpu, begin := allCPU(b, c), time.Now()
	for range bytes / size {
		cl.Produce(b.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := cl.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	b.ReportMetric(float64(mostAnonymous(b, c))/(1<<20), "anon-MiB")
	b.ReportMetric(bytes/1e6/took.Seconds(), "MB/s")
	b.ReportMetric((allCPU(b, c)-cpu).Seconds()/(bytes/1e9), "cpu-s/GB")
	b.ReportMetric(0, "ns/op")
}
