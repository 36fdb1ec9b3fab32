package main

import (
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// fakeCluster answers for several brokers as the test has laid them out. Its nodes are 0 to n-1.
type fakeCluster struct {
	*broker
	mu         sync.Mutex
	down       []int32 // brokers that are fenced
	racks      []string
	partitions []*fakePartition // of topic "t", numbered from 0
	slow       int              // how many more times a move that was begun is listed
	moving     map[int32][]int32
	cancelled  []int32
	removed    []int32 // brokers that were unregistered
}

type fakePartition struct {
	leader        int32
	replicas, isr []int32
}

func healthy(replicas ...int32) *fakePartition {
	return &fakePartition{replicas[0], replicas, replicas}
}

// newFakeCluster has n brokers and topic "t".
func newFakeCluster(t *testing.T, n int, partitions ...*fakePartition) *fakeCluster {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LOGCTL_BOOTSTRAP", "")
	fake, err := kfake.NewCluster(kfake.NumBrokers(n), kfake.SeedTopics(int32(len(partitions)), "t"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	addrs := fake.ListenAddrs()
	c := &fakeCluster{broker: &broker{t: t, bootstrap: strings.Join(addrs, ",")}, partitions: partitions, moving: map[int32][]int32{}}
	answer := func(key kmsg.Key, do func(kmsg.Request) kmsg.Response) {
		fake.ControlKey(key.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
			fake.KeepControl()
			c.mu.Lock()
			defer c.mu.Unlock()
			return do(req), nil, true
		})
	}
	answer(kmsg.Metadata, func(req kmsg.Request) kmsg.Response { return c.metadata(req, addrs) })
	answer(kmsg.DescribeCluster, func(req kmsg.Request) kmsg.Response { return c.describe(req, addrs) })
	answer(kmsg.AlterPartitionAssignments, c.alter)
	answer(kmsg.ListPartitionReassignments, c.running)
	answer(kmsg.ElectLeaders, c.elect)
	answer(kmsg.ApiVersions, versions)
	answer(kmsg.DescribeQuorum, func(req kmsg.Request) kmsg.Response { return c.describeQuorum(req, n) })
	answer(kmsg.UnregisterBroker, c.unregister)
	return c
}

func (c *fakeCluster) eachBroker(addrs []string, do func(id int32, host string, port int32, rack *string)) {
	for i, addr := range addrs {
		host, port, _ := net.SplitHostPort(addr)
		n, _ := strconv.Atoi(port)
		var rack *string
		if i < len(c.racks) {
			rack = &c.racks[i]
		}
		do(int32(i), host, int32(n), rack)
	}
}

func (c *fakeCluster) metadata(req kmsg.Request, addrs []string) kmsg.Response {
	answer := req.ResponseKind().(*kmsg.MetadataResponse)
	c.eachBroker(addrs, func(id int32, host string, port int32, rack *string) {
		if slices.Contains(c.down, id) {
			return
		}
		b := kmsg.NewMetadataResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack = id, host, port, rack
		answer.Brokers = append(answer.Brokers, b)
	})
	topic := kmsg.NewMetadataResponseTopic()
	topic.Topic = kmsg.StringPtr("t")
	for i, p := range c.partitions {
		r := kmsg.NewMetadataResponseTopicPartition()
		r.Partition, r.Leader, r.Replicas, r.ISR = int32(i), p.leader, p.replicas, p.isr
		topic.Partitions = append(topic.Partitions, r)
	}
	answer.Topics = append(answer.Topics, topic)
	answer.ControllerID = 0
	return answer
}

func (c *fakeCluster) describe(req kmsg.Request, addrs []string) kmsg.Response {
	answer := req.ResponseKind().(*kmsg.DescribeClusterResponse)
	c.eachBroker(addrs, func(id int32, host string, port int32, rack *string) {
		b := kmsg.NewDescribeClusterResponseBroker()
		b.NodeID, b.Host, b.Port, b.Rack, b.IsFenced = id, host, port, rack, slices.Contains(c.down, id)
		answer.Brokers = append(answer.Brokers, b)
	})
	return answer
}

func (c *fakeCluster) alter(kreq kmsg.Request) kmsg.Response {
	answer := kreq.ResponseKind().(*kmsg.AlterPartitionAssignmentsResponse)
	for _, topic := range kreq.(*kmsg.AlterPartitionAssignmentsRequest).Topics {
		rt := kmsg.NewAlterPartitionAssignmentsResponseTopic()
		rt.Topic = topic.Topic
		for _, p := range topic.Partitions {
			rp := kmsg.NewAlterPartitionAssignmentsResponseTopicPartition()
			rp.Partition = p.Partition
			_, moves := c.moving[p.Partition]
			switch {
			case p.Replicas == nil && !moves:
				rp.ErrorCode = kerr.NoReassignmentInProgress.Code
			case p.Replicas == nil:
				delete(c.moving, p.Partition)
				c.cancelled = append(c.cancelled, p.Partition)
			default:
				c.moving[p.Partition] = p.Replicas
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		answer.Topics = append(answer.Topics, rt)
	}
	return answer
}

// running lists moves that were begun, and ends them once they were listed often enough.
func (c *fakeCluster) running(kreq kmsg.Request) kmsg.Response {
	answer := kreq.ResponseKind().(*kmsg.ListPartitionReassignmentsResponse)
	rt := kmsg.NewListPartitionReassignmentsResponseTopic()
	rt.Topic = "t"
	for i, to := range c.moving {
		p := c.partitions[i]
		if c.slow == 0 {
			p.replicas, p.isr = to, to
			if !slices.Contains(to, p.leader) {
				p.leader = to[0]
			}
			delete(c.moving, i)
			continue
		}
		rp := kmsg.NewListPartitionReassignmentsResponseTopicPartition()
		rp.Partition, rp.Replicas, rp.AddingReplicas = i, slices.Concat(p.replicas, to), to
		rt.Partitions = append(rt.Partitions, rp)
	}
	c.slow = max(0, c.slow-1)
	answer.Topics = append(answer.Topics, rt)
	return answer
}

func (c *fakeCluster) elect(kreq kmsg.Request) kmsg.Response {
	answer := kreq.ResponseKind().(*kmsg.ElectLeadersResponse)
	for _, topic := range kreq.(*kmsg.ElectLeadersRequest).Topics {
		rt := kmsg.NewElectLeadersResponseTopic()
		rt.Topic = topic.Topic
		for _, i := range topic.Partitions {
			rp := kmsg.NewElectLeadersResponseTopicPartition()
			rp.Partition = i
			p := c.partitions[i]
			if slices.Contains(p.isr, p.replicas[0]) {
				p.leader = p.replicas[0]
			} else {
				rp.ErrorCode = kerr.PreferredLeaderNotAvailable.Code
			}
			rt.Partitions = append(rt.Partitions, rp)
		}
		answer.Topics = append(answer.Topics, rt)
	}
	return answer
}

// versions tells of all requests that there are.
func versions(req kmsg.Request) kmsg.Response {
	answer := req.ResponseKind().(*kmsg.ApiVersionsResponse)
	for key := range int16(kmsg.MaxKey) + 1 {
		if r := kmsg.RequestForKey(key); r != nil {
			k := kmsg.NewApiVersionsResponseApiKey()
			k.ApiKey, k.MaxVersion = key, r.MaxVersion()
			answer.ApiKeys = append(answer.ApiKeys, k)
		}
	}
	return answer
}

// describeQuorum has all n brokers as voters, of which 0 leads.
func (c *fakeCluster) describeQuorum(req kmsg.Request, n int) kmsg.Response {
	answer := req.ResponseKind().(*kmsg.DescribeQuorumResponse)
	p := kmsg.NewDescribeQuorumResponseTopicPartition()
	p.LeaderEpoch, p.HighWatermark = 7, 100
	for i := range n {
		m := kmsg.NewDescribeQuorumResponseTopicPartitionReplicaState()
		m.ReplicaID, m.LogEndOffset = int32(i), int64(100-i)
		p.CurrentVoters = append(p.CurrentVoters, m)
	}
	topic := kmsg.NewDescribeQuorumResponseTopic()
	topic.Topic = metadataTopic
	topic.Partitions = append(topic.Partitions, p)
	answer.Topics = append(answer.Topics, topic)
	return answer
}

func (c *fakeCluster) unregister(req kmsg.Request) kmsg.Response {
	c.removed = append(c.removed, req.(*kmsg.UnregisterBrokerRequest).BrokerID)
	return req.ResponseKind()
}

// replicas returns where a partition of "t" is.
func (c *fakeCluster) replicas(i int) []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.partitions[i].replicas
}
