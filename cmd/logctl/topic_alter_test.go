package main

import (
	"bytes"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func TestTopicAlterSetsAndDeletes(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.ok("topic", "alter", name, "--config", "retention.ms=5000", "--config", "cleanup.policy=compact").says("changed")
	c.ok("topic", "describe", name).says("retention.ms    5000", "cleanup.policy  compact")
	c.ok("topic", "alter", name, "--delete-config", "cleanup.policy")
	got := decode[[]describedTopic](c.ok("topic", "describe", name, "-o", "json"))
	if cs := got[0].Configs; len(cs) != 1 || cs[0].Name != "retention.ms" {
		t.Errorf("settings left: %+v", cs)
	}
}

func TestTopicAlterWithoutChangesIsAMistake(t *testing.T) {
	c := newFake(t)
	c.run("", "topic", "alter", "a").want(statusUsage).complains("nothing to change")
}

func TestTopicAlterPassesOnWhyABrokerRefuses(t *testing.T) {
	var out bytes.Buffer
	a := &topicAlter{app: &app{out: &pipe{w: &out}}}
	err := a.report(kadm.AlterConfigsResponses{
		{Name: "b", Err: kerr.InvalidConfig, ErrMessage: "Unknown topic config name: no.such.setting."},
		{Name: "a"},
	})
	if want := `topic "b" was not changed: unknown topic config name: no.such.setting`; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	if want := "TOPIC  RESULT\na      changed\n"; out.String() != want {
		t.Errorf("wrote %q, want %q", out.String(), want)
	}
}
