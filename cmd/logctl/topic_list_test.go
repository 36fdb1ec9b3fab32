package main

import (
	"testing"
)

func TestTopicListCountsRecords(t *testing.T) {
	c := newBroker(t)
	name := c.topic(2)
	c.run("a\nb\nc\n", "produce", name).want(statusDone)
	got := decode[[]listedTopic](c.ok("topic", "list", name, "-o", "json"))
	if len(got) != 1 || got[0].Partitions != 2 || got[0].Records == nil || *got[0].Records != 3 || got[0].Internal {
		t.Errorf("listed %+v", got)
	}
}

func TestTopicListTakesPatterns(t *testing.T) {
	c := newBroker(t)
	name, other := c.topic(1), c.topic(1)
	c.ok("topic", "list", name+"*").says(name)
	if got := decode[[]listedTopic](c.ok("topic", "list", name[:len(name)-1]+"?", "-o", "json")); len(got) == 0 {
		t.Errorf("? matched nothing for %s", name)
	}
	if r := c.ok("topic", "list", other+"*"); len(decode[[]listedTopic](c.ok("topic", "list", other, "-o", "json"))) != 1 {
		t.Errorf("listed %s", r.stdout)
	}
	c.run("", "topic", "list", "no-such-*").want(statusRefused).complains("no topic", "no-such-*")
}

func TestTopicListOfAnEmptyClusterIsAnEmptyList(t *testing.T) {
	if got := newFake(t).ok("topic", "list", "-o", "json").stdout; got != "[]\n" {
		t.Errorf("got %q", got)
	}
}

func TestUnknownTopicNamesNearOnes(t *testing.T) {
	c := newFake(t)
	c.ok("topic", "create", "orders", "returns", "--partitions", "1")
	c.run("", "topic", "list", "ordrs").want(statusRefused).complains(`"ordrs"`, `did you mean "orders"?`, c.bootstrap)
	c.run("", "consume", "unlike").want(statusRefused).complains("logctl topic create unlike")
}
