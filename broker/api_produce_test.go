package broker

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/record"
)

func batchOf(values ...string) record.Batch {
	w := record.NewBuilder(record.BuilderOptions{})
	for _, v := range values {
		w.Add(record.Record{Key: []byte("k"), Value: []byte(v), Timestamp: time.Now().UnixMilli()})
	}
	return w.Build()
}

func batchAt(ts int64, value string) record.Batch {
	w := record.NewBuilder(record.BuilderOptions{})
	w.Add(record.Record{Value: []byte(value), Timestamp: ts})
	return w.Build()
}

func produceRequest(topic string, records []byte) *kmsg.ProduceRequest {
	q := kmsg.NewPtrProduceRequest()
	q.Version, q.Acks, q.TimeoutMillis = 9, -1, 10_000
	t := kmsg.NewProduceRequestTopic()
	t.Topic = topic
	p := kmsg.NewProduceRequestTopicPartition()
	p.Records = records
	t.Partitions = append(t.Partitions, p)
	q.Topics = append(q.Topics, t)
	return q
}

func (b *testBroker) produced(q *kmsg.ProduceRequest) kmsg.ProduceResponseTopicPartition {
	b.t.Helper()
	return raw[*kmsg.ProduceResponse](b, q).Topics[0].Partitions[0]
}

func TestBadBatchesAreRefusedAndNothingIsAppended(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, map[string]*string{"max.message.bytes": ptr("2000")})
	b.topic("keyed", 1, map[string]*string{"cleanup.policy": ptr("compact")})
	flipped := bytes.Clone(batchOf("value"))
	flipped[len(flipped)-1] ^= 1
	wrongCount := bytes.Clone(batchOf("a", "b"))
	binary.BigEndian.PutUint32(wrongCount[57:], 3)
	recount(wrongCount)
	keyless := func() []byte {
		w := record.NewBuilder(record.BuilderOptions{})
		w.Add(record.Record{Value: []byte("v"), Timestamp: 1})
		return w.Build()
	}()
	magic1 := bytes.Clone(batchOf("v"))
	magic1[16] = 1
	for name, tc := range map[string]struct {
		topic   string
		records []byte
		want    *kerr.Error
	}{
		"bad CRC":                {"t", flipped, kerr.CorruptMessage},
		"wrong counts":           {"t", wrongCount, kerr.InvalidRecord},
		"truncated":              {"t", batchOf("value")[:70], kerr.InvalidRecord},
		"empty":                  {"t", nil, kerr.InvalidRecord},
		"two batches":            {"t", append(bytes.Clone(batchOf("a")), batchOf("b")...), kerr.InvalidRecord},
		"too large":              {"t", batchOf(string(make([]byte, 3000))), kerr.MessageTooLarge},
		"older format":           {"t", magic1, kerr.InvalidRecord},
		"no key in compact":      {"keyed", keyless, kerr.InvalidRecord},
		"unknown topic":          {"nowhere", batchOf("v"), kerr.UnknownTopicOrPartition},
		"internal topic":         {"__consumer_offsets", batchOf("v"), kerr.UnknownTopicOrPartition},
		"a coordinator's marker": {"t", record.AppendMarker(nil, record.Marker{ProducerID: 1}, 1), kerr.InvalidRecord},
	} {
		if got := b.produced(produceRequest(tc.topic, tc.records)); got.ErrorCode != tc.want.Code {
			t.Errorf("%s: %v; want %v", name, kerr.ErrorForCode(got.ErrorCode), tc.want)
		}
	}
	for _, topic := range []string{"t", "keyed"} {
		ends, err := b.admin().ListEndOffsets(t.Context(), topic)
		if err != nil {
			t.Fatal(err)
		}
		if o, _ := ends.Lookup(topic, 0); o.Offset != 0 {
			t.Errorf("%s ends at %d; want 0", topic, o.Offset)
		}
	}
}

// recount makes the CRC right again after a change.
func recount(b []byte) { binary.BigEndian.PutUint32(b[17:], record.Checksum(b[21:])) }

func TestInvalidAcksAndTooFewReplicasAreRefused(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	b.topic("two", 1, map[string]*string{"min.insync.replicas": ptr("2")})
	q := produceRequest("t", batchOf("v"))
	q.Acks = 2
	if got := b.produced(q); got.ErrorCode != kerr.InvalidRequiredAcks.Code {
		t.Errorf("acks=2: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	if got := b.produced(produceRequest("two", batchOf("v"))); got.ErrorCode != kerr.NotEnoughReplicas.Code {
		t.Errorf("min.insync.replicas=2 of one replica: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	q = produceRequest("two", batchOf("v"))
	q.Acks = 1
	if got := b.produced(q); got.ErrorCode != 0 {
		t.Errorf("acks=1 does not ask for replicas: %v", kerr.ErrorForCode(got.ErrorCode))
	}
}

func TestRepeatedIdempotentBatchIsAnsweredWithItsFirstOffset(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	id := raw[*kmsg.InitProducerIDResponse](b, kmsg.NewPtrInitProducerIDRequest())
	if id.ErrorCode != 0 || id.ProducerID < 0 {
		t.Fatalf("%+v", id)
	}
	batch := func(seq int32) []byte {
		w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id.ProducerID, Epoch: id.ProducerEpoch, Sequence: seq}})
		w.Add(record.Record{Value: []byte("v"), Timestamp: 1})
		return w.Build()
	}
	for seq := range int32(3) {
		if got := b.produced(produceRequest("t", batch(seq))); got.ErrorCode != 0 || got.BaseOffset != int64(seq) {
			t.Fatalf("sequence %d: %+v", seq, got)
		}
	}
	check := func(when string) {
		if got := b.produced(produceRequest("t", batch(1))); got.ErrorCode != 0 || got.BaseOffset != 1 {
			t.Errorf("%s, repeated batch: offset %d, %v; want 1", when, got.BaseOffset, kerr.ErrorForCode(got.ErrorCode))
		}
		if got := b.produced(produceRequest("t", batch(7))); got.ErrorCode != kerr.OutOfOrderSequenceNumber.Code {
			t.Errorf("%s, gap: %v", when, kerr.ErrorForCode(got.ErrorCode))
		}
	}
	check("at once")
	b.restart()
	check("after a restart")
}

