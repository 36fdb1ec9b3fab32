package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterView is the cluster at one moment, as it describes itself.
type clusterView struct {
	id         string
	controller int32 // -1: none
	brokers    []brokerView
	topics     int
	partitions []kadm.PartitionDetail
	quorum     *quorumView // nil: the cluster does not say
}

// brokerView is a broker that is registered.
type brokerView struct {
	id     int32
	host   string
	port   int32
	rack   *string
	fenced bool // registered, but not heard of
}

// quorumView is the metadata quorum. Ids may be those of controllers that are no brokers.
type quorumView struct {
	Leader        int32        `json:"leader"` // -1: none
	LeaderEpoch   int32        `json:"leader_epoch"`
	HighWatermark int64        `json:"high_watermark"`
	Voters        []memberView `json:"voters"`
	Observers     []memberView `json:"observers"`
}

type memberView struct {
	ID           int32  `json:"id"`
	LogEndOffset *int64 `json:"log_end_offset"` // null: unknown, as in what follows
	LastFetch    *int64 `json:"last_fetch"`     // ms since 1970, by the leader's clock
	LastCaughtUp *int64 `json:"last_caught_up"`
}

// view asks the cluster for all of it.
func (a *app) view(ctx context.Context, cl *kgo.Client) (*clusterView, error) {
	meta, err := a.admin(cl).Metadata(ctx)
	if err != nil {
		return nil, a.explain(err, "describe the cluster")
	}
	v := &clusterView{id: meta.Cluster, controller: meta.Controller, topics: len(meta.Topics)}
	for _, t := range meta.Topics.Sorted() {
		v.partitions = append(v.partitions, t.Partitions.Sorted()...)
	}
	if v.brokers, err = registered(ctx, cl); err != nil {
		return nil, a.explain(err, "list brokers")
	}
	if v.quorum, err = a.quorum(ctx, cl); err != nil {
		return nil, err
	}
	if v.quorum != nil { // what brokers call the controller may be any of them, for older clients
		v.controller = v.quorum.Leader
	}
	return v, nil
}

// registered returns all brokers, fenced ones too where the cluster tells of them (KIP-1073).
func registered(ctx context.Context, cl *kgo.Client) ([]brokerView, error) {
	req := kmsg.NewPtrDescribeClusterRequest()
	req.IncludeFencedBrokers = true
	answer, err := req.RequestWith(ctx, cl)
	if err == nil {
		err = kerr.ErrorForCode(answer.ErrorCode)
	}
	if err != nil {
		return nil, err
	}
	var brokers []brokerView
	for _, b := range answer.Brokers {
		brokers = append(brokers, brokerView{b.NodeID, b.Host, b.Port, b.Rack, b.IsFenced})
	}
	slices.SortFunc(brokers, func(x, y brokerView) int { return cmp.Compare(x.id, y.id) })
	return brokers, nil
}

// metadataTopic is what the metadata log is called.
const metadataTopic = "__cluster_metadata"

// quorumPatience is how long the leader of the quorum is looked for.
const quorumPatience = 3 * time.Second

// quorum is the metadata quorum. Where no leader answers, any broker tells what it knows.
func (a *app) quorum(ctx context.Context, cl *kgo.Client) (*quorumView, error) {
	limited, cancel := context.WithTimeout(ctx, min(quorumPatience, a.timeout))
	defer cancel()
	q, err := describeQuorum(limited, cl)
	if err == nil || ctx.Err() != nil {
		return q, ctx.Err()
	}
	for _, b := range cl.DiscoveredBrokers() {
		limited, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		if q, err := describeQuorum(limited, b); err == nil && q != nil {
			q.Leader = -1
			return q, nil
		}
	}
	return &quorumView{Leader: -1, Voters: []memberView{}, Observers: []memberView{}}, nil
}

// leaderless reports whether the quorum has no leader, so that nothing can be changed.
func (v *clusterView) leaderless() bool { return v.quorum != nil && v.quorum.Leader < 0 }

// describeQuorum returns nil where the cluster has no such request.
func describeQuorum(ctx context.Context, cl kmsg.Requestor) (*quorumView, error) {
	answer, err := askQuorum(ctx, cl)
	if answer == nil || err != nil {
		return nil, err
	}
	for _, t := range answer.Topics {
		for _, p := range t.Partitions {
			return quorumOf(p), kerr.ErrorForCode(p.ErrorCode)
		}
	}
	return nil, nil
}

// askQuorum returns nil where the cluster has no such request.
func askQuorum(ctx context.Context, cl kmsg.Requestor) (*kmsg.DescribeQuorumResponse, error) {
	req := kmsg.NewPtrDescribeQuorumRequest()
	topic := kmsg.NewDescribeQuorumRequestTopic()
	topic.Topic = metadataTopic
	topic.Partitions = append(topic.Partitions, kmsg.NewDescribeQuorumRequestTopicPartition())
	req.Topics = append(req.Topics, topic)
	answer, err := req.RequestWith(ctx, cl)
	if notServed(err) {
		return nil, nil
	}
	if err == nil {
		err = kerr.ErrorForCode(answer.ErrorCode)
	}
	return answer, err
}

func quorumOf(p kmsg.DescribeQuorumResponseTopicPartition) *quorumView {
	return &quorumView{p.LeaderID, p.LeaderEpoch, p.HighWatermark, membersOf(p.CurrentVoters), membersOf(p.Observers)}
}

func membersOf(states []kmsg.DescribeQuorumResponseTopicPartitionReplicaState) []memberView {
	members := []memberView{}
	for _, s := range states {
		members = append(members, memberView{s.ReplicaID, unlessNegative(s.LogEndOffset), unlessNegative(s.LastFetchTimestamp), unlessNegative(s.LastCaughtUpTimestamp)})
	}
	slices.SortFunc(members, func(x, y memberView) int { return cmp.Compare(x.ID, y.ID) })
	return members
}

func unlessNegative(n int64) *int64 {
	if n < 0 {
		return nil
	}
	return &n
}

// String says who leads, and who votes and observes.
func (q *quorumView) String() string {
	s := fmt.Sprintf("led by %d, voters %s", q.Leader, join(idsOf(q.Voters)))
	if q.Leader < 0 {
		s = fmt.Sprintf("without a leader, voters %s", join(idsOf(q.Voters)))
	}
	if len(q.Observers) > 0 {
		s += ", observers " + join(idsOf(q.Observers))
	}
	return s
}

func idsOf(members []memberView) []int32 {
	ids := make([]int32, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	return ids
}

// broker returns a broker that is registered, nil where there is none of that id.
func (v *clusterView) broker(id int32) *brokerView {
	i := slices.IndexFunc(v.brokers, func(b brokerView) bool { return b.id == id })
	if i < 0 {
		return nil
	}
	return &v.brokers[i]
}

// isDown reports whether a broker is fenced or not registered.
func (v *clusterView) isDown(id int32) bool {
	b := v.broker(id)
	return b == nil || b.fenced
}

// holds counts the partitions that a broker has replicas of.
func (v *clusterView) holds(id int32) int {
	n := 0
	for _, p := range v.partitions {
		if slices.Contains(p.Replicas, id) {
			n++
		}
	}
	return n
}
