package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPartitionListSelects(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0, 1), &fakePartition{-1, []int32{1, 2}, nil}, &fakePartition{2, []int32{2, 0}, []int32{2}})
	numbers := func(args ...string) (got []int32) {
		for _, p := range decode[[]listedPartition](c.ok(append([]string{"partition", "list", "-o", "json"}, args...)...)) {
			got = append(got, p.Partition)
		}
		return got
	}
	for _, w := range []struct {
		args string
		want []int32
	}{{"t", []int32{0, 1, 2}}, {"--under-replicated", []int32{1, 2}}, {"--no-leader", []int32{1}}, {"--on 0", []int32{0, 2}}} {
		if got := numbers(strings.Fields(w.args)...); !slices.Equal(got, w.want) {
			t.Errorf("%s: %v", w.args, got)
		}
	}
	c.ok("partition", "list").says("none", "0,1")
}

func TestPartitionMoveWaitsUntilItIsDone(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0, 1), healthy(1, 2))
	plan := decode[[]plannedMove](c.ok("partition", "move", "t:0", "--to", "2,1", "--dry-run", "-o", "json"))
	if len(plan) != 1 || plan[0].State != movePlanned || !slices.Equal(c.replicas(0), []int32{0, 1}) {
		t.Fatalf("plan %+v", plan)
	}
	c.run("", "partition", "move", "t:0", "--to", "2,1").want(statusUsage)
	c.slow = 2 // once before it is begun, once after
	done := decode[[]plannedMove](c.ok("partition", "move", "t:0", "--to", "2,1", "--yes", "-o", "json"))
	if len(done) != 1 || done[0].State != moveDone || !slices.Equal(c.replicas(0), []int32{2, 1}) {
		t.Errorf("done %+v, replicas %v", done, c.replicas(0))
	}
	if r := c.ok("partition", "move", "t:0", "--to", "2,1", "--yes"); !strings.Contains(r.stderr, "Nothing has to move") {
		t.Errorf("again: %q", r.stderr)
	}
}

func TestPartitionMoveRefusesWhatItCannotMean(t *testing.T) {
	c := newFakeCluster(t, 2, healthy(0, 1))
	c.run("", "partition", "move", "t:0").want(statusUsage).complains("--to is missing")
	c.run("", "partition", "move", "t:0", "--to", "1,1").want(statusUsage).complains("twice")
	c.run("", "partition", "move", "t", "--to", "1").want(statusUsage).complains("TOPIC:PARTITION")
	c.run("", "partition", "move", "t:x", "--to", "1").want(statusUsage).complains(`"t:x"`)
	c.run("", "partition", "move", "t:5", "--to", "1").want(statusRefused).complains("no partition 5")
	c.run("", "partition", "move", "t:0", "--to", "7").want(statusRefused).complains("no broker 7")
}

func TestReassignDrainsABroker(t *testing.T) {
	c := newFakeCluster(t, 4, healthy(0, 1), healthy(1, 3), healthy(3, 2))
	c.racks = []string{"a", "b", "b", "a"}
	c.ok("partition", "reassign", "--drain", "3", "--yes").says("3,2")
	for i, want := range [][]int32{{0, 1}, {1, 0}, {0, 2}} {
		if got := c.replicas(i); !slices.Equal(got, want) {
			t.Errorf("partition %d is on %v, want %v", i, got, want)
		}
	}
	c.run("", "partition", "reassign", "--drain", "9").want(statusRefused).complains("no broker 9")
	c.run("", "partition", "reassign", "--drain", "0,1,2").want(statusRefused).complains("too few brokers", "add a broker")
}

func TestReassignReplacesABrokerThatIsGone(t *testing.T) {
	c := newFakeCluster(t, 3, &fakePartition{1, []int32{7, 1}, []int32{1}})
	c.ok("partition", "reassign", "--replace", "7=2", "--yes")
	if got := c.replicas(0); !slices.Equal(got, []int32{2, 1}) {
		t.Errorf("replicas %v", got)
	}
	c.run("", "partition", "reassign", "--replace", "1=9").want(statusRefused).complains("no broker 9")
	c.run("", "partition", "reassign", "--replace", "1").want(statusUsage).complains("OLD=NEW")
}

