package broker

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/log"
	"quorumlog/replication"
)

// leads waits for the node that leads a partition of three replicas.
func (c *testCluster) leads(topic string, partition int32) (*testBroker, *replica) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		for _, b := range c.nodes {
			if b.Broker == nil || b.meta.Image().Topic(topic) == nil {
				continue
			}
			x := b.replicas.get(b.meta.Image().Topic(topic).ID, partition)
			if x != nil && x.partition() != nil && x.partition().State().Leading {
				return b, x
			}
		}
	}
	c.t.Fatal("nobody leads")
	return nil, nil
}

// damage flips a byte of the value that a partition's only data file holds.
func damage(t *testing.T, dir, value string) {
	t.Helper()
	file := filepath.Join(dir, "00000000000000000000.log")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte(value))
	if at < 0 {
		t.Fatal("the value is not there")
	}
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt([]byte{b[at] ^ 1}, int64(at)); err != nil {
		t.Fatal(err)
	}
}

// A leader that finds its copy damaged stops serving it at once, whoever is in line leads on, and the damaged one is
// rebuilt from the others: never the other way round.
func TestALeaderFoundDamagedWhileItRunsIsRebuiltFromTheOthers(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 1)
	damaged, x := c.leads("t", 0)
	behind := c.node(damaged.id%3 + 1)
	behind.stop()
	behind.Broker = nil
	p := c.client(kgo.DefaultProduceTopic("t"))
	const n = 20
	for i := range n {
		if err := p.ProduceSync(t.Context(), kgo.StringRecord(fmt.Sprintf("value %02d", i))).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	epoch := x.partition().State().Epoch
	damage(t, x.dir, "value 07")
	behind.start() // which is sent the damaged entry, and refuses it

	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		b, now := c.leads("t", 0)
		kept, _ := filepath.Glob(x.dir + replication.CorruptSuffix + "*") // which comes after the change of the leader
		if len(kept) == 1 && now.partition().State().Epoch > epoch && len(b.inSyncNow(now.partition())) == 3 && c.whole("t") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("node %d leads, in sync are %v, set aside %q", b.id, b.inSyncNow(now.partition()), kept)
		}
	}
	if err := p.ProduceSync(t.Context(), kgo.StringRecord("more")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	for i, r := range consumeN(t, c.client(kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart())), n+1) {
		if want := fmt.Sprintf("value %02d", i); i < n && string(r.Value) != want {
			t.Errorf("record %d is %q", i, r.Value)
		}
	}
}

// A replica that is damaged again soon after it was rebuilt is left alone: its disk cannot be trusted.
func TestAReplicaIsNotRebuiltOverAndOver(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 1)
	b, x := c.leads("t", 0)
	fail := func() { b.replicas.failed(x, x.partition(), fmt.Errorf("found: %w", log.ErrCorrupt)) }
	fail()
	for deadline := time.Now().Add(20 * time.Second); x.partition() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not rebuilt")
		}
	}
	fail()
	if _, err := b.replicas.open(x); !errors.Is(err, log.ErrCorrupt) {
		t.Errorf("opened again: %v", err)
	}
	if other, _ := c.leads("t", 0); other == b {
		t.Error("it leads")
	}
}
