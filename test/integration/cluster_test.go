package integration

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

// clusterClient is a client of all nodes.
func clusterClient(t testing.TB, c *brokertest.Cluster, opts ...kgo.Opt) *kgo.Client {
	t.Helper()
	own := append(quick(), kgo.SeedBrokers(c.Addrs()...), kgo.AlwaysRetryEOF(), kgo.RequestTimeoutOverhead(time.Second))
	cl, err := kgo.NewClient(append(own, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// createReplicated makes a topic with a replica on each of three nodes.
func createReplicated(t testing.TB, c *brokertest.Cluster, name string, partitions int32) {
	t.Helper()
	r, err := kadm.NewClient(clusterClient(t, c)).CreateTopic(t.Context(), partitions, 3, nil, name)
	if err != nil {
		t.Fatalf("create %s: %v %s", name, err, r.ErrMessage)
	}
}

// readReplicated reads every record of a topic, by partition.
func readReplicated(t testing.TB, c *brokertest.Cluster, topic string) map[int32][]*kgo.Record {
	t.Helper()
	return readAllWith(t, func(opts ...kgo.Opt) *kgo.Client { return clusterClient(t, c, opts...) }, topic)
}

// fault is something that happens to some nodes and is over when it returns.
type fault struct {
	name string
	do   func(t *testing.T, c *brokertest.Cluster)
}

func killed(nodes ...int32) func(*testing.T, *brokertest.Cluster) {
	return func(_ *testing.T, c *brokertest.Cluster) {
		for _, n := range nodes {
			c.Node(n).Kill()
		}
		time.Sleep(300 * time.Millisecond)
		c.StartAll()
	}
}

func drained(node int32) func(*testing.T, *brokertest.Cluster) {
	return func(_ *testing.T, c *brokertest.Cluster) {
		c.Node(node).Stop()
		c.StartAll()
	}
}

func hung(node int32, pause time.Duration) func(*testing.T, *brokertest.Cluster) {
	return func(_ *testing.T, c *brokertest.Cluster) {
		c.Node(node).Suspend()
		time.Sleep(pause)
		c.Node(node).Resume()
	}
}

// TestAClusterLosesAndRepeatsNothing has every node killed, stopped and hung under load, and all
// of them killed at once.
func TestAClusterLosesAndRepeatsNothing(t *testing.T) {
	c := brokertest.StartCluster(t, 3, "--set", "offsets.topic.num.partitions=1")
	createReplicated(t, c, "t", 3)
	l := startLoad(t, clusterClient(t, c, kgo.RecordPartitioner(kgo.RoundRobinPartitioner())), "t")
	var faults []fault
	for n := int32(1); n <= 3; n++ {
		faults = append(faults, fault{fmt.Sprintf("node %d killed", n), killed(n)},
			fault{fmt.Sprintf("node %d stopped", n), drained(n)},
			fault{fmt.Sprintf("node %d hung", n), hung(n, 2*time.Second)})
	}
	faults = append(faults, fault{"two nodes killed", killed(1, 3)}, fault{"all nodes killed", killed(1, 2, 3)})
	for _, f := range faults {
		begin := time.Now()
		f.do(t, c)
		t.Logf("%s: over after %s", f.name, time.Since(begin).Round(time.Millisecond))
		time.Sleep(500 * time.Millisecond)
	}
	l.finish()
	l.check(readReplicated(t, c, "t"))
	t.Logf("%d records", len(l.acked))
}
