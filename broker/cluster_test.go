package broker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestThreeNodesServeOneLog(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 6)
	p := c.client(kgo.DefaultProduceTopic("t"))
	const n = 300
	for i := range n {
		p.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(i)), func(_ *kgo.Record, err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	got := consumeN(t, c.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), n)
	if len(got) != n {
		t.Fatalf("%d records", len(got))
	}
}

func TestWritersGoOnWhenALeaderStops(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 3)
	p := c.client(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for stopped := int32(1); stopped <= 3; stopped++ {
		c.node(stopped).stop()
		c.node(stopped).Broker = nil
		begin := time.Now()
		for i := range 9 {
			if err := p.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		t.Logf("9 records in %s after node %d stopped", time.Since(begin), stopped)
		c.node(stopped).start()
	}
	got := consumeN(t, c.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 27)
	if len(got) != 27 {
		t.Fatalf("%d records", len(got))
	}
}

func TestACommittedOffsetSurvivesItsCoordinator(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 1)
	p := c.client(kgo.DefaultProduceTopic("t"))
	for round := range 3 {
		if err := p.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		g := c.client(kgo.ConsumerGroup("g"), kgo.ConsumeTopics("t"), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if got := consumeN(t, g, 1); got[0].Offset != int64(round) {
			t.Fatalf("round %d began at %d", round, got[0].Offset)
		}
		if err := g.CommitUncommittedOffsets(t.Context()); err != nil {
			t.Fatal(err)
		}
		g.Close()
		victim := c.node(int32(round + 1))
		victim.stop()
		victim.start()
	}
}

func TestAPartitionMovesWithItsRecordsWhileItIsWrittenTo(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.assigned("t", 1)
	p := c.client(kgo.DefaultProduceTopic("t"))
	const n = 3000
	sent := 0
	write := func(k int) {
		for range k {
			p.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(sent)), func(_ *kgo.Record, err error) {
				if err != nil {
					t.Error(err)
				}
			})
			sent++
		}
	}
	write(n / 3)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var moves kadm.AlterPartitionAssignmentsReq
	moves.Assign("t", 0, []int32{2, 3})
	if r, err := c.admin().AlterPartitionAssignments(t.Context(), moves); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	write(n / 3)
	write(n / 3)
	if err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, b := range c.nodes { // each learns it soon
		for deadline := time.Now().Add(5 * time.Second); ; time.Sleep(10 * time.Millisecond) {
			im := b.meta.Image()
			got, leader := im.Topic("t").Partitions[0], b.leadership(im, im.Topic("t"), 0).leader
			if slices.Equal(got.Replicas, []int32{2, 3}) && leader > 1 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("node %d: replicas %v, leader %d", b.id, got.Replicas, leader)
			}
		}
	}
	for i, r := range consumeN(t, c.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), n) {
		if string(r.Value) != fmt.Sprint(i) || r.Offset != int64(i) {
			t.Fatalf("record %d is %q at %d", i, r.Value, r.Offset)
		}
	}
}

func TestANodeJoinsARunningClusterAndTakesAReplica(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 1)
	p := c.client(kgo.DefaultProduceTopic("t"))
	for i := range 100 {
		if err := p.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	four := c.join()
	var moves kadm.AlterPartitionAssignmentsReq
	moves.Assign("t", 0, []int32{4, 2, 3})
	if r, err := c.admin().AlterPartitionAssignments(t.Context(), moves); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if got := four.meta.Image().Topic("t").Partitions[0]; slices.Equal(got.Replicas, []int32{4, 2, 3}) && !got.Moving() {
			break
		} else if time.Now().After(deadline) {
			t.Fatalf("%+v", got)
		}
	}
	if got := consumeN(t, c.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 100); len(got) != 100 {
		t.Fatalf("%d records", len(got))
	}
}

