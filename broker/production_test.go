package broker

import (
	"fmt"
	"net"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/record"
)

// Requests, their answers and their batches' outcomes share memory with those before them. Producers that
// repeat each other's batches at the same time, do not wait for them, and ask for a partition that does not
// exist are all told of their own batches, which are where they were told.
func TestRequestsThatShareMemoryAreToldOfTheirOwnBatches(t *testing.T) {
	const producers, partitions, rounds = 3, 4, 60
	b := startBroker(t, nil)
	b.topic("t", partitions, nil)
	var mu sync.Mutex
	told := [partitions]map[int64]string{}
	for p := range told {
		told[p] = map[int64]string{}
	}
	var all sync.WaitGroup
	for range producers {
		id := raw[*kmsg.InitProducerIDResponse](b, kmsg.NewPtrInitProducerIDRequest()).ProducerID
		conns := []net.Conn{dial(t, b), dial(t, b)}
		all.Go(func() {
			for round := range int32(rounds) {
				var both sync.WaitGroup
				for _, nc := range conns {
					q := produceRound("t", id, partitions, round)
					if round%7 == 6 {
						q.TimeoutMillis = 0
					}
					both.Go(func() {
						r, err := exchange[*kmsg.ProduceResponse](nc, q)
						if err != nil {
							t.Error(err)
							return
						}
						mu.Lock()
						defer mu.Unlock()
						noteTold(t, q, r, told[:])
					})
				}
				both.Wait()
			}
		})
	}
	all.Wait()
	checkTold(t, b, told[:], producers*rounds)
}

func dial(t *testing.T, b *testBroker) net.Conn {
	nc, err := net.Dial("tcp", b.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { nc.Close() })
	return nc
}

// produceRound is a request with a batch for each partition, and one that does not exist.
func produceRound(topic string, producer int64, partitions, round int32) *kmsg.ProduceRequest {
	q := produceRequest(topic, nil)
	q.Topics[0].Partitions = nil
	for p := range partitions + 1 {
		w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: producer, Sequence: round}})
		w.Add(record.Record{Value: []byte(roundValue(producer, p, round)), Timestamp: 1})
		x := kmsg.NewProduceRequestTopicPartition()
		x.Partition, x.Records = p, w.Build()
		q.Topics[0].Partitions = append(q.Topics[0].Partitions, x)
	}
	return q
}

func roundValue(producer int64, partition, round int32) string {
	return fmt.Sprint(producer, "-", partition, "-", round)
}

// noteTold checks an answer, and notes which value lies where by its word.
func noteTold(t *testing.T, q *kmsg.ProduceRequest, r *kmsg.ProduceResponse, told []map[int64]string) {
	if len(r.Topics) != 1 || r.Topics[0].Topic != "t" || len(r.Topics[0].Partitions) != len(told)+1 {
		t.Errorf("%+v", r)
		return
	}
	for i, a := range r.Topics[0].Partitions {
		if a.Partition != int32(i) {
			t.Errorf("partition %d at %d", a.Partition, i)
			continue
		}
		sent := record.Batch(q.Topics[0].Partitions[i].Records)
		value := roundValue(sent.ProducerID(), a.Partition, sent.BaseSequence())
		switch {
		case i == len(told):
			if a.ErrorCode != kerr.UnknownTopicOrPartition.Code {
				t.Errorf("a partition that is not there: %+v", a)
			}
		case a.ErrorCode == kerr.RequestTimedOut.Code && q.TimeoutMillis == 0:
		case a.ErrorCode != 0:
			t.Errorf("%s: %v", value, kerr.ErrorForCode(a.ErrorCode))
		default:
			if was, ok := told[i][a.BaseOffset]; ok && was != value {
				t.Errorf("%s and %s are both told %d", was, value, a.BaseOffset)
			}
			told[i][a.BaseOffset] = value
		}
	}
}

// checkTold reads all partitions, each of so many records.
func checkTold(t *testing.T, b *testBroker, told []map[int64]string, records int) {
	c := b.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	for n := 0; n < len(told)*records; {
		f := c.PollFetches(t.Context())
		if err := f.Err(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(r *kgo.Record) {
			n++
			if want, ok := told[r.Partition][r.Offset]; ok && want != string(r.Value) {
				t.Errorf("partition %d has %s at %d, its producer was told that it is %s", r.Partition, r.Value, r.Offset, want)
			}
		})
	}
}
