package broker

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/record"
	"quorumlog/replication"
)

func transactionalBatch(id int64, epoch int16, seq int32, values ...string) record.Batch {
	w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id, Epoch: epoch, Sequence: seq}, Transactional: true})
	for _, v := range values {
		w.Add(record.Record{Timestamp: 1000, Value: []byte(v)})
	}
	return w.Build()
}

// partition is one that this broker leads.
func (b *testBroker) partition(topic string, id int32) *replication.Partition {
	b.t.Helper()
	p, err := b.led(b.t.Context(), topic, id)
	if err != nil {
		b.t.Fatal(err)
	}
	return p
}

// begin writes a batch of a transaction that no coordinator knows of.
func (b *testBroker) begin(topic string, partition int32, batch record.Batch) {
	b.t.Helper()
	a := b.partition(topic, partition).Append(batch)
	<-a.Done()
	if _, err := a.Result(); err != nil {
		b.t.Fatal(err)
	}
}

func marker(version int8, m record.Marker, topic string, partitions ...int32) kmsg.WriteTxnMarkersRequestMarker {
	out := kmsg.NewWriteTxnMarkersRequestMarker()
	out.ProducerID, out.ProducerEpoch, out.Committed, out.CoordinatorEpoch = m.ProducerID, m.ProducerEpoch, m.Commit, m.CoordinatorEpoch
	out.TransactionVersion = version
	t := kmsg.NewWriteTxnMarkersRequestMarkerTopic()
	t.Topic, t.Partitions = topic, partitions
	out.Topics = append(out.Topics, t)
	return out
}

func TestMarkersEndTransactionsInManyPartitionsAtOnce(t *testing.T) {
	const partitions = 200
	b := startBroker(t, nil)
	b.topic("t", partitions, nil)
	var all []int32
	for id := range int32(partitions) {
		all = append(all, id)
		b.begin("t", id, transactionalBatch(1, 0, 0, "a"))
		b.begin("t", id, transactionalBatch(2, 4, 0, "b"))
	}
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	q.Version = 2
	q.Markers = append(q.Markers,
		marker(2, record.Marker{ProducerID: 1, ProducerEpoch: 1, Commit: true}, "t", all...),
		marker(2, record.Marker{ProducerID: 2, ProducerEpoch: 5}, "t", all...))
	for range 2 { // once more, as after an answer that was lost
		r := q.ResponseKind().(*kmsg.WriteTxnMarkersResponse)
		if err := b.writeTxnMarkers(t.Context(), q, r); err != nil {
			t.Fatal(err)
		}
		for i, m := range r.Markers {
			if m.ProducerID != q.Markers[i].ProducerID || len(m.Topics[0].Partitions) != partitions {
				t.Fatalf("marker %d is answered with %+v", i, m)
			}
			for _, p := range m.Topics[0].Partitions {
				if p.ErrorCode != 0 {
					t.Errorf("producer %d, partition %d: %v", m.ProducerID, p.Partition, kerr.ErrorForCode(p.ErrorCode))
				}
			}
		}
		for _, id := range all {
			if p := b.partition("t", id); p.LastStableOffset() != 4 || p.EndOffset() != 4 {
				t.Fatalf("partition %d is stable below %d of %d", id, p.LastStableOffset(), p.EndOffset())
			}
		}
	}
}

func TestMarkersAreRefusedPartitionByPartition(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 2, nil)
	b.begin("t", 0, transactionalBatch(1, 5, 0, "a"))
	q := kmsg.NewPtrWriteTxnMarkersRequest()
	write := func(version int16, m kmsg.WriteTxnMarkersRequestMarker) int16 {
		t.Helper()
		q.Version, q.Markers = version, []kmsg.WriteTxnMarkersRequestMarker{m}
		return raw[*kmsg.WriteTxnMarkersResponse](b, q).Markers[0].Topics[0].Partitions[0].ErrorCode
	}
	for _, c := range []struct {
		name    string
		version int16
		m       kmsg.WriteTxnMarkersRequestMarker
		want    *kerr.Error
	}{
		{"no such topic", 1, marker(0, record.Marker{ProducerID: 1, ProducerEpoch: 5}, "nothing", 0), kerr.UnknownTopicOrPartition},
		{"no such partition", 1, marker(0, record.Marker{ProducerID: 1, ProducerEpoch: 5}, "t", 2), kerr.UnknownTopicOrPartition},
		{"no producer", 1, marker(0, record.Marker{ProducerID: -1}, "t", 0), kerr.InvalidRequest},
		{"an older epoch", 1, marker(0, record.Marker{ProducerID: 1, ProducerEpoch: 4}, "t", 0), kerr.InvalidProducerEpoch},
		{"version 2, the epoch of the records", 2, marker(2, record.Marker{ProducerID: 1, ProducerEpoch: 5}, "t", 0), kerr.InvalidProducerEpoch},
		{"version 1, the epoch of the records", 2, marker(1, record.Marker{ProducerID: 1, ProducerEpoch: 5, CoordinatorEpoch: 7}, "t", 0), nil},
		{"an older coordinator", 1, marker(0, record.Marker{ProducerID: 1, ProducerEpoch: 5, CoordinatorEpoch: 6}, "t", 0), kerr.TransactionCoordinatorFenced},
		{"where it has written nothing", 1, marker(0, record.Marker{ProducerID: 1, ProducerEpoch: 5}, "t", 1), nil},
	} {
		want := int16(0)
		if c.want != nil {
			want = c.want.Code
		}
		if got := write(c.version, c.m); got != want {
			t.Errorf("%s: %v", c.name, kerr.ErrorForCode(got))
		}
	}
}