func TestReassignSpreadsAndIsThenSpread(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0), healthy(0), healthy(0))
	c.run("", "partition", "reassign").want(statusUsage).complains("--spread")
	c.run("", "partition", "reassign", "--spread", "--status").want(statusUsage).complains("--spread and --status")
	c.ok("partition", "reassign", "t", "--yes")
	seen := slices.Sorted(slices.Values(slices.Concat(c.replicas(0), c.replicas(1), c.replicas(2))))
	if !slices.Equal(seen, []int32{0, 1, 2}) {
		t.Errorf("replicas on %v", seen)
	}
	if got := c.ok("partition", "reassign", "--spread", "--yes", "-o", "json").stdout; got != "[]\n" {
		t.Errorf("again %s", got)
	}
}

func TestInterruptedMovesGoOnUntilCancelled(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0), healthy(1))
	c.slow = 1000
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, []string{"-b", c.bootstrap, "partition", "move", "t:0", "--to", "2", "--yes"}, strings.NewReader(""), &stdout, &stderr)
	if status != statusInterrupted || !strings.Contains(stderr.String(), "1 partition is still moving") || !strings.Contains(stderr.String(), "--cancel") {
		t.Errorf("status %d, said %q", status, stderr.String())
	}
	if got := decode[[]runningMove](c.ok("partition", "reassign", "--status", "-o", "json")); len(got) != 1 || got[0].Partition != 0 {
		t.Errorf("running %+v", got)
	}
	c.run("", "partition", "move", "t:0", "--to", "1", "--yes").want(statusRefused).complains("being moved already")
	c.run("", "partition", "reassign", "--cancel").want(statusUsage).complains("--yes")
	c.ok("partition", "reassign", "--cancel", "--yes").says("cancelled")
	if !slices.Equal(c.cancelled, []int32{0}) || !slices.Equal(c.replicas(0), []int32{0}) {
		t.Errorf("cancelled %v, replicas %v", c.cancelled, c.replicas(0))
	}
	if r := c.ok("partition", "reassign", "--status"); !strings.Contains(r.stderr, "Nothing is being moved") {
		t.Errorf("afterwards %q", r.stderr)
	}
}

func TestLeadersGoToFirstReplicas(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0, 1), &fakePartition{2, []int32{1, 2}, []int32{2, 1}}, &fakePartition{0, []int32{2, 0}, []int32{0}})
	if got := decode[[]electedLeader](c.ok("partition", "leaders", "--dry-run", "-o", "json")); len(got) != 2 || got[0].Elected {
		t.Errorf("plan %+v", got)
	}
	c.ok("partition", "leaders", "t:1").says("elected")
	c.run("", "partition", "leaders").want(statusRefused).says("refused").complains("t-2 is not led by 2", "not in sync")
	if r := c.ok("partition", "leaders", "t:0", "t:1"); !strings.Contains(r.stderr, "led by its first replica") {
		t.Errorf("said %q", r.stderr)
	}
}

func TestWhatSomebodyElseMovedIsNotCalledMoved(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0))
	c.slow = 3
	time.AfterFunc(400*time.Millisecond, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		if _, ok := c.moving[0]; ok {
			c.moving[0] = []int32{1}
		}
	})
	c.run("", "partition", "move", "t:0", "--to", "2", "--yes").want(statusRefused).says("t").complains("t-0 is on 1 and not on 2")
}

func TestHealthTellsOfAQuorumWithoutALeader(t *testing.T) {
	c := checked(nil)
	c.quorum = &quorumView{Leader: -1}
	if got := c.findings(); len(got) != 1 || got[0].Remedy != "see that a majority of its voters runs" {
		t.Errorf("found %+v", got)
	}
}
