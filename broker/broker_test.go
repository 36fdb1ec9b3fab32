package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func consumeN(t *testing.T, c *kgo.Client, n int) []*kgo.Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	var got []*kgo.Record
	for len(got) < n {
		f := c.PollFetches(ctx)
		var rejoins *kgo.ErrGroupSession // a member whose coordinator has just changed, as Kafka's clients are told too
		if err := f.Err(); err != nil && !errors.As(err, &rejoins) {
			t.Fatalf("after %d of %d records: %v", len(got), n, err)
		}
		got = append(got, f.Records()...)
	}
	return got
}

func TestRecordsOfEveryCodecComeBackByteForByte(t *testing.T) {
	b := startBroker(t, nil)
	codecs := map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(),
		"lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	}
	for name, codec := range codecs {
		t.Run(name, func(t *testing.T) {
			topic := "orders-" + name
			b.topic(topic, 1, nil)
			p := b.client(kgo.DefaultProduceTopic(topic), kgo.ProducerBatchCompression(codec))
			var sent []*kgo.Record
			for i := range 500 {
				r := &kgo.Record{
					Key: fmt.Appendf(nil, "key-%d", i), Value: bytes.Repeat([]byte{byte(i)}, i),
					Headers:   []kgo.RecordHeader{{Key: "n", Value: fmt.Append(nil, i)}, {Key: "empty"}},
					Timestamp: time.UnixMilli(1_700_000_000_000 + int64(i)),
				}
				if i%7 == 0 {
					r.Key, r.Value = nil, nil
				}
				sent = append(sent, r)
			}
			if err := p.ProduceSync(t.Context(), sent...).FirstErr(); err != nil {
				t.Fatal(err)
			}
			got := consumeN(t, b.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), len(sent))
			for i, r := range got {
				w := sent[i]
				if r.Offset != int64(i) || !bytes.Equal(r.Key, w.Key) || !bytes.Equal(r.Value, w.Value) || (r.Key == nil) != (w.Key == nil) ||
					!r.Timestamp.Equal(w.Timestamp) || len(r.Headers) != 2 || !bytes.Equal(r.Headers[0].Value, w.Headers[0].Value) {
					t.Fatalf("record %d is %+v; want %+v", i, r, w)
				}
			}
		})
	}
}

func TestTopicsAreMadeOnFirstUse(t *testing.T) {
	b := startBroker(t, nil)
	c := b.client(kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("new"))
	if err := c.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	off := startBroker(t, map[string]string{"auto.create.topics.enable": "false"})
	c = off.client(kgo.AllowAutoTopicCreation(), kgo.DefaultProduceTopic("new"), kgo.UnknownTopicRetries(0))
	if err := c.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); !errors.Is(err, kerr.UnknownTopicOrPartition) {
		t.Errorf("with auto.create.topics.enable=false: %v", err)
	}
}

func TestEverythingIsThereAfterARestart(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 3, map[string]*string{"retention.ms": ptr("-1")})
	c := b.client(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	for i := range 30 {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Partition: int32(i % 3), Value: fmt.Append(nil, i)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	id := b.meta.Image().ClusterID()
	b.restart()
	if got := b.meta.Image().ClusterID(); got != id {
		t.Errorf("cluster id %s; was %s", got, id)
	}
	got := consumeN(t, b.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 30)
	perPartition := map[int32][]int64{}
	for _, r := range got {
		perPartition[r.Partition] = append(perPartition[r.Partition], r.Offset)
	}
	for p, offsets := range perPartition {
		if !slices.Equal(offsets, []int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}) {
			t.Errorf("partition %d has offsets %v", p, offsets)
		}
	}
	if v := b.meta.Image().Topic("t").Configs["retention.ms"]; v != "-1" {
		t.Errorf("retention.ms is %q", v)
	}
}

func TestGroupGoesOnFromItsCommittedOffsetAfterARestart(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 2, nil)
	p := b.client(kgo.DefaultProduceTopic("t"))
	produce := func(n int) {
		for range n {
			if err := p.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	produce(10)
	member := func() *kgo.Client {
		return b.client(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	}
	c := member()
	consumeN(t, c, 10)
	if err := c.CommitUncommittedOffsets(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.Close()
	b.restart()
	p = b.client(kgo.DefaultProduceTopic("t"))
	produce(5)
	if got := consumeN(t, member(), 5); len(got) != 5 {
		t.Errorf("%d records after the restart; want the 5 new ones", len(got))
	}
}

func TestDeletedTopicIsGoneWithItsFilesAndANewOneIsEmpty(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	c := b.client(kgo.DefaultProduceTopic("t"))
	if err := c.ProduceSync(t.Context(), kgo.StringRecord("old")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if r, err := b.admin().DeleteTopic(t.Context(), "t"); err != nil || r.Err != nil {
		t.Fatal(err, r.Err)
	}
	if r, _ := b.admin().DeleteTopic(t.Context(), "t"); !errors.Is(r.Err, kerr.UnknownTopicOrPartition) {
		t.Errorf("deleting it again: %v", r.Err)
	}
	b.topic("t", 1, nil)
	ends, err := b.admin().ListEndOffsets(t.Context(), "t")
	if err != nil {
		t.Fatal(err)
	}
	if o, _ := ends.Lookup("t", 0); o.Offset != 0 || o.Err != nil {
		t.Errorf("the new topic ends at %d, %v", o.Offset, o.Err)
	}
}

func TestRefusalsCarryKafkasCodesAndWords(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("a.b", 1, nil)
	c := b.client()
	for name, tc := range map[string]struct {
		topic      string
		partitions int32
		factor     int16
		configs    map[string]string
		want       *kerr.Error
		words      string
	}{
		"exists":            {"a.b", 1, 1, nil, kerr.TopicAlreadyExists, "Topic 'a.b' already exists."},
		"collides":          {"a_b", 1, 1, nil, kerr.InvalidTopicException, "collides"},
		"illegal name":      {"a/b", 1, 1, nil, kerr.InvalidTopicException, "invalid"},
		"zero partitions":   {"z", 0, 1, nil, kerr.InvalidPartitions, "partitions"},
		"too many replicas": {"z", 1, 3, nil, kerr.InvalidReplicationFactor, "1"},
		"unknown setting":   {"z", 1, 1, map[string]string{"no.such": "1"}, kerr.InvalidConfig, "no.such"},
		"bad value":         {"z", 1, 1, map[string]string{"retention.ms": "soon"}, kerr.InvalidConfig, "retention.ms"},
		"internal":          {"__consumer_offsets", 1, 1, nil, kerr.InvalidTopicException, "internal"},
	} {
		q := kmsg.NewPtrCreateTopicsRequest()
		in := kmsg.NewCreateTopicsRequestTopic()
		in.Topic, in.NumPartitions, in.ReplicationFactor = tc.topic, tc.partitions, tc.factor
		for k, v := range tc.configs {
			in.Configs = append(in.Configs, kmsg.CreateTopicsRequestTopicConfig{Name: k, Value: &v})
		}
		q.Topics = append(q.Topics, in)
		out := request[*kmsg.CreateTopicsResponse](b, c, q).Topics[0]
		if out.ErrorCode != tc.want.Code || out.ErrorMessage == nil || !bytes.Contains([]byte(*out.ErrorMessage), []byte(tc.words)) {
			words := "null"
			if out.ErrorMessage != nil {
				words = *out.ErrorMessage
			}
			t.Errorf("%s: %v %q; want %v with %q", name, kerr.ErrorForCode(out.ErrorCode), words, tc.want, tc.words)
		}
	}
}
