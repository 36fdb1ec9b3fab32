package broker

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
)

func TestTheHighestEpochIsTheLeader(t *testing.T) {
	table := newLeaderTable()
	k := replicaKey{cluster.TopicID{1}, 2}
	if l := table.get(k); l.node != -1 || l.epoch != -1 {
		t.Fatalf("%+v before anything is known", l)
	}
	for _, step := range []struct {
		say, want leader
	}{
		{leader{node: 2, epoch: 5}, leader{node: 2, epoch: 5}},
		{leader{node: 3, epoch: 4}, leader{node: 2, epoch: 5}},
		{leader{node: 2, epoch: 5, isr: []int32{2, 3}}, leader{node: 2, epoch: 5, isr: []int32{2, 3}}},
		{leader{node: 2, epoch: 5}, leader{node: 2, epoch: 5, isr: []int32{2, 3}}}, // a follower's word of the same epoch
		{leader{node: 3, epoch: 6}, leader{node: 3, epoch: 6}},
	} {
		table.learn(k, step.say)
		if got := table.get(k); got.node != step.want.node || got.epoch != step.want.epoch || !slices.Equal(got.isr, step.want.isr) {
			t.Fatalf("after %+v: %+v, want %+v", step.say, got, step.want)
		}
	}
}

func TestWhatAGroupHeardOfALeaderDoesNotUndoThatItLeadsNoMore(t *testing.T) {
	table := newLeaderTable()
	k := replicaKey{cluster.TopicID{1}, 0}
	table.learn(k, leader{node: 2, epoch: 3, isr: []int32{2}})
	heard := leader{node: 1, epoch: 5}
	if l := table.later(k, heard); l.node != 1 {
		t.Fatalf("%+v while the group knows of a later leader", l)
	}
	if !table.resigned(k, 1, 5) || table.resigned(k, 1, 5) {
		t.Fatal("that node 1 leads no more is news, once")
	}
	table.learn(k, heard)
	if l := table.get(k); l.node != 2 {
		t.Fatalf("%+v after a follower's word", l)
	}
	if l := table.later(k, heard); l.node != 2 {
		t.Fatalf("%+v is later", l)
	}
	if l := table.later(k, leader{node: 1, epoch: 6}); l.node != 1 {
		t.Fatalf("%+v, but node 1 was elected again", l)
	}
	table.learn(k, leader{node: 1, epoch: 5, isr: []int32{1}}) // and takes it back
	if l := table.later(k, heard); l.node != 1 {
		t.Fatalf("%+v after the leader's own word", l)
	}
}

func TestADeposedLeaderIsNotNamed(t *testing.T) {
	table := newLeaderTable()
	k := replicaKey{cluster.TopicID{1}, 0}
	if table.lead(k, leader{node: 1, epoch: 3}) == nil {
		t.Fatal("a new leader is no news")
	}
	if table.lead(k, leader{node: 1, epoch: 3}) != nil {
		t.Fatal("told twice")
	}
	told := table.resign(k)
	if l := table.get(k); l.node != -1 || l.epoch != 3 {
		t.Fatalf("%+v", l)
	}
	if len(table.encode()) != 0 {
		t.Fatal("it still tells others that it leads")
	}
	if table.resign(k) != nil {
		t.Fatal("what it does not lead is news")
	}

	other := newLeaderTable()
	other.learn(k, leader{node: 1, epoch: 3, isr: []int32{1, 2}})
	lost := 0
	hear := func(k replicaKey, l leader) {
		if len(l.isr) > 0 {
			t.Fatalf("%+v", l)
		}
		if other.resigned(k, l.node, l.epoch) {
			lost++
		}
	}
	for range 2 {
		if err := decodeLeaders(told, 1, hear); err != nil {
			t.Fatal(err)
		}
	}
	if l := other.get(k); l.node != -1 || lost != 1 {
		t.Fatalf("%+v, lost %d times", l, lost)
	}
	other.learn(k, leader{node: 1, epoch: 4, isr: []int32{1}})
	if other.resigned(k, 1, 3) || other.get(k).node != 1 {
		t.Fatal("an old word unseats a new leader")
	}
	other.learn(k, leader{node: 2, epoch: 5, isr: []int32{2}})
	if other.resigned(k, 1, 5); other.get(k).node != 2 || len(other.ledBy(1)) != 0 || len(other.ledBy(2)) != 1 {
		t.Fatal("another node's word unseats the leader")
	}
}

func TestATableOfLeadersArrivesAsItWasSent(t *testing.T) {
	from := newLeaderTable()
	want := map[replicaKey]int32{}
	for i := range int32(100) {
		k := replicaKey{cluster.TopicID{byte(i)}, i}
		want[k] = i + 7
		from.lead(k, leader{node: 4, epoch: i + 7, isr: []int32{4, i}})
	}
	got := map[replicaKey]int32{}
	err := decodeLeaders(from.encode(), 4, func(k replicaKey, l leader) {
		if l.node != 4 || !slices.Equal(l.isr, []int32{4, k.partition}) {
			t.Fatalf("%v: %+v", k, l)
		}
		got[k] = l.epoch
	})
	if err != nil || !maps.Equal(got, want) {
		t.Fatalf("%v, %v", err, got)
	}
}

func FuzzDecodeLeaders(f *testing.F) {
	f.Add(appendLeader(nil, replicaKey{cluster.TopicID{1}, 2}, leader{node: 1, epoch: 3, isr: []int32{1, 2}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var again []byte
		if decodeLeaders(b, 1, func(k replicaKey, l leader) { again = appendLeader(again, k, l) }) == nil && string(again) != string(b) {
			t.Fatalf("%x became %x", b, again)
		}
	})
}

func TestNewPartitionsAreLedWhenTheirMakingIsAnswered(t *testing.T) {
	c := startCluster(t, 3, nil)
	for i, via := range c.nodes {
		name := fmt.Sprintf("t%d", i)
		q := kmsg.NewPtrCreateTopicsRequest()
		q.TimeoutMillis = 10_000
		topic := kmsg.NewCreateTopicsRequestTopic()
		topic.Topic, topic.NumPartitions, topic.ReplicationFactor = name, 12, 3
		q.Topics = append(q.Topics, topic)
		q.Version = 7
		if r := raw[*kmsg.CreateTopicsResponse](via, q); r.Topics[0].ErrorCode != 0 {
			t.Fatal(r.Topics[0])
		}
		m := kmsg.NewPtrMetadataRequest()
		m.Version = 9
		m.Topics = append(m.Topics, kmsg.MetadataRequestTopic{Topic: &name})
		for _, p := range raw[*kmsg.MetadataResponse](via, m).Topics[0].Partitions {
			if p.ErrorCode != 0 || p.Leader < 0 {
				t.Errorf("through node %d: partition %d has no leader: %v", via.id, p.Partition, kerr.ErrorForCode(p.ErrorCode))
			}
		}
	}
}
