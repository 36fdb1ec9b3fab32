package integration

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

const (
	benchPartitions = 6
	benchRounds     = 3 // the median is reported; one more before them is not counted
	benchBytes      = 512 << 20
	benchRate       = 1000 // records a second
	benchSeconds    = 15
)

// Producing as fast as the broker takes it, and reading that back. The client shares the machine, so MB/s is what both
// together can do; what the broker costs is the processor time of its process for each GB. Each topic is deleted, so
// that its memory in the page cache is used again: a virtual machine pays extra for memory that it touches first.
func BenchmarkBrokerThroughput(b *testing.B) {
	for _, size := range []int{1024, 100} {
		bytes := benchBytes
		if size < 1024 {
			bytes /= 4
		}
		b.Run(fmt.Sprintf("%d-byte-records", size), func(b *testing.B) {
			broker := brokertest.Start(b)
			figures := map[string][]float64{}
			for round := range 1 + benchRounds {
				topic := fmt.Sprintf("t%d", round)
				createTopic(b, broker, topic, benchPartitions, nil)
				measured := map[string]float64{}
				measure(b, broker, bytes, measured, "produce", func() { produceBytes(b, broker, topic, size, bytes) })
				measure(b, broker, bytes, measured, "consume", func() { consumeRecords(b, broker, topic, bytes/size) })
				deleteTopic(b, broker, topic)
				measured["anon-MiB"] = float64(anonymous(b, broker.Pid())) / (1 << 20)
				if round == 0 {
					continue
				}
				for name, v := range measured {
					figures[name] = append(figures[name], v)
				}
			}
			for name, v := range figures {
				b.ReportMetric(quantile(v, 0.5), name)
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// measure adds how fast work moves the bytes, and what of the processors the broker uses for it.
func measure(b *testing.B, broker *brokertest.Broker, bytes int, into map[string]float64, name string, work func()) {
	cpu, begin := cpuTime(b, broker.Pid()), time.Now()
	work()
	took, used := time.Since(begin), cpuTime(b, broker.Pid())-cpu
	into[name+"-MB/s"] = float64(bytes) / 1e6 / took.Seconds()
	into[name+"-cpu-s/GB"] = used.Seconds() / (float64(bytes) / 1e9)
}

func produceBytes(b *testing.B, broker *brokertest.Broker, topic string, size, bytes int) {
	c := client(b, broker, kgo.DefaultProduceTopic(topic), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(5*time.Millisecond),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(900<<10), kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(64<<20))
	defer c.Close()
	value := incompressible(size)
	for range bytes / size {
		c.Produce(b.Context(), &kgo.Record{Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := c.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func consumeRecords(b *testing.B, broker *brokertest.Broker, topic string, want int) {
	c := client(b, broker, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxPartitionBytes(8<<20))
	defer c.Close()
	for got := 0; got < want; {
		f := c.PollFetches(b.Context())
		if err := f.Err(); err != nil {
			b.Fatal(err)
		}
		got += f.NumRecords()
	}
}

func incompressible(size int) []byte {
	value := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(value)
	return value
}

// A thousand records a second, each a request of its own, while a consumer follows. Times count from when a record was
// due, so that a pause of the broker shows in all records that fall into it.
func BenchmarkBrokerLatency(b *testing.B) {
	broker := brokertest.Start(b)
	createTopic(b, broker, "t", benchPartitions, nil)
	warm, all := 2*benchRate, (2+benchSeconds)*benchRate
	read := make(chan []float64, 1)
	follower := client(b, broker, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	go func() { read <- follow(b.Context(), follower, warm, all) }()
	cpu := cpuTime(b, broker.Pid())
	acks := producePaced(b, client(b, broker, kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(0)), benchRate, warm, all)
	used := cpuTime(b, broker.Pid()) - cpu
	for _, q := range []float64{0.5, 0.99, 0.999} {
		b.ReportMetric(quantile(acks, q), fmt.Sprintf("ack-p%g-ms", 100*q))
	}
	reads := <-read
	for _, q := range []float64{0.5, 0.99} {
		b.ReportMetric(quantile(reads, q), fmt.Sprintf("read-p%g-ms", 100*q))
	}
	b.ReportMetric(float64(used.Milliseconds())/(2+benchSeconds), "cpu-ms/s")
	b.ReportMetric(0, "ns/op")
}

// producePaced returns, for all records but the first warm ones, the milliseconds from when each was due until it was
// acknowledged.
func producePaced(b *testing.B, c *kgo.Client, rate, warm, all int) []float64 {
	var (
		mu   sync.Mutex
		acks []float64
	)
	padding := incompressible(1024)
	begin := time.Now()
	for i := range all {
		due := begin.Add(time.Duration(i) * time.Second / time.Duration(rate))
		time.Sleep(time.Until(due))
		key := binary.BigEndian.AppendUint64(nil, uint64(due.UnixNano()))
		c.Produce(b.Context(), &kgo.Record{Key: binary.BigEndian.AppendUint64(key, uint64(i)), Value: padding}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			} else if i >= warm {
				mu.Lock()
				acks = append(acks, milliseconds(time.Since(due)))
				mu.Unlock()
			}
		})
	}
	if err := c.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return acks
}

// follow reads what producePaced writes and returns the milliseconds from when each record was due until it was read.
func follow(ctx context.Context, c *kgo.Client, warm, all int) (read []float64) {
	for got := 0; got < all && ctx.Err() == nil; {
		f := c.PollFetches(ctx)
		now := time.Now().UnixNano()
		f.EachRecord(func(r *kgo.Record) {
			got++
			if binary.BigEndian.Uint64(r.Key[8:]) >= uint64(warm) {
				read = append(read, milliseconds(time.Duration(now-int64(binary.BigEndian.Uint64(r.Key)))))
			}
		})
	}
	return read
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// quantile of some figures; 0 where there are none.
func quantile(figures []float64, q float64) float64 {
	if len(figures) == 0 {
		return 0
	}
	slices.Sort(figures)
	return figures[min(len(figures)-1, int(q*float64(len(figures))))]
}
