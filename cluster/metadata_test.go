package cluster

import (
	"errors"
	"testing"
)

func TestANodeAloneLeadsAtOnceAndNamesTheCluster(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	if !m.IsLeader() {
		t.Fatal("does not lead when Open returns")
	}
	id := m.Image().ClusterID()
	if len(id) != 22 {
		t.Fatalf("cluster id %q", id)
	}
	if node, term := m.Leader(); node != 1 || term == 0 {
		t.Fatalf("leader %d, term %d", node, term)
	}
	m.close()
	if got := open(t, dir).Image().ClusterID(); got != id {
		t.Fatalf("cluster id %q after a restart, %q before", got, id)
	}
}

func TestADecisionThatFailsChangesNothing(t *testing.T) {
	m := open(t, t.TempDir())
	before, refused := m.Image(), errors.New("refused")
	_, err := m.Change(t.Context(), func(*Image) ([]Record, error) {
		return []Record{ProducerIDsRecord{Next: 7}}, refused
	})
	if !errors.Is(err, refused) || m.Image() != before {
		t.Fatalf("error %v, image %v", err, m.Image())
	}
	// Nor does one whose second record does not apply.
	_, err = m.Change(t.Context(), records(ProducerIDsRecord{Next: 7}, BrokerRemovedRecord{ID: 9}))
	if !errors.Is(err, ErrUnknownBroker) || m.Image() != before || m.Err() != nil {
		t.Fatalf("error %v, image %v, failure %v", err, m.Image(), m.Err())
	}
}

func TestProducerIDsAreNeverHandedOutTwice(t *testing.T) {
	dir, next := t.TempDir(), int64(0)
	for range 3 {
		m := open(t, dir)
		for range 3 {
			if first := must(m.AllocateProducerIDs(t.Context(), ProducerIDBlock))(t); first != next {
				t.Fatalf("block begins at %d, expected %d", first, next)
			}
			next += ProducerIDBlock
		}
		m.close()
	}
	if _, err := open(t, dir).AllocateProducerIDs(t.Context(), 1<<62+1<<62-1); !errors.Is(err, ErrInvalidRequest) {
		t.Fatalf("a block beyond the last id: %v", err)
	}
}

func TestTopicsSurviveARestart(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	m.change(register(Broker{ID: 1, Identity: "A", Host: "localhost", Port: 9092}))
	made := m.change(create("a.b", 3)).Topic("a.b")
	if made == nil || len(made.Partitions) != 3 || made.Partitions[2].Replicas[0] != 1 {
		t.Fatalf("topic %+v", made)
	}
	m.close()
	i := open(t, dir).Image()
	if got := i.TopicByID(made.ID); got == nil || got.Name != "a.b" || i.Topic("a.b") != got || i.Partitions() != 3 {
		t.Fatalf("topic %+v after a restart", got)
	}
}
