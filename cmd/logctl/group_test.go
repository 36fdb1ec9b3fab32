package main

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// committed makes a topic of 10 records and a group that stands at offset at.
func (c *broker) committed(at string) (topic, group string) {
	c.t.Helper()
	topic, group = c.topic(1), c.name()
	c.t.Cleanup(func() { c.run("", "group", "delete", group, "--yes") })
	c.run("0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n", "produce", topic).want(statusDone)
	c.ok("group", "reset", group, "--to", at, "--topic", topic, "--yes")
	return topic, group
}

// member joins the group until the test ends.
func (c *broker) member(topic, group string) {
	c.t.Helper()
	ctx, joined := context.WithCancelCause(c.t.Context())
	in := errors.New("assigned")
	cl, err := kgo.NewClient(
		kgo.SeedBrokers(strings.Split(c.bootstrap, ",")...), kgo.ClientID("reader"), kgo.ConsumerGroup(group), kgo.ConsumeTopics(topic), kgo.DisableAutoCommit(),
		kgo.OnPartitionsAssigned(func(context.Context, *kgo.Client, map[string][]int32) { joined(in) }),
	)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(cl.Close)
	for !errors.Is(context.Cause(ctx), in) {
		if cl.PollFetches(ctx); c.t.Context().Err() != nil {
			c.t.Fatal("never assigned")
		}
	}
}

func TestGroupLagSumsWhatIsLeft(t *testing.T) {
	c := newBroker(t)
	topic, group := c.committed("4")
	got := decode[[]groupLag](c.ok("group", "lag", group, "-o", "json"))
	if len(got) != 1 || got[0].TotalLag != 6 || len(got[0].Partitions) != 1 {
		t.Fatalf("lag %+v", got)
	}
	if p := got[0].Partitions[0]; p.Topic != topic || *p.Committed != 4 || *p.EndOffset != 10 || *p.Lag != 6 || p.Member != nil {
		t.Errorf("partition %+v", p)
	}
	c.ok("group", "lag").says(group, topic)
}

func TestGroupShowsItsMembers(t *testing.T) {
	c := newBroker(t)
	topic, group := c.committed("4")
	c.member(topic, group)
	members := decode[[]groupMember](c.ok("group", "members", group, "-o", "json"))
	if len(members) != 1 || members[0].ClientID != "reader" || len(members[0].Assigned) != 1 || members[0].Assigned[0].Topic != topic {
		t.Errorf("members %+v", members)
	}
	c.ok("group", "members", group).says("reader", topic+":0")
	c.ok("group", "describe", group).says(group, "Stable", "reader")
	c.ok("group", "lag", group).says("reader")
	c.ok("group", "list").says(group)

	c.run("", "group", "delete", group, "--yes").want(statusRefused).complains("not empty", "group members "+group)
	c.run("", "group", "reset", group, "--to", "start", "--yes").want(statusRefused).complains("1 member", "stop them")
}

func TestGroupResetShowsThePlanAndChangesNothingWithoutYes(t *testing.T) {
	c := newBroker(t)
	_, group := c.committed("4")
	r := c.ok("group", "reset", group, "--to", "end", "-o", "json")
	if plan := decode[[]resetPartition](r); len(plan) != 1 || *plan[0].Before != 4 || plan[0].After != 10 || plan[0].Lag != 0 || plan[0].Done {
		t.Errorf("plan %+v", plan)
	}
	if want := "Nothing was changed; add --yes to do it.\n"; r.stderr != want {
		t.Errorf("stderr %q", r.stderr)
	}
	if got := decode[[]groupLag](c.ok("group", "lag", group, "-o", "json")); got[0].TotalLag != 6 {
		t.Errorf("the group moved: %+v", got)
	}
}

func TestGroupResetReachesEveryPlace(t *testing.T) {
	c := newBroker(t)
	topic, group := c.committed("4")
	for _, step := range []struct {
		to   string
		want int64
	}{{"shift:+3", 7}, {"shift:-100", 0}, {"end", 10}, {"start", 0}, {"5", 5}, {"-2", 8}, {"-1h", 0}} {
		got := decode[[]resetPartition](c.ok("group", "reset", group, "--to", step.to, "--topic", topic+":0", "--yes", "-o", "json"))
		if len(got) != 1 || !got[0].Done || got[0].After != step.want {
			t.Errorf("--to %s: %+v, want %d", step.to, got, step.want)
		}
	}
}

func TestGroupResetRefusesWhatItCannotMean(t *testing.T) {
	c := newBroker(t)
	topic, group := c.committed("4")
	c.run("", "group", "reset", group).want(statusUsage).complains("--to is missing")
	c.run("", "group", "reset", group, "--to", "sometime").want(statusUsage).complains("no position")
	c.run("", "group", "reset", group, "--to", "start", "--topic", topic+":x").want(statusUsage).complains("TOPIC:P,P")
	c.run("", "group", "reset", group, "--to", "start", "--topic", topic+":9").want(statusRefused).complains("no partition 9")
	c.run("", "group", "reset", group+"x", "--to", "start").want(statusRefused).complains("did you mean")
}

func TestGroupDelete(t *testing.T) {
	c := newBroker(t)
	_, group := c.committed("4")
	c.run("", "group", "delete", group).want(statusUsage).complains("--yes")
	c.ok("group", "delete", group, "--yes").says("deleted")
	c.run("", "group", "describe", group).want(statusRefused).complains(group, "does not exist")
}

func TestGroupResetTakesOffsetsFromAFile(t *testing.T) {
	c := newBroker(t)
	topic, group := c.committed("4")
	before := c.ok("group", "lag", group, "-o", "json").stdout
	c.run("# offsets\n"+topic+",0,7\n", "group", "reset", group, "--from-file", "-").want(statusDone).shows(
		"TOPIC PARTITION BEFORE AFTER LAG", topic+" 0 4 7 3")
	back := c.ok("group", "reset", group, "--from-file", file(t, topic+",0,99"), "--yes", "-o", "json")
	if got := decode[[]resetPartition](back); !got[0].Done || got[0].After != 10 {
		t.Errorf("reset %+v", got)
	}
	for _, in := range []string{before, back.stdout} {
		c.ok("group", "reset", group, "--to", "end", "--yes")
		got := decode[[]resetPartition](c.run(in, "group", "reset", group, "--from-file", "-", "--yes", "-o", "json").want(statusDone))
		if len(got) != 1 || got[0].After != 4 || !got[0].Done {
			t.Errorf("reset %+v from %s", got, in)
		}
	}
	for in, want := range map[string]string{"": "no offsets", "a,b\n": "TOPIC,PARTITION,OFFSET", "a,0,x\n": "line 1", "[{]": "no JSON", topic + ",0,-4": "negative"} {
		c.run(in, "group", "reset", group, "--from-file", "-").want(statusUsage).complains(want)
	}
	c.run("", "group", "reset", group, "--from-file", "-", "--to", "end").want(statusUsage).complains("does not go with")
}
