package broker

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// readBytes counts what a client is sent by each node in answer to Fetch.
type readBytes [4]atomic.Int64

func (r *readBytes) OnBrokerRead(meta kgo.BrokerMetadata, key int16, n int, _, _ time.Duration, err error) {
	if key == int16(kmsg.Fetch) && err == nil && meta.NodeID > 0 && meta.NodeID < 4 {
		r[meta.NodeID].Add(int64(n))
	}
}

// nearby consumes as a client in node 3's rack, and checks that records come one after the other.
type nearby struct {
	t    *testing.T
	got  []*kgo.Record
	seen atomic.Int64 // the offset after the last
}

func (n *nearby) consume(ctx context.Context, c *kgo.Client, want int64) {
	for n.seen.Load() < want {
		f := c.PollFetches(ctx)
		if ctx.Err() != nil {
			n.t.Errorf("%d of %d records", n.seen.Load(), want)
			return
		}
		f.EachRecord(func(r *kgo.Record) {
			if r.Offset != n.seen.Load() {
				n.t.Errorf("offset %d after %d", r.Offset, n.seen.Load()-1)
			}
			n.got = append(n.got, r)
			n.seen.Store(r.Offset + 1)
		})
	}
}

// A client that reads from the replica in its rack (KIP-392) sees every record once, in order, and none that is not
// committed, whoever leads and wherever the replicas go meanwhile.
func TestAFollowerServesWhatIsCommittedWhateverHappens(t *testing.T) {
	c := startCluster(t, 3, map[string]string{"broker.rack": "rack-{id}"})
	c.topic("t", 1)
	reads := &readBytes{}
	const rounds, each = 7, 200
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	consumer := c.client(kgo.Rack("rack-3"), kgo.WithHooks(reads), kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{"t": {0: kgo.NewOffset().AtStart()}}))
	n := &nearby{t: t}
	done := make(chan struct{})
	go func() { n.consume(ctx, consumer, rounds*each); close(done) }()

	p := c.client(kgo.DefaultProduceTopic("t"))
	acked := make([]string, rounds*each)
	write := func(round int) {
		for i := range each {
			r := kgo.StringRecord(fmt.Sprintf("%d-%d", round, i))
			p.Produce(ctx, r, func(r *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
					return
				}
				acked[r.Offset] = string(r.Value)
			})
			if i%20 == 0 {
				time.Sleep(time.Millisecond) // batches, not one
			}
		}
		if err := p.Flush(ctx); err != nil {
			t.Error(err)
		}
	}
	restart := func(id int32) { c.node(id).restart() }
	move := func(replicas ...int32) {
		var moves kadm.AlterPartitionAssignmentsReq
		moves.Assign("t", 0, replicas)
		if r, err := c.admin().AlterPartitionAssignments(ctx, moves); err != nil || r.Error() != nil {
			t.Error(err, r.Error())
		}
		c.eventually("the move", func() bool {
			got := c.node(1).meta.Image().Topic("t").Partitions[0]
			return slices.Equal(got.Replicas, replicas) && !got.Moving()
		})
	}
	for round, event := range []func(){
		func() {},
		func() { restart(1) },
		func() { move(2, 1) }, // the replica that is read goes
		func() {},
		func() { move(1, 2, 3) },
		func() { restart(2) },
		func() { restart(3) }, // and the node itself
	} {
		wrote := make(chan struct{})
		go func() { write(round); close(wrote) }()
		event()
		<-wrote
		c.eventually("the reader", func() bool { return n.seen.Load() == int64(each*(round+1)) })
	}
	<-done
	for i, r := range n.got {
		if string(r.Value) != acked[i] {
			t.Fatalf("offset %d: read %q, acknowledged %q", i, r.Value, acked[i])
		}
	}
	if reads[3].Load() == 0 || reads[1].Load()+reads[2].Load() < each {
		t.Error("not read from the replica in the client's rack, or from nobody else while that was gone")
	}
	t.Logf("bytes read from each node: %d, %d, %d", reads[1].Load(), reads[2].Load(), reads[3].Load())
}

// A group's committed offset never goes back, not for a moment, whoever coordinates the group.
func TestACommittedOffsetNeverGoesBack(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 1)
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	var committed atomic.Int64 // acknowledged
	stop := make(chan struct{})
	done := make(chan struct{}, 2)
	admin := c.admin()
	go func() {
		defer func() { done <- struct{}{} }()
		for next := int64(1); ; next++ {
			for {
				var offsets kadm.Offsets
				offsets.AddOffset("t", 0, next, -1)
				r, err := admin.CommitOffsets(ctx, "g", offsets)
				if err == nil && r.Error() == nil {
					break
				}
				select {
				case <-stop:
					return
				case <-time.After(5 * time.Millisecond):
				}
			}
			committed.Store(next)
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	reader := c.admin()
	var fetches, back int
	go func() {
		defer func() { done <- struct{}{} }()
		var seen int64
		for {
			select {
			case <-stop:
				return
			default:
			}
			least := max(seen, committed.Load())
			r, err := reader.FetchOffsets(ctx, "g")
			if err != nil || r.Error() != nil {
				time.Sleep(time.Millisecond)
				continue
			}
			fetches++
			o, ok := r.Lookup("t", 0)
			if least > 0 && (!ok || o.At < least) {
				back++
				t.Errorf("fetch %d: %d (there: %v) after %d", fetches, o.At, ok, least)
			}
			seen = max(seen, o.At)
		}
	}()
	progress := func() {
		t.Helper()
		from := committed.Load()
		for committed.Load() < from+20 {
			if ctx.Err() != nil {
				t.Fatal("commits do not get on")
			}
			time.Sleep(time.Millisecond)
		}
	}
	progress()
	for id := int32(1); id <= 3; id++ {
		c.node(id).restart()
		progress()
	}
	c.each(func(b *testBroker) { b.stop() })
	c.each(func(b *testBroker) { b.start() })
	progress()
	close(stop)
	<-done
	<-done
	t.Logf("%d commits, %d fetches, %d of them went back", committed.Load(), fetches, back)
}
