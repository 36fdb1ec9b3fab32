package main

import "testing"

func TestTopicCreateSaysWhatItMade(t *testing.T) {
	c := newBroker(t)
	name := c.name()
	got := decode[[]createdTopic](c.ok("-o", "json", "topic", "create", name, "--partitions", "3", "--config", "retention.ms=1000"))
	if len(got) != 1 || got[0].Name != name || !got[0].Created || got[0].Partitions != 3 || len(got[0].ID) != 22 {
		t.Errorf("created %+v", got)
	}
	c.ok("topic", "describe", name).says("retention.ms  1000")
	c.ok("topic", "delete", name, "--yes")
}

func TestTopicCreateTwiceIsRefusedUnlessAllowed(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("", "topic", "create", name).want(statusRefused).complains("exists already", name, c.bootstrap, "--if-not-exists")
	c.ok("topic", "create", name, "--if-not-exists").says(name, "exists")
}

func TestTopicCreateDryRunMakesNothing(t *testing.T) {
	c := newBroker(t)
	name := c.name()
	c.ok("topic", "create", name, "--partitions", "1", "--dry-run").says("would be created")
	c.run("", "topic", "describe", name).want(statusRefused).complains("does not exist")
}

func TestTopicCreateChecksItsFlags(t *testing.T) {
	c := newFake(t)
	c.run("", "topic", "create").want(statusUsage).complains("NAME is missing")
	c.run("", "topic", "create", "a", "--partitions", "0").want(statusUsage).complains("1 or more")
	c.run("", "topic", "create", "a", "--config", "x").want(statusUsage).complains("KEY=VALUE")
	c.run("", "topic", "create", "a", "--config", "x=1", "--config", "x=2").want(statusUsage).complains("twice")
}

func TestTopicCreatePlacesReplicasWhereItIsTold(t *testing.T) {
	c := newBroker(t)
	name := c.name()
	t.Cleanup(func() { c.run("", "topic", "delete", name, "--yes") })
	c.ok("topic", "create", name, "--placement", "3,1", "--placement", "2,3").says(name, "2", "created")
	got := decode[[]describedTopic](c.ok("topic", "describe", name, "-o", "json"))
	if p := got[0].Partitions; len(p) != 2 || join(p[0].Replicas) != "3,1" || join(p[1].Replicas) != "2,3" {
		t.Errorf("placed %+v", got)
	}
	c.run("", "topic", "create", name+"x", "--placement", "1,1").want(statusUsage).complains("--placement")
	c.run("", "topic", "create", name+"x", "--placement", "1", "--placement", "1,2").want(statusUsage).complains("others 2")
	c.run("", "topic", "create", name+"x", "--placement", "1", "--partitions", "2").want(statusUsage).complains("--partitions")
	c.run("", "topic", "create", name+"x", "--placement", "99").want(statusRefused).complains("99")
	c.run("", "topic", "create", "a b").want(statusUsage).complains(`"a b"`)
}

func TestTopicCreateNamesSettingsThatAreNear(t *testing.T) {
	c := newBroker(t)
	c.topic(1)
	name := c.name()
	c.run("", "topic", "create", name, "--config", "retention.m=1").want(statusUsage).complains(`"retention.m"`, `did you mean "retention.ms"`)
	c.run("", "topic", "list", name).want(statusRefused)
}
