package broker

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// TestBatchesAreCommittedWhileTheRestOfTheirRequestArrives sends half of a large request, sees its first
// batches, and sends the rest.
func TestBatchesAreCommittedWhileTheRestOfTheirRequestArrives(t *testing.T) {
	const partitions, size = 12, 400 << 10
	b := startBroker(t, nil)
	b.topic("t", partitions-1, nil)
	q := produceRequest("t", nil)
	q.Topics[0].Partitions = nil
	damaged, unknown := 3, partitions-1
	admin := b.admin()
	for i := range partitions {
		p := kmsg.NewProduceRequestTopicPartition()
		p.Partition, p.Records = int32(i), batchOf(strings.Repeat(string(rune('a'+i)), size))
		if i == damaged {
			p.Records[size/2] ^= 1
		}
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, p)
	}
	for round := range 3 { // the later ones in the memory of those before
		frame := kmsg.NewRequestFormatter().AppendRequest(nil, q, 1)
		nc, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		nc.SetDeadline(time.Now().Add(time.Minute))
		if _, err := nc.Write(frame[:len(frame)/2]); err != nil {
			t.Fatal(err)
		}
		end := func(partition int32) int64 {
			ends, err := admin.ListEndOffsets(t.Context(), "t")
			if err != nil {
				t.Fatal(err)
			}
			o, _ := ends.Lookup("t", partition)
			return o.Offset
		}
		for deadline := time.Now().Add(20 * time.Second); end(0) != int64(round+1); {
			if time.Now().After(deadline) {
				t.Fatal("the first batch is not committed before the request is there")
			}
		}
		if n := end(partitions - 2); n != int64(round) {
			t.Errorf("the last batch is at %d before it was sent", n)
		}
		answer, err := exchange[*kmsg.ProduceResponse](latterHalf{nc}, q)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range answer.Topics[0].Partitions {
			switch {
			case i == damaged && p.ErrorCode != kerr.CorruptMessage.Code, i == unknown && p.ErrorCode != kerr.UnknownTopicOrPartition.Code:
				t.Errorf("partition %d: error %d", i, p.ErrorCode)
			case i != damaged && i != unknown && (p.ErrorCode != 0 || p.BaseOffset != int64(round)):
				t.Errorf("partition %d: error %d, offset %d", i, p.ErrorCode, p.BaseOffset)
			}
		}
		nc.Close()
	}
	reader := b.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for n := 0; n < 3*(partitions-2); {
		fetches := reader.PollFetches(t.Context())
		if err := fetches.Err(); err != nil {
			t.Fatal(err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if n++; string(r.Value) != strings.Repeat(string('a'+r.Partition), size) {
				t.Errorf("partition %d has other records at %d than were sent", r.Partition, r.Offset)
			}
		})
	}
}

// latterHalf is a connection on which the first half has been written.
type latterHalf struct{ net.Conn }

func (c latterHalf) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b[len(b)/2:])
	return len(b)/2 + n, err
}
