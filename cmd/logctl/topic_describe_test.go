package main

import (
	"strings"
	"testing"
)

func TestTopicDescribeShowsPartitionsAndOwnSettings(t *testing.T) {
	c := newBroker(t)
	name := c.topic(2, "--config", "max.message.bytes=2000000")
	c.run("a\nb\n", "produce", name, "-p", "1").want(statusDone)
	got := decode[[]describedTopic](c.ok("topic", "describe", name, "-o", "json"))
	if len(got) != 1 || len(got[0].Partitions) != 2 {
		t.Fatalf("described %+v", got)
	}
	p := got[0].Partitions[1]
	if p.Leader < 0 || len(p.Replicas) != 1 || len(p.ISR) != 1 || *p.StartOffset != 0 || *p.EndOffset != 2 {
		t.Errorf("partition %+v", p)
	}
	if cs := got[0].Configs; len(cs) != 1 || cs[0].Name != "max.message.bytes" || *cs[0].Value != "2000000" {
		t.Errorf("settings %+v", cs)
	}
}

func TestTopicDescribeAsYAMLHasTheNamesOfJSON(t *testing.T) {
	c := newBroker(t)
	out := c.ok("topic", "describe", c.topic(1), "-o", "yaml").stdout
	for _, s := range []string{"- name: ", "\n    - partition: 0\n", "end_offset: 0\n"} {
		if !strings.Contains(out, s) {
			t.Errorf("no %q in\n%s", s, out)
		}
	}
}
