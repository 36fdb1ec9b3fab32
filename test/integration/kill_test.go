package integration

import (
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

// place is where the broker said that a record is.
type place struct {
	partition int32
	offset    int64
}

// load produces numbered records without a pause and remembers what was acknowledged.
type load struct {
	t      *testing.T
	client *kgo.Client
	stop   atomic.Bool
	done   sync.WaitGroup

	mu    sync.Mutex
	acked map[uint64]place
	sent  uint64
}

func startLoad(t *testing.T, c *kgo.Client, topic string) *load {
	l := &load{t: t, client: c, acked: map[uint64]place{}}
	l.done.Go(func() {
		for n := uint64(0); !l.stop.Load(); n++ {
			value := binary.BigEndian.AppendUint64(make([]byte, 0, 64), n)
			l.client.Produce(t.Context(), &kgo.Record{Topic: topic, Value: append(value, make([]byte, 56)...)}, l.acknowledged)
			l.sent = n + 1
			if n%50 == 0 {
				time.Sleep(time.Millisecond) // a pace that leaves the disk and the checker room
			}
		}
	})
	return l
}

func (l *load) acknowledged(r *kgo.Record, err error) {
	n := binary.BigEndian.Uint64(r.Value)
	if err != nil {
		l.t.Errorf("record %d: %v", n, err)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[n] = place{r.Partition, r.Offset}
}

func (l *load) finish() {
	l.t.Helper()
	l.stop.Store(true)
	l.done.Wait()
	if err := l.client.Flush(l.t.Context()); err != nil {
		l.t.Fatal(err)
	}
}

// check compares what the broker holds with what it acknowledged: nothing lost, nothing twice,
// offsets dense.
func (l *load) check(got map[int32][]*kgo.Record) {
	l.t.Helper()
	seen := map[uint64]place{}
	for p, records := range got {
		for i, r := range records {
			n := binary.BigEndian.Uint64(r.Value)
			at := place{p, r.Offset}
			if r.Offset != int64(i) {
				l.t.Fatalf("partition %d: record %d has offset %d", p, i, r.Offset)
			}
			if twin, twice := seen[n]; twice {
				l.t.Fatalf("record %d is at %v and at %v", n, twin, at)
			}
			seen[n] = at
		}
	}
	for n, at := range l.acked {
		if seen[n] != at {
			l.t.Fatalf("record %d was acknowledged at %v and is at %v", n, at, seen[n])
		}
	}
	if uint64(len(l.acked)) != l.sent || len(seen) != len(l.acked) {
		l.t.Fatalf("%d records sent, %d acknowledged, %d stored", l.sent, len(l.acked), len(seen))
	}
}

// kills is how often the broker is killed: often enough to hit every place in the write path.
const kills = 200

func TestKilledBrokerLosesAndRepeatsNothing(t *testing.T) {
	b := brokertest.Start(t, "--set", "offsets.topic.num.partitions=1")
	createTopic(t, b, "t", 3, map[string]*string{"segment.bytes": ptr("1048576")})
	// A broker that dies while it says hello looks to this client like one that wants TLS, and it gives up; the option
	// tells it that such a broker may come back.
	c := client(t, b, kgo.RecordPartitioner(kgo.RoundRobinPartitioner()), kgo.AlwaysRetryEOF())
	l := startLoad(t, c, "t")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	n := kills
	if testing.Short() {
		n = 10
	}
	for range n {
		time.Sleep(time.Duration(rnd.Int64N(int64(60 * time.Millisecond))))
		b.Kill()
		b.Restart()
	}
	l.finish()
	l.check(readAll(t, b, "t"))
	t.Logf("%d kills, %d records", n, len(l.acked))
}

func TestKilledBrokerKeepsCommittedOffsets(t *testing.T) {
	b := brokertest.Start(t, "--set", "offsets.topic.num.partitions=1", "--set", "group.initial.rebalance.delay.ms=0")
	createTopic(t, b, "t", 1, nil)
	p := client(t, b, kgo.DefaultProduceTopic("t"))
	for round := range 10 {
		if err := p.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		c := client(t, b, kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		f := c.PollFetches(t.Context())
		records := f.Records()
		if len(records) != 1 || records[0].Offset != int64(round) {
			t.Fatalf("round %d read %d records, the first at %d; want the one at %d", round, len(records), records[0].Offset, round)
		}
		if err := c.CommitRecords(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
		b.Kill()
		b.Restart()
		c.Close()
	}
}

func ptr[T any](v T) *T { return &v }
