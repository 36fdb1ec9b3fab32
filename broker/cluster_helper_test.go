package broker

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/broker/config"
)

// testCluster is brokers in this process that form a cluster.
type testCluster struct {
	t     testing.TB
	nodes []*testBroker
}

// startCluster starts n voters with ids from 1 on, which stand for {id} in the settings. They listen on a loopback address of their
// own, so that their ports are known before they start.
func startCluster(t testing.TB, n int, settings map[string]string) *testCluster {
	t.Helper()
	host := fmt.Sprintf("127.%d.%d.%d", 1+rand.IntN(254), rand.IntN(256), 1+rand.IntN(254))
	c := &testCluster{t: t}
	var voters []Voter
	for i := range n {
		voters = append(voters, Voter{ID: int32(i + 1), Addr: fmt.Sprintf("%s:%d", host, 9100+i)})
	}
	for i := range n {
		b := &testBroker{t: t, cfg: Config{
			NodeID: int32(i + 1), DataDir: t.TempDir(), Listen: "127.0.0.1:0", RaftListen: voters[i].Addr, Voters: voters,
			Logger: slog.New(slog.DiscardHandler),
		}}
		if os.Getenv("BROKER_TEST_LOG") != "" {
			b.cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("node", i+1)
		}
		all := map[string]string{"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "4", "offsets.topic.replication.factor": "3"}
		for k, v := range settings {
			all[k] = strings.ReplaceAll(v, "{id}", fmt.Sprint(i+1))
		}
		var err error
		if b.cfg.Settings, err = config.NewValues(all); err != nil {
			t.Fatal(err)
		}
		c.nodes = append(c.nodes, b)
	}
	c.each(func(b *testBroker) { b.start() })
	t.Cleanup(func() {
		c.each(func(b *testBroker) {
			if b.Broker != nil {
				b.stop()
			}
		})
	})
	return c
}

// join starts a further node.
func (c *testCluster) join() *testBroker {
	c.t.Helper()
	b := &testBroker{t: c.t, cfg: c.nodes[0].cfg}
	b.cfg.NodeID, b.cfg.DataDir, b.cfg.Voters = int32(len(c.nodes)+1), c.t.TempDir(), nil
	b.cfg.Listen, b.cfg.RaftListen, b.cfg.Join = "127.0.0.1:0", "127.0.0.1:0", []string{c.nodes[1].cfg.RaftListen}
	b.start()
	b.cfg.RaftListen = b.raftAddress
	c.nodes = append(c.nodes, b)
	return b
}

// stop stops nodes for as long as the test likes.
func (c *testCluster) stop(nodes ...*testBroker) {
	c.t.Helper()
	for _, b := range nodes {
		b.stop()
		b.Broker = nil
	}
}

// assigned makes a topic of one partition with these replicas.
func (c *testCluster) assigned(topic string, replicas ...int32) {
	c.t.Helper()
	q := kmsg.NewPtrCreateTopicsRequest()
	q.TimeoutMillis = 5000
	t := kmsg.NewCreateTopicsRequestTopic()
	t.Topic, t.NumPartitions, t.ReplicationFactor = topic, -1, -1
	t.ReplicaAssignment = []kmsg.CreateTopicsRequestTopicReplicaAssignment{{Partition: 0, Replicas: replicas}}
	q.Topics = append(q.Topics, t)
	if r, err := q.RequestWith(c.t.Context(), c.client()); err != nil || r.Topics[0].ErrorCode != 0 {
		c.t.Fatal(err, r)
	}
}

// each runs f for every node at once: voters wait for each other when they first start.
func (c *testCluster) each(f func(*testBroker)) {
	c.t.Helper()
	var wg sync.WaitGroup
	for _, b := range c.nodes {
		wg.Go(func() { f(b) })
	}
	wg.Wait()
	if c.t.Failed() {
		c.t.FailNow()
	}
}

// node is the one with this id.
func (c *testCluster) node(id int32) *testBroker { return c.nodes[id-1] }

func (c *testCluster) client(opts ...kgo.Opt) *kgo.Client {
	c.t.Helper()
	var seeds []string
	for _, b := range c.nodes {
		if b.Broker != nil {
			seeds = append(seeds, b.Addr().String())
		}
	}
	own := []kgo.Opt{kgo.WithContext(c.t.Context()), kgo.SeedBrokers(seeds...), kgo.FetchMaxWait(100 * time.Millisecond), kgo.MetadataMinAge(20 * time.Millisecond), kgo.UnknownTopicRetries(-1)}
	cl, err := kgo.NewClient(append(own, opts...)...)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	return cl
}

func (c *testCluster) admin() *kadm.Client { return kadm.NewClient(c.client()) }

// topic makes a topic of replication factor 3.
func (c *testCluster) topic(name string, partitions int32) {
	c.t.Helper()
	r, err := c.admin().CreateTopic(c.t.Context(), partitions, 3, nil, name)
	if err != nil {
		c.t.Fatalf("%v (%s)", err, r.ErrMessage)
	}
}