func TestLogAppendTimeIsTheBrokersAndCompressionTheTopics(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, map[string]*string{"message.timestamp.type": ptr("LogAppendTime"), "compression.type": ptr("zstd")})
	before := time.Now().UnixMilli()
	got := b.produced(produceRequest("t", batchOf("v")))
	if got.ErrorCode != 0 || got.LogAppendTime < before {
		t.Fatalf("%+v; want a log append time from %d on", got, before)
	}
	r := consumeN(t, b.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 1)[0]
	if r.Timestamp.UnixMilli() != got.LogAppendTime || r.Attrs.TimestampType() != 1 || r.Attrs.CompressionType() != 4 {
		t.Errorf("record at %d, type %d, codec %d; want %d, 1 and 4", r.Timestamp.UnixMilli(), r.Attrs.TimestampType(), r.Attrs.CompressionType(), got.LogAppendTime)
	}
}

func TestABatchCountsAsItIsStored(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, map[string]*string{"compression.type": ptr("uncompressed"), "max.message.bytes": ptr("5000")})
	w := record.NewBuilder(record.BuilderOptions{Codec: record.Gzip})
	w.Add(record.Record{Key: []byte("k"), Value: make([]byte, 20_000), Timestamp: time.Now().UnixMilli()})
	small := w.Build()
	if got := b.produced(produceRequest("t", small)); len(small) > 1000 || got.ErrorCode != kerr.MessageTooLarge.Code {
		t.Errorf("%d bytes that unpack to 20,000: %v", len(small), kerr.ErrorForCode(got.ErrorCode))
	}
}

func TestEachRecordWithoutAKeyIsNamed(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("keyed", 1, map[string]*string{"cleanup.policy": ptr("compact")})
	w := record.NewBuilder(record.BuilderOptions{})
	for _, key := range [][]byte{[]byte("a"), nil, []byte("b"), nil} {
		w.Add(record.Record{Key: key, Value: []byte("v"), Timestamp: time.Now().UnixMilli()})
	}
	got := b.produced(produceRequest("keyed", w.Build()))
	if got.ErrorCode != kerr.InvalidRecord.Code || len(got.ErrorRecords) != 2 || got.ErrorRecords[0].RelativeOffset != 1 || got.ErrorRecords[1].RelativeOffset != 3 ||
		got.ErrorRecords[0].ErrorMessage == nil || got.ErrorMessage == nil {
		t.Errorf("%+v", got)
	}
}

func TestTimestampsBeyondTheTopicsBoundsAreRefused(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, map[string]*string{"message.timestamp.before.max.ms": ptr("60000")})
	now := time.Now().UnixMilli()
	for name, tc := range map[string]struct {
		ts   int64
		want int16
	}{
		"now": {now, 0}, "an hour ago": {now - 3_600_000, kerr.InvalidTimestamp.Code}, "in two hours": {now + 7_200_000, kerr.InvalidTimestamp.Code},
	} {
		if got := b.produced(produceRequest("t", batchAt(tc.ts, "v"))); got.ErrorCode != tc.want {
			t.Errorf("%s: %v", name, kerr.ErrorForCode(got.ErrorCode))
		}
	}
}

// A commit needs a majority. Where min.insync.replicas asks for more, the producer waits for so many, and is told when
// they are too few after all, though the batch stays.
func TestMoreReplicasThanAMajorityAreWaitedForAfterTheAppend(t *testing.T) {
	c := startCluster(t, 3, nil)
	r, err := c.admin().CreateTopic(t.Context(), 1, 3, map[string]*string{"min.insync.replicas": ptr("3")}, "t")
	if err != nil {
		t.Fatal(err, r.ErrMessage)
	}
	lead, x := c.leads("t", 0)
	if got := lead.produced(produceRequest("t", batchOf("all"))); got.ErrorCode != 0 {
		t.Fatal(kerr.ErrorForCode(got.ErrorCode))
	}
	slow := c.node(lead.id%3 + 1)
	if err := slow.replicas.get(x.key.topic, 0).partition().Close(); err != nil {
		t.Fatal(err)
	}
	q := produceRequest("t", batchOf("two"))
	q.TimeoutMillis = 200
	if got := lead.produced(q); got.ErrorCode != kerr.RequestTimedOut.Code {
		t.Errorf("held by two of three: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	told := make(chan int16)
	go func() { told <- lead.produced(produceRequest("t", batchOf("fewer"))).ErrorCode }()
	for x.partition().HighWatermark() < 3 {
		time.Sleep(time.Millisecond)
	}
	c.stop(slow)
	if got := <-told; got != kerr.NotEnoughReplicasAfterAppend.Code {
		t.Errorf("a replica is gone: %v", kerr.ErrorForCode(got))
	}
	q = produceRequest("t", batchOf("written"))
	q.Acks = 1
	if got := lead.produced(q); got.ErrorCode != 0 || got.BaseOffset != 3 {
		t.Errorf("acks=1: %v at %d", kerr.ErrorForCode(got.ErrorCode), got.BaseOffset)
	}
}