// whole reports whether the leader of each of a topic's partitions finds all wanted members, with
// their votes.
func (c *testCluster) whole(topic string) bool {
	whole := 0
	t := c.nodes[1].meta.Image().Topic(topic)
	for _, b := range c.nodes {
		for i := range t.Partitions {
			if x := b.replicas.get(t.ID, int32(i)); x != nil && x.partition() != nil {
				m := x.partition().Membership()
				if x.partition().State().Leading && arrivedAt(members(b.meta.Image(), x.placement()), m) {
					whole++
				}
			}
		}
	}
	return whole == len(t.Partitions)
}

func TestAWipedVoterComesBackAsANewOne(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 3)
	p := c.client(kgo.DefaultProduceTopic("t"), kgo.RecordPartitioner(kgo.RoundRobinPartitioner()))
	for i := range 100 {
		if err := p.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprint(i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	wiped := c.node(1)
	wiped.stop()
	wiped.cfg.DataDir = t.TempDir()
	wiped.start()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if c.whole("t") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the wiped node's replicas did not come back")
		}
	}
	c.node(2).stop()
	c.node(2).Broker = nil // the wiped one is needed for a majority now
	if err := p.ProduceSync(t.Context(), kgo.StringRecord("more")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := consumeN(t, c.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 101); len(got) != 101 {
		t.Fatalf("%d records", len(got))
	}
}

// A data directory that changes before any replica has opened leaves a partition that nobody would found, if the
// replicas went by the directories of now: those of the creation found it, whenever they come.
func TestAPartitionIsFoundedThoughADiskWasWipedBeforeItBegan(t *testing.T) {
	c := startCluster(t, 3, nil)
	four, five := c.join(), c.join()
	c.stop(c.node(3), four, five)
	c.assigned("t", 3, 4, 5)
	five.cfg.DataDir = t.TempDir()
	five.start()
	c.node(3).start()
	four.start()
	if err := c.client(kgo.DefaultProduceTopic("t")).ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(20 * time.Second); !c.whole("t"); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the wiped node's replica did not come")
		}
	}
}

func TestAllNodesTellClientsTheSameAddresses(t *testing.T) {
	c := startCluster(t, 3, nil)
	deadline := time.Now().Add(10 * time.Second)
	told := func(b *testBroker) (addresses map[int32]string) {
		for { // a node hears a moment later of one that has registered last
			addresses = map[int32]string{}
			for _, n := range raw[*kmsg.MetadataResponse](b, kmsg.NewPtrMetadataRequest()).Brokers {
				addresses[n.NodeID] = fmt.Sprint(n.Host, ":", n.Port)
			}
			if len(addresses) == len(c.nodes) || time.Now().After(deadline) {
				return addresses
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	want := told(c.nodes[0])
	for _, b := range c.nodes {
		if got := told(b); len(got) != len(c.nodes) || !maps.Equal(got, want) {
			t.Errorf("node %d tells %v, the first one %v", b.id, got, want)
		}
	}
}

func TestACoordinatorThatIsOutOfTouchIsNotNamed(t *testing.T) {
	c := startCluster(t, 3, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	again := func(waitsFor string) {
		t.Helper()
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", waitsFor)
		}
	}
	find := func(from *testBroker) int32 {
		t.Helper()
		q := kmsg.NewPtrFindCoordinatorRequest()
		q.Version, q.CoordinatorKeys = 4, []string{"g"}
		for {
			x := raw[*kmsg.FindCoordinatorResponse](from, q).Coordinators[0]
			switch x.ErrorCode {
			case 0:
				return x.NodeID
			case kerr.CoordinatorNotAvailable.Code:
				again("a coordinator")
			default:
				t.Fatal(kerr.ErrorForCode(x.ErrorCode))
			}
		}
	}
	gone := c.node(find(c.node(1)))
	other := c.node(gone.id%3 + 1)
	id := gone.id
	find(other)
	if err := gone.Abandon(); err != nil {
		t.Fatal(err)
	}
	gone.Broker = nil
	for {
		if _, ok := other.peers.Connected(id); !ok {
			break
		}
		again("the end of the connection")
	}
	if got := find(other); got == id {
		t.Errorf("node %d is the coordinator, which is gone", got)
	}
}
