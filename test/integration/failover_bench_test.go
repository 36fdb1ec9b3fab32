package integration

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
	"quorumlog/internal/netfault"
)

// attempt is how long a one-shot producer tries, and cadence how often one begins: of those that ask
// a node that hangs first, nobody else has to wait.
const (
	attempt = 250 * time.Millisecond
	cadence = 25 * time.Millisecond
)

// settled is after how long a node that came back counts for others again.
const settled = 2 * time.Second

// outage is how long one-shot producers cannot write to a topic: each is a new client that knows
// all nodes, and writes one record.
func outage(b *testing.B, c *brokertest.Cluster, topic string, opts ...kgo.Opt) time.Duration {
	begin := time.Now()
	acknowledged := make(chan struct{}, time.Minute/cadence)
	var writers sync.WaitGroup
	defer writers.Wait()
	for time.Since(begin) < time.Minute {
		writers.Go(func() {
			if wrote(b, c, topic, opts) {
				acknowledged <- struct{}{}
			}
		})
		select {
		case <-acknowledged:
			return time.Since(begin)
		case <-time.After(cadence):
		}
	}
	b.Error("nobody could write for a minute")
	return 0
}

// wrote makes one attempt. A client waits for what it has sent to a node that hangs, for seconds:
// it is left alone with that.
func wrote(b *testing.B, c *brokertest.Cluster, topic string, opts []kgo.Opt) bool {
	cl, err := kgo.NewClient(slices.Concat(quick(), []kgo.Opt{kgo.SeedBrokers(c.Addrs()...), kgo.DialTimeout(attempt)}, opts)...)
	if err != nil {
		b.Error(err)
		return false
	}
	defer func() { go cl.Close() }()
	ctx, cancel := context.WithTimeout(b.Context(), attempt)
	defer cancel()
	done := make(chan error, 1)
	cl.Produce(ctx, &kgo.Record{Topic: topic, Partition: 0, Value: []byte("v")}, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err == nil
	case <-ctx.Done():
		return false
	}
}

// leaderOf is the node that leads the topic's only partition.
func leaderOf(b *testing.B, c *brokertest.Cluster, topic string) *brokertest.Broker {
	for range 100 {
		m, err := kadm.NewClient(clusterClient(b, c)).Metadata(b.Context(), topic)
		if err == nil {
			if p, ok := m.Topics[topic].Partitions[0]; ok && p.Leader > 0 && len(p.ISR) == 3 {
				return c.Node(p.Leader)
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
	b.Fatal("no leader, or not all replicas in sync")
	return nil
}

// rounds is how often a fault is repeated.
const rounds = 20

// report tells how long writers could not write.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "median-ms")
	b.ReportMetric(float64(took[len(took)-1].Milliseconds()), "worst-ms")
	b.ReportMetric(0, "ns/op")
	b.Log(fmt.Sprint(took))
}

// BenchmarkOutageOfALeaderCutOff is BenchmarkOutage for a leader that neither the other nodes nor
// the clients reach any more: nothing is refused, bytes just do not arrive.
func BenchmarkOutageOfALeaderCutOff(b *testing.B) {
	const clients = 100 // their place in the network
	n := netfault.New()
	c := brokertest.ClusterConfig{Nodes: 3, Net: n, Args: []string{"--set", "auto.leader.rebalance.enable=false"}}.Start(b)
	for i, x := range c.Nodes {
		n.Name(x.Addr, int32(i+1))
	}
	dial := n.Dialer(clients)
	through := kgo.Dialer(func(ctx context.Context, _, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, attempt)
		defer cancel()
		return dial(ctx, address)
	})
	createReplicated(b, c, "t", 1)
	outage(b, c, "t")
	var took []time.Duration
	for range rounds {
		id := int32(slices.Index(c.Nodes, leaderOf(b, c, "t")) + 1)
		time.Sleep(settled)
		begin := time.Now()
		n.Isolate(id)
		n.Cut(id, clients)
		outage(b, c, "t", through)
		took = append(took, time.Since(begin))
		n.Join(id)
		n.Mend(id, clients)
	}
	report(b, took)
}

// BenchmarkOutage measures how long writers of a partition of three replicas notice a fault.
func BenchmarkOutage(b *testing.B) {
	stopped := make(chan struct{})
	for _, f := range []struct {
		name string
		do   func(c *brokertest.Cluster, leader *brokertest.Broker)
		undo func(c *brokertest.Cluster, leader *brokertest.Broker)
	}{
		{"LeaderKilled", func(_ *brokertest.Cluster, l *brokertest.Broker) { l.Kill() }, func(c *brokertest.Cluster, _ *brokertest.Broker) { c.StartAll() }},
		{"LeaderHangs", func(_ *brokertest.Cluster, l *brokertest.Broker) { l.Suspend() }, func(_ *brokertest.Cluster, l *brokertest.Broker) { l.Resume() }},
		{"LeaderStopped", func(_ *brokertest.Cluster, l *brokertest.Broker) {
			go func() { l.Stop(); stopped <- struct{}{} }()
		}, func(c *brokertest.Cluster, _ *brokertest.Broker) {
			<-stopped
			c.StartAll()
		}},
		{"AllKilledAndStarted", func(c *brokertest.Cluster, _ *brokertest.Broker) {
			for _, n := range c.Nodes {
				n.Kill()
			}
			c.StartAll()
		}, func(*brokertest.Cluster, *brokertest.Broker) {}},
	} {
		b.Run(f.name, func(b *testing.B) {
			c := brokertest.StartCluster(b, 3, "--set", "auto.leader.rebalance.enable=false")
			createReplicated(b, c, "t", 1)
			outage(b, c, "t")
			var took []time.Duration
			for range rounds {
				l := leaderOf(b, c, "t")
				time.Sleep(settled)
				begin := time.Now()
				f.do(c, l)
				outage(b, c, "t")
				took = append(took, time.Since(begin))
				f.undo(c, l)
			}
			report(b, took)
		})
	}
}
