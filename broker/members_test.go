package broker

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
)

// unregister asks a node to have a broker forgotten.
func (b *testBroker) unregister(id int32) (*kerr.Error, string) {
	b.t.Helper()
	q := kmsg.NewPtrUnregisterBrokerRequest()
	q.BrokerID = id
	r := raw[*kmsg.UnregisterBrokerResponse](b, q)
	words := ""
	if r.ErrorMessage != nil {
		words = *r.ErrorMessage
	}
	return kerr.TypedErrorForCode(r.ErrorCode), words
}

// eventually waits until something holds.
func (c *testCluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("%s: not in 20 s", what)
		}
	}
}

// A voter whose machine is lost is replaced by a node with another id: that joins, takes over the replicas, and with
// the removal of the lost one its vote.
func TestALostVoterIsReplacedByANewNode(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.topic("t", 2)
	p := c.client(kgo.DefaultProduceTopic("t"))
	if err := p.ProduceSync(t.Context(), kgo.StringRecord("v")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if err, words := c.node(1).unregister(3); err != kerr.InvalidRequest || !strings.Contains(words, "2 replica") || !strings.Contains(words, "reassign") {
		t.Errorf("with replicas: %v, %q", err, words)
	}
	four := c.join()
	var moves kadm.AlterPartitionAssignmentsReq
	for n := range int32(2) {
		moves.Assign("t", n, []int32{1, 2, 4})
	}
	c.stop(c.node(3))
	if r, err := c.admin().AlterPartitionAssignments(t.Context(), moves); err != nil || r.Error() != nil {
		t.Fatal(err, r.Error())
	}
	c.eventually("the move", func() bool {
		moving := slices.ContainsFunc(four.meta.Image().Topic("t").Partitions, func(p cluster.Partition) bool { return p.Moving() })
		n := four.meta.Image().Broker(3)
		return !moving && n != nil && n.Fenced
	})
	if err, words := four.unregister(4); err != kerr.InvalidRequest {
		t.Errorf("one that runs: %v, %q", err, words)
	}
	if err, words := four.unregister(3); err != nil {
		t.Fatalf("%v, %q", err, words)
	}
	if err, _ := four.unregister(3); err != kerr.BrokerIDNotRegistered {
		t.Errorf("twice: %v", err)
	}
	c.eventually("the vote", func() bool {
		var voters []int32
		for _, v := range four.meta.Quorum().Voters {
			voters = append(voters, v.ID)
		}
		slices.Sort(voters)
		return slices.Equal(voters, []int32{1, 2, 4})
	})
	c.stop(c.node(1)) // 2 and 4 are a majority of the voters
	if r, err := kadm.NewClient(four.client()).CreateTopic(t.Context(), 1, 2, nil, "more"); err != nil {
		t.Fatal(err, r.ErrMessage)
	}
}

func TestTheQuorumIsDescribedByItsLeaderWhoeverIsAsked(t *testing.T) {
	c := startCluster(t, 3, nil)
	c.join()
	c.topic("t", 1)
	q := kmsg.NewPtrDescribeQuorumRequest()
	q.Version = 2
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = metadataTopic
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	q.Topics = append(q.Topics, topic)
	for _, b := range c.nodes {
		c.eventually("all to have caught up", func() bool {
			got := raw[*kmsg.DescribeQuorumResponse](b, q).Topics[0].Partitions[0]
			now := time.Now().UnixMilli()
			all := slices.Concat(got.CurrentVoters, got.Observers)
			return got.LeaderID > 0 && len(got.CurrentVoters) == 3 && len(got.Observers) == 1 &&
				!slices.ContainsFunc(all, func(m kmsg.DescribeQuorumResponseTopicPartitionReplicaState) bool {
					return m.LogEndOffset < got.HighWatermark || now-m.LastFetchTimestamp > 10_000 || now-m.LastCaughtUpTimestamp > 10_000
				})
		})
		for _, n := range raw[*kmsg.DescribeQuorumResponse](b, q).Nodes {
			host, port, _ := splitAddress(c.node(n.NodeID).cfg.RaftListen)
			if l := n.Listeners[0]; l.Name != "CONTROLLER" || l.Host != host || l.Port != port {
				t.Errorf("node %d: %+v", n.NodeID, l)
			}
		}
	}
}
