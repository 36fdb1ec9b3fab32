package integration

import (
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

// firstProduce returns how long after begin the broker acknowledged a record.
func firstProduce(b *testing.B, addr *brokertest.Broker, topic string, begin time.Time) time.Duration {
	c := client(b, addr, kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic(topic), kgo.ProducerLinger(0))
	if err := c.ProduceSync(b.Context(), kgo.StringRecord("first")).FirstErr(); err != nil {
		b.Fatal(err)
	}
	took := time.Since(begin)
	c.Close()
	return took
}

func reportMedian(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "median-ms")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "worst-ms")
	b.ReportMetric(0, "ns/op") // a median says more than a mean of few
}

// starts is how often a start is measured.
const starts = 10

// From exec to the first acknowledged record, on an empty directory.
func BenchmarkStartEmpty(b *testing.B) {
	var took []time.Duration
	for range starts {
		begin := time.Now()
		broker := brokertest.Start(b)
		took = append(took, firstProduce(b, broker, "t", begin))
		broker.Stop()
	}
	reportMedian(b, took)
}

// The same after kill -9, with 1,000 partitions and 20 GB of data.
func BenchmarkStartAfterKill(b *testing.B) {
	const (
		partitions = 1000
		perRecord  = 1 << 20
		rounds     = 20
	)
	broker := brokertest.Start(b)
	createTopic(b, broker, "t", partitions, map[string]*string{"max.message.bytes": ptr("2097152")})
	c := client(b, broker, kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.ProducerBatchMaxBytes(2<<20), kgo.MaxBufferedBytes(64<<20))
	value := make([]byte, perRecord-100)
	for range rounds {
		for p := range int32(partitions) {
			c.Produce(b.Context(), &kgo.Record{Partition: p, Value: value}, func(_ *kgo.Record, err error) {
				if err != nil {
					b.Error(err)
				}
			})
		}
	}
	if err := c.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	var took []time.Duration
	for range starts {
		broker.Kill()
		begin := time.Now()
		broker.Restart()
		took = append(took, firstProduce(b, broker, "t", begin))
	}
	reportMedian(b, took)
}
