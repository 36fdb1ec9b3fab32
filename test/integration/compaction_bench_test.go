package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

const (
	compactRate    = 500     // records a second to another topic
	compactBytes   = 4 << 30 // in the compacted one, over compactKeys
	compactKeys    = 100_000
	compactSeconds = 8
)

// How long a record takes to be acknowledged while the broker compacts as fast as it can, beside the same before.
func BenchmarkLatencyDuringCompaction(b *testing.B) {
	broker := brokertest.Start(b, "--set", "log.cleaner.backoff.ms=100")
	createTopic(b, broker, "t", benchPartitions, nil)
	createTopic(b, broker, "keys", benchPartitions, map[string]*string{
		"cleanup.policy": ptr("compact"), "min.cleanable.dirty.ratio": ptr("1"), "segment.bytes": ptr("134217728"),
	})
	produceKeys(b, broker)
	before := acknowledged(b, broker)
	admin := kadm.NewClient(client(b, broker))
	size := logSize(b, admin)
	if _, err := admin.AlterTopicConfigs(b.Context(), []kadm.AlterConfig{{Op: kadm.SetConfig, Name: "min.cleanable.dirty.ratio", Value: ptr("0.01")}}, "keys"); err != nil {
		b.Fatal(err)
	}
	during := acknowledged(b, broker)
	b.ReportMetric(float64(size-logSize(b, admin))/(1<<20), "MiB-freed")
	for _, q := range []float64{0.5, 0.99} {
		b.ReportMetric(quantile(before, q), fmt.Sprintf("idle-p%g-ms", 100*q))
		b.ReportMetric(quantile(during, q), fmt.Sprintf("compacting-p%g-ms", 100*q))
	}
	b.ReportMetric(0, "ns/op")
}

// acknowledged is how long each record of some seconds takes, ms.
func acknowledged(b *testing.B, broker *brokertest.Broker) []float64 {
	c := client(b, broker, kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.ProducerLinger(0))
	defer c.Close()
	return producePaced(b, c, compactRate, compactRate/2, compactSeconds*compactRate)
}

func produceKeys(b *testing.B, broker *brokertest.Broker) {
	c := client(b, broker, kgo.DefaultProduceTopic("keys"), kgo.ProducerLinger(5*time.Millisecond), kgo.ProducerBatchCompression(kgo.NoCompression()),
		kgo.MaxBufferedRecords(1<<20), kgo.MaxBufferedBytes(64<<20))
	defer c.Close()
	value := incompressible(1024)
	for i := range compactBytes / len(value) {
		c.Produce(b.Context(), &kgo.Record{Key: fmt.Append(nil, i*7919%compactKeys), Value: value}, func(_ *kgo.Record, err error) {
			if err != nil {
				b.Error(err)
			}
		})
	}
	if err := c.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
}

func logSize(b *testing.B, admin *kadm.Client) (n int64) {
	b.Helper()
	dirs, err := admin.DescribeAllLogDirs(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	dirs.Each(func(d kadm.DescribedLogDir) {
		n += d.Size()
	})
	return n
}
