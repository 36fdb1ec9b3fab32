package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
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
