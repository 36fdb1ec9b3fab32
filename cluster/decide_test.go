package cluster

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 2)) }

// brokersIn makes brokers 1…n, spread over racks in turn.
func brokersIn(n int, racks ...string) *Image {
	d := new(Image).delta()
	for id := range n {
		b := Broker{ID: int32(id + 1), Identity: fmt.Sprint(id + 1)}
		if len(racks) > 0 {
			b.Rack = racks[id%len(racks)]
		}
		d.putBroker(&b)
	}
	return d.image(1)
}

func with(t testing.TB, i *Image, rs ...Record) *Image {
	t.Helper()
	return must(i.Apply(rs...))(t)
}

func TestTopicNamesFollowKafkasRules(t *testing.T) {
	for _, name := range []string{"a", "a.b", "a_b", "A-9", "...", strings.Repeat("x", 249)} {
		if err := ValidateTopicName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", ".", "..", "a b", "a/b", "ä", "a\x00", strings.Repeat("x", 250)} {
		if err := ValidateTopicName(name); !errors.Is(err, ErrInvalidTopicName) || !strings.HasPrefix(err.Error(), "Topic name is invalid: ") {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCreateTopicRefusesInKafkasWords(t *testing.T) {
	i := with(t, brokersIn(3), TopicRecord{Topic{"a.b", TopicID{1}, []Partition{{Replicas: []int32{1}}}, nil}},
		BrokerFenceRecord{3, true})
	by := func(as ...Assignment) NewTopic {
		return NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Assignments: as}
	}
	count := by(Assignment{0, []int32{1}})
	count.Partitions = 1
	factor := by(Assignment{0, []int32{1}})
	factor.ReplicationFactor = 1
	for _, c := range []struct {
		ask  NewTopic
		want error
		msg  string
	}{
		{NewTopic{Name: "a.b", Partitions: 1, ReplicationFactor: 1}, ErrTopicExists, "Topic 'a.b' already exists."},
		{NewTopic{Name: "a_b", Partitions: 1, ReplicationFactor: 1}, ErrInvalidTopicName, "Topic 'a_b' collides with existing topic: a.b"},
		{NewTopic{Name: "t", Partitions: 0, ReplicationFactor: 1}, ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value."},
		{NewTopic{Name: "t", Partitions: -2, ReplicationFactor: 1}, ErrInvalidPartitions, "Number of partitions was set to an invalid non-positive value."},
		{NewTopic{Name: "t", Partitions: 10_001, ReplicationFactor: 1}, ErrTooManyPartitions, "Excessively large number of partitions per request."},
		{NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 0}, ErrInvalidReplicationFactor, "Replication factor must be larger than 0, or -1 to use the default value."},
		{NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 4}, ErrInvalidReplicationFactor, "Unable to replicate the partition 4 time(s): The target replication factor of 4 cannot be reached because only 3 broker(s) are registered."},
		{factor, ErrInvalidRequest, "A manual partition assignment was specified, but replication factor was not set to -1."},
		{count, ErrInvalidRequest, "A manual partition assignment was specified, but numPartitions was not set to -1."},
		{by(Assignment{1, []int32{1}}), ErrInvalidReplicaAssignment, "partitions should be a consecutive 0-based integer sequence"},
		{by(Assignment{0, []int32{1}}, Assignment{0, []int32{1}}), ErrInvalidReplicaAssignment, "Found multiple manual partition assignments for partition 0"},
		{by(Assignment{0, nil}), ErrInvalidReplicaAssignment, "The manual partition assignment includes an empty replica list."},
		{by(Assignment{0, []int32{9}}), ErrInvalidReplicaAssignment, "The manual partition assignment includes broker 9, but no such broker is registered."},
		{by(Assignment{0, []int32{2, 1, 2}}), ErrInvalidReplicaAssignment, "The manual partition assignment includes the broker 2 more than once."},
		{by(Assignment{0, []int32{1, 2}}, Assignment{1, []int32{1}}), ErrInvalidReplicaAssignment, "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s)."},
		{by(Assignment{0, []int32{3}}), ErrInvalidReplicaAssignment, "All brokers specified in the manual partition assignment for partition 0 are fenced or in controlled shutdown."},
	} {
		rs, err := CreateTopic(i, c.ask, seeded(1))
		if rs != nil || !errors.Is(err, c.want) || err.Error() != c.msg {
			t.Errorf("%+v:\n got %v\nwant %s", c.ask, err, c.msg)
		}
	}
}

func TestCreateTopicTakesDefaultsAndAssignments(t *testing.T) {
	i := brokersIn(3)
	made := func(n NewTopic) Topic {
		return must(CreateTopic(i, n, seeded(1)))(t)[0].(TopicRecord).Topic
	}
	d := made(NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, DefaultPartitions: 4, DefaultReplicationFactor: 2})
	if len(d.Partitions) != 4 || len(d.Partitions[0].Replicas) != 2 || d.ID.IsZero() {
		t.Fatalf("defaults: %+v", d)
	}
	a := made(NewTopic{Name: "t", Partitions: -1, ReplicationFactor: -1, Configs: map[string]string{"a": "b"},
		Assignments: []Assignment{{1, []int32{3, 1}}, {0, []int32{2, 3}}}})
	if want := []Partition{{Replicas: []int32{2, 3}}, {Replicas: []int32{3, 1}}}; !reflect.DeepEqual(a.Partitions, want) || a.Configs["a"] != "b" {
		t.Fatalf("assignment: %+v", a)
	}
}

