package cluster

import (
	"bytes"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// state is an image as bytes: equal images have equal snapshots.
func state(t testing.TB, i *Image) string {
	t.Helper()
	var b bytes.Buffer
	if err := writeSnapshot(&b, i); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// randomChange decides on something that is likely to be possible.
func randomChange(rnd *rand.Rand) func(*Image) ([]Record, error) {
	name := fmt.Sprintf("topic-%d", rnd.IntN(30))
	value := fmt.Sprint(rnd.IntN(3))
	v := &value
	if rnd.IntN(3) == 0 {
		v = nil
	}
	resources := []Resource{{TopicResource, name}, ClusterDefault, BrokerConfig(1), {GroupResource, "g"}, {ClientMetricsResource, "m"}}
	id := int32(1 + rnd.IntN(5))
	switch rnd.IntN(11) {
	case 0, 1, 2:
		return func(i *Image) ([]Record, error) {
			return CreateTopic(i, NewTopic{Name: name, Partitions: 1 + rnd.Int32N(4), ReplicationFactor: 1, Configs: map[string]string{"a": value}}, rnd)
		}
	case 3:
		return func(i *Image) ([]Record, error) { return DeleteTopic(i, name) }
	case 4:
		return func(i *Image) ([]Record, error) { return AddPartitions(i, name, 2+rnd.Int32N(6), nil, rnd) }
	case 5, 6:
		r := resources[rnd.IntN(len(resources))]
		return func(i *Image) ([]Record, error) {
			return SetConfigs(i, r, []ConfigChange{{"a", v}, {"b", &value}})
		}
	case 7:
		return register(Broker{ID: id, Identity: value, Incarnation: value, Rack: value})
	case 8:
		return func(i *Image) ([]Record, error) { return fence(i, id, rnd.IntN(2) == 0) }
	case 9:
		if id > 1 {
			return func(i *Image) ([]Record, error) { return UnregisterBroker(i, id) }
		}
		return records(FeatureRecord{Name: value, Level: int16(rnd.IntN(2))})
	}
	return func(i *Image) ([]Record, error) { return Reassign(i, name, 0, []int32{id}, true) }
}

// checkImage checks that an image's indexes agree with each other.
func checkImage(t testing.TB, i *Image) {
	t.Helper()
	partitions := 0
	for n, topic := range i.Topics() {
		partitions += len(topic.Partitions)
		if i.Topic(topic.Name) != topic || i.TopicByID(topic.ID) != topic {
			t.Fatalf("topic %s is not found by name or id", topic.Name)
		}
		if n > 0 && i.topics[n-1].Name >= topic.Name {
			t.Fatalf("topics out of order at %s", topic.Name)
		}
	}
	if n := len(i.Topics()); i.byName.len != n || i.byID.len != n || i.collisions.len != n || i.Partitions() != partitions {
		t.Fatalf("%d topics, by name %d, by id %d, collisions %d; %d partitions counted as %d", n, i.byName.len, i.byID.len, i.collisions.len, partitions, i.Partitions())
	}
	for n := 1; n < len(i.Brokers()); n++ {
		if i.brokers[n-1].ID >= i.brokers[n].ID {
			t.Fatalf("brokers out of order: %v", i.brokers)
		}
	}
}

// TestReplayEqualsTheLiveImage makes random changes with snapshots in between, and reopens the
// directory, or a copy of it taken while it is in use, as a crash would leave it.
func TestReplayEqualsTheLiveImage(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			rnd, dir := rand.New(rand.NewPCG(seed, 1)), t.TempDir()
			m := open(t, dir)
			m.change(register(Broker{ID: 1, Identity: "1"}))
			for range 120 {
				before := state(t, m.Image())
				if _, err := m.Change(t.Context(), randomChange(rnd)); err != nil && state(t, m.Image()) != before {
					t.Fatalf("a refused change left something: %v", err)
				}
				checkImage(t, m.Image())
				switch rnd.IntN(24) {
				case 0, 1:
					if err := m.raft.Snapshot().Error(); err != nil {
						t.Log(err) // nothing new since the last one
					}
				case 2:
					want := state(t, m.Image())
					m.close()
					m = open(t, dir)
					sameState(t, m.Image(), want)
				case 3:
					want := state(t, m.Image())
					m = open(t, copyDir(t, dir))
					dir = m.dir
					sameState(t, m.Image(), want)
				}
			}
		})
	}
}

func sameState(t *testing.T, i *Image, want string) {
	t.Helper()
	checkImage(t, i)
	if got := state(t, i); got != want {
		t.Fatalf("after a restart:\n%q\nbefore:\n%q", got, want)
	}
}

// copyDir copies a data directory that is in use, as kill -9 would leave it.
func copyDir(t *testing.T, from string) string {
	t.Helper()
	to := t.TempDir()
	err := filepath.WalkDir(from, func(path string, e fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(from, path)
		if err != nil || e.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o755)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o644)
	})
	if err != nil {
		t.Fatal(err)
	}
	return to
}

func TestAnImageNeverChanges(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	i := must(new(Image).Apply(BrokerRecord{Broker{ID: 1, Identity: "1"}}))(t)
	var images []*Image
	var states []string
	for range 300 {
		rs, err := randomChange(rnd)(i)
		if err != nil || len(rs) == 0 {
			continue
		}
		images, states = append(images, i), append(states, state(t, i))
		i = must(i.Apply(rs...))(t)
		checkImage(t, i)
	}
	for n, old := range images {
		if state(t, old) != states[n] {
			t.Fatalf("image %d was changed by a later one", n)
		}
		checkImage(t, old)
	}
}

func TestASnapshotHoldsTheWholeImage(t *testing.T) {
	v := "v"
	i := must(new(Image).Apply(
		ClusterRecord{"AAAAAAAAQACAAAAAAAAAAQ"}, FeatureRecord{"metadata.version", 3}, ProducerIDsRecord{5000},
		BrokerRecord{Broker{2, "run", "dir", "h", 9092, "h:9093", "r", true}},
		ConfigRecord{ClusterDefault, "x", &v}, ConfigRecord{Resource{GroupResource, "g"}, "y", &v},
		TopicRecord{Topic{"b", TopicID{2}, []Partition{{Replicas: []int32{2, 1}}, {Replicas: []int32{1}}}, map[string]string{"c": "1", "a": "2"}}},
		TopicRecord{Topic{"a", TopicID{1}, []Partition{{Replicas: []int32{1}}}, nil}},
	))(t)
	i.index = 77
	got := must(readSnapshot(bytes.NewReader([]byte(state(t, i)))))(t)
	if got.Index() != 77 || got.ClusterID() != i.ClusterID() || got.NextProducerID() != 5000 ||
		!reflect.DeepEqual(got.Features(), i.Features()) || !reflect.DeepEqual(got.Brokers(), i.Brokers()) ||
		!reflect.DeepEqual(got.Topics(), i.Topics()) || !reflect.DeepEqual(got.configs, i.configs) {
		t.Fatalf("got  %+v\nwant %+v", got, i)
	}
}
