package broker

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startBrokerOnDisk is startBroker with as much free disk space as free says.
func startBrokerOnDisk(t *testing.T, free func() int64) *testBroker {
	t.Helper()
	b := newTestBroker(t, nil)
	b.cfg.Free = func(string) (int64, error) { return free(), nil }
	b.start()
	t.Cleanup(b.stop)
	return b
}

func TestFullDiskRefusesProducersServesReadersAndRecovers(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	b := startBrokerOnDisk(t, free.Load)
	b.topic("t", 1, nil)
	if got := b.produced(produceRequest("t", batchOf("before"))); got.ErrorCode != 0 {
		t.Fatal(kerr.ErrorForCode(got.ErrorCode))
	}
	free.Store(0)
	b.disk.check()
	if got := b.produced(produceRequest("t", batchOf("refused"))); got.ErrorCode != kerr.KafkaStorageError.Code {
		t.Errorf("full disk: %v", kerr.ErrorForCode(got.ErrorCode))
	}
	if got := consumeN(t, b.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), 1); string(got[0].Value) != "before" {
		t.Errorf("read %q", got[0].Value)
	}
	free.Store(1 << 40)
	b.disk.check()
	if got := b.produced(produceRequest("t", batchOf("after"))); got.ErrorCode != 0 || got.BaseOffset != 1 {
		t.Errorf("after space came back: %+v", got)
	}
}

// What may be deleted is deleted when space becomes short, long before its turn comes.
func TestFullDiskIsFirstAnsweredByRetention(t *testing.T) {
	var free atomic.Int64
	free.Store(1 << 40)
	b := startBrokerOnDisk(t, free.Load)
	b.topic("t", 1, map[string]*string{"retention.ms": ptr("1")})
	b.produced(produceRequest("t", batchOf("old")))
	x := b.replicas.get(b.meta.Image().Topic("t").ID, 0) // its next checkpoint is due in a minute
	moved := make(chan struct{}, 1)
	defer x.partition().Watch(moved)()
	free.Store(0)
	deadline := time.After(10 * time.Second)
	for x.partition().StartOffset() != 1 {
		select {
		case <-moved:
		case <-deadline:
			t.Fatal("ten seconds after the disk became full nothing was deleted")
		}
	}
}

// With other replicas there is no need to refuse anybody.
func TestAFullDiskGivesItsLeadershipsAway(t *testing.T) {
	c := startCluster(t, 3, map[string]string{"auto.leader.rebalance.enable": "false"})
	x := c.node(1)
	c.stop(x)
	var full atomic.Bool
	x.cfg.Free = func(string) (int64, error) {
		if full.Load() {
			return 0, nil
		}
		return 1 << 40, nil
	}
	x.start()
	c.assigned("t", 1, 2, 3)
	adm := c.admin()
	c.eventually("node 1 to lead", func() bool {
		_, _ = adm.ElectLeaders(t.Context(), kadm.ElectPreferredReplica, nil)
		b, _ := c.leads("t", 0)
		return b == x
	})
	full.Store(true)
	c.eventually("another node to lead", func() bool { b, _ := c.leads("t", 0); return b != nil && b != x })
	cl := c.client(kgo.DefaultProduceTopic("t"))
	if err := cl.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
		t.Error(err)
	}
}
