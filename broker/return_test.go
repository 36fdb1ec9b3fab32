package broker

import (
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/cluster"
)

// A partition that is moved away and back again: its old files are deleted before the new ones
// are made, not afterwards, and with the old ones the old votes.
func TestAReplicaThatComesBackAtOnceKeepsItsFiles(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	with := b.meta.Image()
	id := with.Topic("t").ID
	without, err := with.Apply(cluster.TopicRemovedRecord{ID: id})
	if err != nil {
		t.Fatal(err)
	}
	x := b.replicas.get(id, 0)
	if _, err := b.replicas.open(x); err != nil {
		t.Fatal(err)
	}
	x.opening.Lock() // the removal takes a while
	b.replicas.follow(without)
	b.replicas.follow(with)
	again := b.replicas.get(x.key.topic, 0)
	if again == x {
		t.Fatal("the same replica")
	}
	opened := make(chan error, 1)
	go func() {
		_, err := b.replicas.open(again)
		opened <- err
	}()
	select {
	case err := <-opened:
		t.Fatalf("opened while the old files were there: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	x.opening.Unlock()
	if err := <-opened; err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(again.dir); err != nil {
		t.Error(err)
	}
	p := b.client(kgo.DefaultProduceTopic("t"))
	if err := p.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
		t.Error(err)
	}
}
