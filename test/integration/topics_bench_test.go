package integration

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/brokertest"
)

// A thousand topics of six partitions, with one replica each and with three: until all of them have
// a leader, what logctl takes to list them and to tell the lag of a group that has read them all,
// and what they cost while nobody writes.
func BenchmarkTopics(b *testing.B) {
	logctl := filepath.Join(b.TempDir(), "logctl")
	if err := brokertest.Build(logctl, "quorumlog/cmd/logctl", false); err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		topics, replicas int
	}{{1000, 1}, {1000, 3}} {
		b.Run(fmt.Sprintf("topics=%d/replicas=%d", c.topics, c.replicas), func(b *testing.B) {
			cluster := brokertest.StartCluster(b, 3)
			time.Sleep(settled)
			begin := time.Now()
			names := createMany(b, cluster, c.topics, c.replicas)
			b.ReportMetric(milliseconds(time.Since(begin)), "created-ms")
			awaitAllLed(b, cluster, c.topics*topicPartitions)
			b.ReportMetric(milliseconds(time.Since(begin)), "led-ms")
			commitEverywhere(b, cluster, names)
			for _, verb := range []string{"topic list", "group lag"} {
				took := runVerb(b, logctl, cluster, verb)
				b.ReportMetric(milliseconds(took), strings.ReplaceAll(verb, " ", "-")+"-ms")
			}
			reportIdle(b, cluster)
			b.ReportMetric(0, "ns/op")
		})
	}
}

// topicPartitions is the number of partitions of each of many topics.
const topicPartitions = 6

// createMany makes topics in one request, and returns their names.
func createMany(b *testing.B, c *brokertest.Cluster, topics, replicas int) (names []string) {
	for i := range topics {
		names = append(names, fmt.Sprintf("topic-%04d", i))
	}
	adm := kadm.NewClient(clusterClient(b, c))
	adm.SetTimeoutMillis(int32(time.Minute / time.Millisecond))
	made, err := adm.CreateTopics(b.Context(), topicPartitions, int16(replicas), nil, names...)
	if err == nil {
		err = made.Error()
	}
	if err != nil {
		b.Fatal(err)
	}
	return names
}

// awaitAllLed returns when every node names a leader for every partition.
func awaitAllLed(b *testing.B, c *brokertest.Cluster, partitions int) {
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	for _, n := range c.Nodes {
		adm := kadm.NewClient(client(b, n))
		for {
			led := 0
			all, err := adm.ListTopics(ctx)
			all.EachPartition(func(p kadm.PartitionDetail) {
				if p.Leader >= 0 {
					led++
				}
			})
			if err == nil && led >= partitions {
				break
			}
			if ctx.Err() != nil {
				b.Fatalf("%d of %d partitions have a leader after 3 minutes: %v", led, partitions, err)
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
}

// commitEverywhere has a group commit an offset of every partition, and some others of one topic each.
func commitEverywhere(b *testing.B, c *brokertest.Cluster, topics []string) {
	adm := kadm.NewClient(clusterClient(b, c, kgo.RequestRetries(100)))
	commit := func(group string, topics ...string) {
		offsets := kadm.Offsets{}
		for _, t := range topics {
			for p := range int32(topicPartitions) {
				offsets.AddOffset(t, p, 0, -1)
			}
		}
		if err := adm.CommitAllOffsets(b.Context(), group, offsets); err != nil {
			b.Fatal(err)
		}
	}
	commit("all", topics...)
	for i := range 20 {
		commit(fmt.Sprintf("one-%d", i), topics[i])
	}
}

// runVerb is the shortest of three runs of logctl.
func runVerb(b *testing.B, logctl string, c *brokertest.Cluster, verb string) (best time.Duration) {
	for range 3 {
		cmd := exec.CommandContext(b.Context(), logctl, append(strings.Fields(verb), "-b", strings.Join(c.Addrs(), ","))...)
		cmd.Env = append(os.Environ(), "XDG_CONFIG_HOME="+b.TempDir())
		begin := time.Now()
		out, err := cmd.CombinedOutput()
		took := time.Since(begin)
		if err != nil {
			b.Fatalf("%s: %v\n%s", cmd, err, out)
		}
		if lines := strings.Count(string(out), "\n"); lines < 20 {
			b.Fatalf("%s says %d lines", cmd, lines)
		}
		if best == 0 || took < best {
			best = took
		}
	}
	return best
}
