package broker

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

func TestAClockThatIsSetAheadIsBelievedOnlyAfterAnHour(t *testing.T) {
	begin := time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC)
	g := clockGuard{wall: begin}
	running, wall := time.Duration(0), begin
	for _, c := range []struct {
		what        string
		passes, set time.Duration
		ahead       time.Duration
	}{
		{"an hour passes", time.Hour, 0, 0},
		{"set right by a little", time.Second, 59 * time.Second, 0},
		{"a day ahead", time.Second, 24 * time.Hour, 24 * time.Hour},
		{"still", 30 * time.Minute, 0, 24 * time.Hour},
		{"back again", time.Second, -24 * time.Hour, 0},
		{"a day ahead once more", time.Second, 24 * time.Hour, 24 * time.Hour},
		{"and another", 59 * time.Minute, 24 * time.Hour, 48 * time.Hour},
		{"it stays there", 59 * time.Minute, 0, 48 * time.Hour},
		{"for an hour", time.Minute, 0, 0},
		{"a day back", time.Second, -24 * time.Hour, 0},
		{"years ahead", time.Second, 100000 * time.Hour, 100000 * time.Hour},
	} {
		running += c.passes
		wall = wall.Add(c.passes + c.set)
		if got := g.look(wall, running); got != c.ahead {
			t.Errorf("%s: %v ahead; want %v", c.what, got, c.ahead)
		}
	}
}

// The clock goes a day ahead and back while records are produced, and retention, of an hour, runs
// at every turn.
func TestAClockThatJumpsLosesNothing(t *testing.T) {
	var jump atomic.Int64
	guard := clockGuard{wall: time.Now()}
	begin := time.Now()
	clock := func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
	b := startBrokerWithClock(t, map[string]string{"log.message.timestamp.type": "LogAppendTime"}, clock)
	b.topic("t", 1, map[string]*string{"retention.ms": ptr("3600000"), "segment.bytes": ptr("1048576"), "segment.ms": ptr("60000")})
	n := 0
	for _, set := range []time.Duration{0, 24 * time.Hour, 0, -24 * time.Hour, 0} {
		jump.Store(int64(set))
		for range 3 {
			got := b.produced(produceRequest("t", batchOf("v")))
			if got.ErrorCode != 0 || got.BaseOffset != int64(n) {
				t.Fatalf("clock set by %v: %v at offset %d, want %d", set, kerr.ErrorForCode(got.ErrorCode), got.BaseOffset, n)
			}
			n++
		}
		b.retain("t", guard.look(clock(), time.Since(begin)))
	}
	got := consumeN(t, b.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), n)
	for i, r := range got {
		if r.Offset != int64(i) {
			t.Errorf("record %d is at offset %d", i, r.Offset)
		}
	}
}

func TestRetentionByTimeDeletesWhatIsOldByTheClock(t *testing.T) {
	var passed atomic.Int64
	clock := func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	b := startBrokerWithClock(t, map[string]string{"log.message.timestamp.type": "LogAppendTime"}, clock)
	hour := map[string]*string{"retention.ms": ptr("3600000")}
	b.topic("t", 1, hour)
	b.produced(produceRequest("t", batchOf("old")))
	passed.Store(int64(59 * time.Minute))
	b.retain("t", 0)
	if got := b.start0("t"); got != 0 {
		t.Fatalf("after 59 minutes the log starts at %d", got)
	}
	passed.Store(int64(61 * time.Minute))
	b.retain("t", 0)
	if got := b.start0("t"); got != 1 {
		t.Fatalf("after 61 minutes the log starts at %d; want 1", got)
	}
	if got := b.produced(produceRequest("t", batchOf("new"))); got.ErrorCode != 0 || got.BaseOffset != 1 {
		t.Fatalf("afterwards: %+v", got)
	}
	b.retain("t", 0)
	if got := consumeN(t, b.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 1); string(got[0].Value) != "new" {
		t.Errorf("read %q", got[0].Value)
	}
}

// startBrokerWithClock is startBroker by another clock, which may jump.
func startBrokerWithClock(t *testing.T, settings map[string]string, now func() time.Time) *testBroker {
	t.Helper()
	b := newTestBroker(t, settings)
	b.cfg.Now = now
	b.start()
	t.Cleanup(b.stop)
	return b
}

// retain runs a round of retention that may go as far as the end of partition 0 of the topic.
func (b *testBroker) retain(topic string, ahead time.Duration) {
	b.t.Helper()
	x := b.replicas.get(b.meta.Image().Topic(topic).ID, 0)
	if err := x.partition().Checkpoint(); err != nil {
		b.t.Fatal(err)
	}
	b.retainAll(ahead)
}

// start0 is where partition 0 of the topic begins.
func (b *testBroker) start0(topic string) int64 {
	b.t.Helper()
	offsets, err := b.admin().ListStartOffsets(b.t.Context(), topic)
	if err != nil {
		b.t.Fatal(err)
	}
	o, _ := offsets.Lookup(topic, 0)
	return o.Offset
}
