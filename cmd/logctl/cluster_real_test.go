package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

func TestClusterOfThreeDescribesItself(t *testing.T) {
	if os.Getenv("LOGCTL_TEST_BOOTSTRAP") != "" {
		t.Skip("the cluster that LOGCTL_TEST_BOOTSTRAP names may be another one")
	}
	c := newBroker(t)
	c.topic(3, "--replication-factor", "3")
	info := decode[clusterInfo](c.ok("cluster", "info", "-o", "json"))
	if len(info.Brokers) != 3 || info.Quorum == nil || len(info.Quorum.Voters) != 3 || info.Offline != 0 || info.Controller != info.Quorum.Leader {
		t.Errorf("info %+v", info)
	}
	c.ok("cluster", "info").says("BROKER", "LEADS", "voters 1,2,3")
	members := decode[[]clusterMember](c.ok("cluster", "members", "-o", "json"))
	if len(members) != 3 || members[0].ID != 1 || members[2].State != "running" || members[1].Address == nil {
		t.Errorf("members %+v", members)
	}
	c.ok("cluster", "members").says("ROLE", "leader", "voter", "running")
	health := decode[clusterHealth](c.run("", "cluster", "health", "-o", "json"))
	if health.Brokers != 3 || health.Down != 0 {
		t.Errorf("health %+v", health)
	}
	c.ok("cluster", "join", "--wait", "0").says("--node-id", "--join")
	c.run("", "cluster", "remove", "2", "--yes").want(statusRefused).complains("2")
}

func TestPartitionsOfThreeBrokersMove(t *testing.T) {
	if os.Getenv("LOGCTL_TEST_BOOTSTRAP") != "" {
		t.Skip("the cluster that LOGCTL_TEST_BOOTSTRAP names may be another one")
	}
	c := newBroker(t)
	name := c.name()
	t.Cleanup(func() { c.run("", "topic", "delete", name, "--yes") })
	c.ok("topic", "create", name, "--placement", "1")
	c.run("a\n", "produce", name).want(statusDone)
	c.ok("partition", "list", name).shows("TOPIC PARTITION LEADER EPOCH REPLICAS ISR OFFLINE", name+" 0 1 * 1 1 -")

	plan := decode[[]plannedMove](c.ok("partition", "move", name+":0", "--to", "3", "--dry-run", "-o", "json"))
	if len(plan) != 1 || plan[0].State != movePlanned || join(plan[0].From) != "1" || join(plan[0].To) != "3" {
		t.Errorf("planned %+v", plan)
	}
	if done := decode[[]plannedMove](c.ok("partition", "move", name+":0", "--to", "3", "--yes", "-o", "json")); done[0].State != moveDone {
		t.Errorf("moved %+v", done)
	}
	if got := decode[[]listedPartition](c.ok("partition", "list", name, "-o", "json")); join(got[0].Replicas) != "3" {
		t.Errorf("listed %+v", got)
	}
	if got := c.ok("partition", "reassign", "--status", "-o", "json").stdout; got != "[]\n" {
		t.Errorf("still moves %s", got)
	}
	c.ok("partition", "leaders", name)
	if got := c.ok("consume", name).stdout; got != "a\n" {
		t.Errorf("read %q", got)
	}
}

func TestTheWrongPortOfABrokerIsTold(t *testing.T) {
	c := newBroker(t)
	if shared.cluster == nil {
		t.Skip("only the cluster of the tests tells its other ports")
	}
	raft := shared.cluster.Nodes[0].RaftAddr()
	c.bootstrap = raft
	c.run("", "--timeout", "2s", "topic", "list").want(statusUnreachable).complains(raft, "-b HOST:PORT")
	c.bootstrap = "127.0.0.1:1," + shared.bootstrap // one that is down is no matter
	c.ok("topic", "list")
}

func TestBadNamesAreRefusedBeforeAnythingIsSent(t *testing.T) {
	c := newFake(t)
	for _, args := range []string{
		"topic create a/b", "topic create ..", "topic describe a/b", "topic alter a/b --config k=v", "produce a/b", "consume a/b",
		"topic create t --partitions 0", "topic create t --partitions x", "topic create t --replication-factor -3", "topic add-partitions t --total -1",
		"topic delete " + strings.Repeat("x", 250), "topic trim t --before x", "partition move t:0 --to 1,1", "partition move t:-1 --to 1", "config describe topic/a/b",
		"group reset g --to never", "consume t -n -1", "consume t -p x", "bench produce --records -1",
	} {
		c.run("", strings.Fields(args)...).want(statusUsage).complains()
	}
}

func TestTablesKeepToTheWidthOfTheTerminal(t *testing.T) {
	c := newFake(t)
	long := fmt.Sprintf("%s-%s", strings.Repeat("orders", 20), "eu")
	c.ok("topic", "create", long, "short", "--partitions", "1")
	for _, width := range []int{80, 200} {
		var out strings.Builder
		a := &app{in: strings.NewReader(""), out: &pipe{w: &out, broken: func() {}}, err: &out, env: os.Getenv, width: width}
		if status := a.run(t.Context(), []string{"-b", c.bootstrap, "topic", "list"}); status != statusDone {
			t.Fatalf("status %d: %s", status, out.String())
		}
		for line := range strings.Lines(out.String()) {
			if n := len([]rune(strings.TrimSuffix(line, "\n"))); n > width {
				t.Errorf("%d columns at width %d: %s", n, width, line)
			}
		}
	}
}
