package main

import (
	"testing"
)

func TestTopicDeleteNeedsYesWhereNobodyCanBeAsked(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("y\n", "topic", "delete", name).want(statusUsage).complains("--yes", name)
	c.ok("topic", "list", name)
	c.ok("topic", "delete", name, "--yes").says(name, "deleted")
	c.run("", "topic", "list", name).want(statusRefused)
}

func TestTopicDeleteDryRunShowsThePlan(t *testing.T) {
	c := newBroker(t)
	name := c.topic(2)
	c.run("a\nb\n", "produce", name).want(statusDone)
	got := decode[[]deletedTopic](c.ok("topic", "delete", name, "--dry-run", "-o", "json"))
	if len(got) != 1 || got[0].Deleted || got[0].Records != 2 || got[0].Partitions != 2 {
		t.Errorf("plan %+v", got)
	}
	c.ok("topic", "list", name)
}

func TestQuestionNamesWhatGoes(t *testing.T) {
	one := []deletedTopic{{Name: "orders", Partitions: 3}}
	if got, want := question(one, 1234), "Delete topic orders with 3 partitions and 1,234 records"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	two := []deletedTopic{{Name: "a"}, {Name: "b"}}
	if got, want := question(two, 1), "Delete 2 topics (a, b) with 1 record"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