func TestPartitionsAreAddedInKafkasWords(t *testing.T) {
	i := with(t, brokersIn(3), TopicRecord{Topic{"t", TopicID{1}, []Partition{{Replicas: []int32{1, 2}}, {Replicas: []int32{2, 3}}}, nil}})
	for _, c := range []struct {
		topic  string
		count  int32
		assign [][]int32
		want   error
		msg    string
	}{
		{"x", 3, nil, ErrUnknownTopic, "This server does not host this topic-partition."},
		{"t", 2, nil, ErrInvalidPartitions, "Topic already has 2 partition(s)."},
		{"t", 1, nil, ErrInvalidPartitions, "The topic t currently has 2 partition(s); 1 would not be an increase."},
		{"t", 20_000, nil, ErrTooManyPartitions, "Excessively large number of partitions per request."},
		{"t", 4, [][]int32{{1, 2}}, ErrInvalidReplicaAssignment, "Attempted to add 2 additional partition(s), but only 1 assignment(s) were specified."},
		{"t", 3, [][]int32{{1}}, ErrInvalidReplicaAssignment, "The manual partition assignment includes a partition with 1 replica(s), but this is not consistent with previous partitions, which have 2 replica(s)."},
	} {
		_, err := AddPartitions(i, c.topic, c.count, c.assign, seeded(1))
		if !errors.Is(err, c.want) || err.Error() != c.msg {
			t.Errorf("%s to %d:\n got %v\nwant %s", c.topic, c.count, err, c.msg)
		}
	}
	i = with(t, i, must(AddPartitions(i, "t", 4, nil, seeded(1)))(t)...)
	// Brokers 1 and 3 held one, and 3 led none.
	if got := i.Topic("t").Partitions; len(got) != 4 || !slices.Equal(got[2].Replicas, []int32{3, 1}) {
		t.Fatalf("partitions %v", got)
	}
	i = with(t, i, must(AddPartitions(i, "t", 5, [][]int32{{3, 2}}, nil))(t)...)
	if got := i.Topic("t").Partitions[4].Replicas; !slices.Equal(got, []int32{3, 2}) {
		t.Fatalf("assigned %v", got)
	}
}

