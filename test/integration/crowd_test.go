package integration

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/brokertest"
)

const (
	crowdIdle    = 2000
	crowdSlow    = 200
	crowdMemory  = 300 << 20 // bytes that the broker may take, whatever they do
	crowdPatient = 15 * time.Second
)

// Thousands of idle connections, hundreds of readers that ask for much and take little, and a producer
// at full speed: the broker's memory stays within bounds, and everybody else is answered.
func TestACrowdTakesLittleMemoryAndStallsNobody(t *testing.T) {
	broker := brokertest.Start(t)
	createTopic(t, broker, "t", benchPartitions, nil)
	bytes := 512 << 20
	if brokertest.Race || testing.Short() {
		bytes = 64 << 20
	}
	fillTopic(t, broker, "t", 64<<20) // something to read slowly
	for range crowdIdle {
		idleConn(t, broker.Addr)
	}
	var readers sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	for range crowdSlow {
		nc := idleConn(t, broker.Addr)
		if err := nc.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
			t.Fatal(err)
		}
		readers.Go(func() { readSlowly(ctx, nc) })
	}
	probe := client(t, broker, kgo.DefaultProduceTopic("t"))
	most, slowest := int64(0), time.Duration(0)
	done := make(chan struct{})
	begin := time.Now()
	go func() {
		defer close(done)
		fillTopic(t, broker, "t", bytes)
	}()
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(50 * time.Millisecond):
		}
		most = max(most, anonymous(t, broker.Pid()))
		asked := time.Now()
		one, end := context.WithTimeout(t.Context(), crowdPatient)
		if err := probe.ProduceSync(one, kgo.StringRecord("probe")).FirstErr(); err != nil {
			t.Fatalf("a record was not acknowledged within %s: %v", crowdPatient, err)
		}
		end()
		slowest = max(slowest, time.Since(asked))
	}
	t.Logf("%d MB in %s beside %d idle connections and %d slow readers: at most %d MiB, the slowest of the other records took %s",
		bytes/1e6, time.Since(begin).Round(time.Millisecond), crowdIdle, crowdSlow, most>>20, slowest.Round(time.Millisecond))
	if most > crowdMemory && !brokertest.Race {
		t.Errorf("the broker took %d MiB", most>>20)
	}
	cancel()
	readers.Wait()
}

// idleConn connects, is answered once, and does nothing more.
func idleConn(t *testing.T, addr string) net.Conn {
	t.Helper()
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(crowdPatient))
	if _, err := nc.Write(kmsg.NewRequestFormatter().AppendRequest(nil, kmsg.NewPtrApiVersionsRequest(), 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := nc.Read(make([]byte, 64<<10)); err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Time{})
	return nc
}

// readSlowly asks for all that there is, many times over, and takes 32 KiB of it a second until the
// broker closes the connection.
func readSlowly(ctx context.Context, nc net.Conn) {
	q := kmsg.NewPtrFetchRequest()
	q.Version, q.MaxWaitMillis, q.MinBytes, q.MaxBytes = 11, 500, 1, 50<<20
	q.ReplicaID, q.SessionEpoch = -1, -1
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic = "t"
	for i := range int32(benchPartitions) {
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.PartitionMaxBytes, p.CurrentLeaderEpoch = i, 50<<20, -1
		topic.Partitions = append(topic.Partitions, p)
	}
	q.Topics = append(q.Topics, topic)
	var frames []byte
	for i := range int32(32) {
		frames = kmsg.NewRequestFormatter().AppendRequest(frames, q, i)
	}
	stop := context.AfterFunc(ctx, func() { nc.Close() })
	defer stop()
	if _, err := nc.Write(frames); err != nil {
		return
	}
	for {
		if _, err := io.CopyN(io.Discard, nc, 32<<10); err != nil {
			return
		}
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
			return
		}
	}
}

func fillTopic(t *testing.T, broker *brokertest.Broker, topic string, bytes int) {
	c := client(t, broker, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(900<<10), kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(64<<20))
	defer c.Close()
	value := incompressible(1024)
	for range bytes / len(value) {
		c.Produce(t.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := c.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}
