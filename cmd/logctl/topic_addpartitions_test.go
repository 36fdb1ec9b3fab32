package main

import "testing"

func TestAddPartitionsTakesATotalOrANumberToAdd(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.ok("topic", "add-partitions", name, "--total", "3")
	got := decode[[]grownTopic](c.ok("topic", "add-partitions", name, "--add", "2", "-o", "json"))
	if len(got) != 1 || got[0].Before != 3 || got[0].After != 5 {
		t.Errorf("grown %+v", got)
	}
	c.run("", "topic", "add-partitions", name, "--total", "5").want(statusRefused).complains("has 5 partitions already")
	c.run("", "topic", "add-partitions", name).want(statusUsage).complains("--total")
	c.run("", "topic", "add-partitions", name, "--total", "6", "--add", "1").want(statusUsage)
}