func TestOnlyDifferentSettingsNeedRecords(t *testing.T) {
	i := with(t, brokersIn(1), TopicRecord{Topic{"t", TopicID{1}, []Partition{{Replicas: []int32{1}}}, map[string]string{"a": "1"}}})
	for _, r := range []Resource{{TopicResource, "t"}, ClusterDefault, BrokerConfig(1), {GroupResource, "g"}, {ClientMetricsResource, "m"}} {
		j := with(t, i, must(SetConfigs(i, r, []ConfigChange{{"a", ptr("1")}, {"b", ptr("2")}, {"c", nil}}))(t)...)
		if got := j.Config(r); len(got) != 2 || got["a"] != "1" || got["b"] != "2" {
			t.Fatalf("%v: %v", r, got)
		}
		if rs := must(SetConfigs(j, r, []ConfigChange{{"a", ptr("1")}, {"c", nil}}))(t); rs != nil {
			t.Fatalf("%v: records %v", r, rs)
		}
		// Of two changes of one setting the last one holds.
		j = with(t, j, must(SetConfigs(j, r, []ConfigChange{{"a", nil}, {"a", ptr("1")}, {"b", nil}}))(t)...)
		if got := j.Config(r); len(got) != 1 || got["a"] != "1" {
			t.Fatalf("%v: %v", r, got)
		}
		j = with(t, j, must(SetConfigs(j, r, []ConfigChange{{"a", nil}}))(t)...)
		if got := j.Config(r); got != nil {
			t.Fatalf("%v: %v", r, got)
		}
	}
	for r, want := range map[Resource]error{
		{TopicResource, "x"}: ErrUnknownTopic, {BrokerResource, "9"}: ErrUnknownBroker, {BrokerResource, "x"}: ErrInvalidRequest,
		{BrokerResource, "01"}: ErrInvalidRequest, {GroupResource, ""}: ErrInvalidRequest, {1, "x"}: ErrInvalidRequest,
	} {
		if _, err := SetConfigs(i, r, nil); !errors.Is(err, want) {
			t.Errorf("%v: %v", r, err)
		}
	}
}

func TestTopicsAreDeletedByNameAndById(t *testing.T) {
	i := with(t, brokersIn(1), TopicRecord{Topic{"t", TopicID{1}, []Partition{{Replicas: []int32{1}}}, nil}})
	for _, rs := range [][]Record{must(DeleteTopic(i, "t"))(t), must(DeleteTopicByID(i, TopicID{1}))(t)} {
		j := with(t, i, rs...)
		if j.Topic("t") != nil || j.TopicByID(TopicID{1}) != nil || len(j.Topics()) != 0 || j.Partitions() != 0 {
			t.Fatalf("%+v", j.Topics())
		}
		if _, err := CreateTopic(j, NewTopic{Name: "t", Partitions: 1, ReplicationFactor: 1}, nil); err != nil {
			t.Fatal(err)
		}
	}
	_, err := DeleteTopic(i, "x")
	refused(t, err, ErrUnknownTopic)
	_, err = DeleteTopicByID(i, TopicID{2})
	refused(t, err, ErrUnknownTopicID)
}

func TestIdsHaveKafkasForm(t *testing.T) {
	rnd := seeded(3)
	for range 1000 {
		id := NewTopicID(rnd)
		s := id.String()
		if len(s) != 22 || s[0] == '-' || id[6]>>4 != 4 || id[8]>>6 != 2 {
			t.Fatalf("id %s", s)
		}
		if back, err := ParseTopicID(s); err != nil || back != id {
			t.Fatalf("%s became %s, %v", s, back, err)
		}
	}
	for _, s := range []string{"", "short", strings.Repeat("A", 23), "AAAAAAAAAAAAAAAAAAAA+A"} {
		if _, err := ParseTopicID(s); err == nil {
			t.Errorf("%q is an id", s)
		}
	}
}

func TestTopicsFromBeginsAPage(t *testing.T) {
	i := imageOf(t, 5)
	if got := i.TopicsFrom("topic-000003"); len(got) != 2 || got[0].Name != "topic-000003" {
		t.Fatalf("%d topics", len(got))
	}
	if got := i.TopicsFrom("zzz"); len(got) != 0 {
		t.Fatalf("%d topics", len(got))
	}
}
