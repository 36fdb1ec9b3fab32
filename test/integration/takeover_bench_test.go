package integration

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

const (
	takeoverCommits = 100_000
	takeoverKeys    = 1_000 // groups, each of which commits one partition's offset
	takeoverClients = 16    // so that a commit is a batch of its own, or nearly so
	takeoverRounds  = 5
)

// How long nobody can ask for a committed offset after the coordinator of many commits was killed: until the failure is
// noticed, another node leads, and has read the partition.
func BenchmarkTakeoverOfACoordinator(b *testing.B) {
	c := brokertest.ClusterConfig{Nodes: 3, Args: []string{"--set", "offsets.topic.num.partitions=1"}}.Start(b)
	createReplicated(b, c, "t", 1)
	commitMany(b, c)
	adm := kadm.NewClient(clusterClient(b, c))
	size := int64(0)
	dirs, err := adm.DescribeAllLogDirs(b.Context(), nil)
	if err != nil {
		b.Fatal(err)
	}
	dirs.Each(func(d kadm.DescribedLogDir) {
		for _, p := range d.Topics["__consumer_offsets"] {
			size = max(size, p.Size)
		}
	})
	b.ReportMetric(float64(size)/(1<<20), "MiB")
	var took []time.Duration
	for range takeoverRounds {
		leader := leaderOf(b, c, "__consumer_offsets")
		time.Sleep(settled)
		leader.Kill()
		begin := time.Now()
		for !fetched(b, c) {
			time.Sleep(5 * time.Millisecond)
		}
		took = append(took, time.Since(begin))
		leader.Restart()
	}
	report(b, took)
}

// fetched reports whether a new client is told what the first group committed last.
func fetched(b *testing.B, c *brokertest.Cluster) bool {
	cl, err := kgo.NewClient(append(quick(), kgo.SeedBrokers(c.Addrs()...), kgo.RequestRetries(0))...)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(b.Context(), attempt)
	defer cancel()
	got, err := kadm.NewClient(cl).FetchOffsets(ctx, takeoverGroup(0))
	if err != nil {
		return false
	}
	o, ok := got.Lookup("t", 0)
	return ok && o.Err == nil && o.At == int64(takeoverCommits-takeoverKeys)
}

func takeoverGroup(i int) string { return fmt.Sprint("group-", i%takeoverKeys) }

// commitMany commits offset i for group i modulo their number.
func commitMany(b *testing.B, c *brokertest.Cluster) {
	var clients sync.WaitGroup
	for n := range takeoverClients {
		adm := kadm.NewClient(clusterClient(b, c))
		clients.Go(func() {
			for i := 0; i < takeoverCommits; i++ {
				if i%takeoverKeys%takeoverClients != n {
					continue // each group commits in order
				}
				var o kadm.Offsets
				o.AddOffset("t", 0, int64(i), -1)
				if r, err := adm.CommitOffsets(b.Context(), takeoverGroup(i), o); err != nil || !r.Ok() {
					b.Error(err, r.Error())
					return
				}
			}
		})
	}
	clients.Wait()
	if b.Failed() {
		b.FailNow()
	}
}
