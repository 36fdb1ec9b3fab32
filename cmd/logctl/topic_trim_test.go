package main

import "testing"

func TestTopicTrimDeletesBeforeAnOffset(t *testing.T) {
	c := newBroker(t)
	name := c.topic(2)
	c.run("a\nb\nc\nd\n", "produce", name, "-p", "0").want(statusDone)
	plan := decode[[]trimmedPartition](c.ok("topic", "trim", name, "--before", "3", "-p", "0", "--dry-run", "-o", "json"))
	if len(plan) != 1 || plan[0].Records != 3 || plan[0].Trimmed {
		t.Fatalf("plan %+v", plan)
	}
	c.ok("consume", name).says("a\nb\nc\nd\n")
	done := decode[[]trimmedPartition](c.ok("topic", "trim", name, "--before", "3", "-p", "0", "--yes", "-o", "json"))
	if len(done) != 1 || !done[0].Trimmed || done[0].TrimTo != 3 {
		t.Errorf("done %+v", done)
	}
	if got := c.ok("consume", name).stdout; got != "d\n" {
		t.Errorf("left %q", got)
	}
	c.ok("topic", "trim", name, "--before", "end", "--yes").says("deleted", "nothing to delete")
	if got := c.ok("consume", name).stdout; got != "" {
		t.Errorf("left %q", got)
	}
}

func TestTopicTrimRefusesWhatItCannotMean(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("a\n", "produce", name).want(statusDone)
	c.run("", "topic", "trim", name, "--before", "9", "--yes").want(statusRefused).complains("ends at offset 1", "--before end")
	c.run("", "topic", "trim", name).want(statusUsage).complains("--before is missing")
	c.run("", "topic", "trim", name, "--before", "1", "-p", "7", "--yes").want(statusRefused).complains("no partition 7")
	c.run("", "topic", "trim", name, "--before", "shift:+1", "--yes").want(statusUsage).complains("nothing to shift")
	c.run("", "topic", "trim", name, "--before", "1").want(statusUsage).complains("--yes")
}
