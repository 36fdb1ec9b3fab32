package main

import (
	"testing"
)

func setting1(c *broker, resource, name string) describedSetting {
	c.t.Helper()
	got := decode[[]describedSetting](c.ok("config", "describe", resource, name, "-o", "json"))
	if len(got) != 1 {
		c.t.Fatalf("described %+v", got)
	}
	return got[0]
}

func TestConfigDescribeTellsWhereValuesComeFrom(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1, "--config", "retention.ms=1000")
	c.ok("config", "describe", "topic/"+name, "retention.ms", "cleanup.policy").shows(
		"SETTING VALUE SOURCE",
		"cleanup.policy delete default",
		"retention.ms 1000 topic")
	c.ok("config", "describe", "topic/"+name, "retention.ms", "--docs").says("WHAT IT DOES", "retention.ms")
	c.ok("config", "describe", "topic/"+name, "--set").shows("SETTING VALUE SOURCE", "retention.ms 1000 topic")
	got := setting1(c, "topic/"+name, "retention.ms")
	if got.Resource != "topic/"+name || *got.Value != "1000" || got.Source != "topic" || got.Type != "long" || got.ReadOnly {
		t.Errorf("described %+v", got)
	}
	if got := setting1(c, "broker/2", "node.id"); *got.Value != "2" || !got.ReadOnly {
		t.Errorf("described %+v", got)
	}
	c.run("", "config", "describe", "topic/"+name, "retentoin.ms").want(statusUsage).complains(`did you mean "retention.ms"?`)
	c.run("", "config", "describe", "orders").want(statusUsage).complains("topic/NAME")
	c.run("", "config", "describe", "broker/77").want(statusRefused).complains("broker/77")
	c.run("", "config", "describe", "broker/x").want(statusUsage).complains(`"x"`)
	c.run("", "config", "describe", "topic/none"+name).want(statusRefused).complains("does not exist")
}

func TestConfigAlterShowsBeforeAndAfter(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.ok("config", "alter", "topic/"+name, "retention.ms=1000", "--dry-run").says("would be changed")
	if got := setting1(c, "topic/"+name, "retention.ms"); got.Source != "default" {
		t.Errorf("a dry run changed it: %+v", got)
	}
	c.ok("config", "alter", "topic/"+name, "retention.ms=1000").shows(
		"RESOURCE SETTING BEFORE AFTER SOURCE RESULT",
		"topic/"+name+" retention.ms 604800000 1000 topic changed")
	got := decode[[]alteredSetting](c.ok("config", "alter", "topic/"+name, "retention.ms=1000", "-o", "json"))
	if len(got) != 1 || got[0].Altered || *got[0].After != "1000" {
		t.Errorf("altered %+v", got)
	}
	c.run("", "config", "alter", "topic/"+name, "retention.mss=1").want(statusUsage).complains(`"retention.mss"`, `did you mean "retention.ms"`)
	c.run("", "config", "alter", "topic/"+name, "retention.ms=soon").want(statusRefused).complains("retention.ms")
	c.run("", "config", "alter", "topic/"+name).want(statusUsage).complains("KEY=VALUE")
	c.run("", "config", "alter", "broker/1", "node.id=9").want(statusUsage).complains("node.id", "started")
}

func TestConfigResetTakesBack(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1, "--config", "retention.ms=1000", "--config", "cleanup.policy=compact")
	c.ok("config", "reset", "topic/"+name, "retention.ms").shows(
		"RESOURCE SETTING BEFORE AFTER SOURCE RESULT",
		"topic/"+name+" retention.ms 1000 604800000 default changed")
	c.ok("config", "reset", "topic/"+name, "--all").says("cleanup.policy", "changed")
	if r := c.ok("config", "reset", "topic/"+name, "--all"); r.stdout != "" {
		t.Errorf("said %q", r.stdout)
	}
	c.run("", "config", "reset", "topic/"+name).want(statusUsage).complains("--all")
}

func TestConfigHoldsForAllBrokers(t *testing.T) {
	c := newBroker(t)
	t.Cleanup(func() { c.run("", "config", "reset", "cluster", "log.cleaner.backoff.ms") })
	c.ok("config", "alter", "cluster", "log.cleaner.backoff.ms=14000").says("cluster", "changed")
	for _, b := range []string{"broker/1", "broker/3"} {
		if got := setting1(c, b, "log.cleaner.backoff.ms"); *got.Value != "14000" || got.Source != "cluster" {
			t.Errorf("%s: %+v", b, got)
		}
	}
	c.ok("config", "reset", "cluster", "log.cleaner.backoff.ms").says("changed")
}

func TestConfigDiff(t *testing.T) {
	c := newBroker(t)
	a, b := c.topic(1, "--config", "retention.ms=1000"), c.topic(1)
	c.ok("config", "diff", "topic/"+a).shows("SETTING topic/"+a+" OTHERWISE FROM", "retention.ms 1000 604800000 default")
	c.ok("config", "diff", "topic/"+a, "topic/"+b).shows("SETTING topic/"+a+" topic/"+b, "retention.ms 1000 604800000")
	got := decode[[]settingDifference](c.ok("config", "diff", "topic/"+a, "-o", "json"))
	if len(got) != 1 || *got[0].Values[0].Value != "1000" || got[0].Hidden.Source != "default" {
		t.Errorf("differences %+v", got)
	}
	c.ok("config", "diff", "broker/1", "broker/2").says("node.id")
	if r := c.ok("config", "diff", "topic/"+b); r.stdout != "" || r.stderr == "" {
		t.Errorf("said %q, %q", r.stdout, r.stderr)
	}
	c.run("", "config", "diff", "topic/"+a, "broker/1").want(statusUsage).complains("different kinds")
}
