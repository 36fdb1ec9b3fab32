package main

import (
	"strings"
	"testing"

	"quorumlog/cmd/logctl/internal/declare"
)

func TestApplyMakesWhatIsDeclaredAndThenNothing(t *testing.T) {
	c := newBroker(t)
	old, fresh := c.topic(1, "--config", "retention.ms=1000"), c.name()
	t.Cleanup(func() { c.run("", "topic", "delete", fresh, "--yes") })
	declared := file(t, strings.NewReplacer("OLD", old, "NEW", fresh).Replace(`
topics:
  NEW: {partitions: 2, replicas: 3, configs: {cleanup.policy: [compact, delete], retention.ms: 5000}}
  OLD:
    partitions: 3
    configs: {segment.bytes: 2000000}
`))
	want := []string{
		"+ topic/" + fresh + " 2 partitions, 3 replicas",
		"+ cleanup.policy = compact,delete",
		"+ retention.ms = 5000",
		"~ topic/" + old,
		"~ partitions = 1 -> 3",
		"+ segment.bytes = 2000000",
		"- retention.ms = 1000",
		"1 to create, 1 to change, 0 to delete.",
	}
	if strings.Compare(old, fresh) < 0 {
		want = append(append(append([]string{}, want[3:7]...), want[:3]...), want[7])
	}
	c.ok("plan", "-f", declared).shows(want...)
	c.run("", "plan", "-f", declared, "--check").want(statusRefused).complains("is not as")
	c.ok("apply", "-f", declared, "--dry-run").shows(want...)
	c.run("", "apply", "-f", declared).want(statusUsage).complains("--yes")
	c.run("", "topic", "list", fresh).want(statusRefused)
	if r := c.ok("apply", "-f", declared, "--yes").shows(want...); r.stderr != "Done: 3 steps.\n" {
		t.Errorf("said %q", r.stderr)
	}
	if r := c.ok("apply", "-f", declared, "--yes").shows("Everything is as declared."); r.stderr != "" {
		t.Errorf("said %q", r.stderr)
	}
	if got := decode[[]declare.Change](c.ok("plan", "-f", declared, "--check", "-o", "json")); len(got) != 0 {
		t.Errorf("changes %+v", got)
	}
	if got := decode[[]describedTopic](c.ok("topic", "describe", old, "-o", "json")); len(got[0].Partitions) != 3 {
		t.Errorf("described %+v", got)
	}
}

func TestApplyPrunesButNotTheBrokersOwn(t *testing.T) {
	c := newFake(t)
	c.ok("topic", "create", "keep", "gone", "__own", "--partitions", "1")
	c.run("a\n", "produce", "gone").want(statusDone)
	declared := "topics: {keep: {}}\n"
	c.run(declared, "plan", "-f", "-", "--prune").want(statusDone).shows("- topic/gone 1 partition, 1 replica, 1 record", "0 to create, 0 to change, 1 to delete.")
	c.run(declared, "apply", "-f", "-", "--prune", "--yes").want(statusDone)
	if got := decode[[]listedTopic](c.ok("topic", "list", "--internal", "-o", "json")); len(got) != 2 || got[0].Name != "__own" || got[1].Name != "keep" {
		t.Errorf("left %+v", got)
	}
}

func TestExportIsWhatApplyReads(t *testing.T) {
	c := newBroker(t)
	name := c.topic(2, "--config", "retention.ms=1000")
	out := c.ok("export", name).stdout
	want := "topics:\n  " + name + ":\n    partitions: 2\n    replicas: 1\n    configs:\n      retention.ms: \"1000\"\n"
	if out != want {
		t.Errorf("exported\n%swant\n%s", out, want)
	}
	c.run(out, "apply", "-f", "-", "--yes").want(statusDone).shows("Everything is as declared.")
	c.ok("export", "-o", "json").says(name, `"topics"`)
}

func TestSettingsOfGroupsAreExportedAndApplied(t *testing.T) {
	c := newBroker(t)
	group := c.name()
	t.Cleanup(func() { c.run("", "config", "reset", "group/"+group, "consumer.session.timeout.ms") })
	declared := "groups: {" + group + ": {consumer.session.timeout.ms: 50000}}\n"
	want := []string{"~ group/" + group, "+ consumer.session.timeout.ms = 50000", "0 to create, 1 to change, 0 to delete."}
	c.run(declared, "plan", "-f", "-", "--check").want(statusRefused).shows(want...)
	c.run(declared, "apply", "-f", "-", "--yes").want(statusDone).shows(want...)
	c.ok("export").says("groups:\n  " + group + ":\n    consumer.session.timeout.ms: \"50000\"\n")
	if got := decode[declare.File](c.ok("export", "-o", "json")); got.Groups[group]["consumer.session.timeout.ms"] != "50000" {
		t.Errorf("exported %+v", got.Groups)
	}
	c.run("groups: {"+group+": {}}\n", "apply", "-f", "-", "--yes").want(statusDone).says("-   consumer.session.timeout.ms = 50000")
	if out := c.ok("export").stdout; strings.Contains(out, group) {
		t.Errorf("exported without settings:\n%s", out)
	}
}

func TestADeclarationThatCannotBeIsRefusedBeforeAnythingIsMade(t *testing.T) {
	c := newBroker(t)
	name, fresh := c.topic(3), c.name()
	for declared, want := range map[string]string{
		"topics: {" + name + ": {partitions: 2}}":                                    "cannot be taken away",
		"topics: {" + name + ": {replicas: 2}}":                                      "logctl partition move",
		"topics: {" + fresh + ": {}, " + name + ": {configs: {retention.ms: soon}}}": "retention.ms",
		"topics: {" + fresh + ": {configs: {retention.ms: soon}}}":                   "retention.ms",
		"brokers: {77: {}}": "broker 77",
	} {
		c.run(declared, "apply", "-f", "-", "--yes").want(statusRefused).complains(want)
	}
	for declared, want := range map[string]string{
		"topic: {}":                                            "topic",
		"topics: {a b: {}}":                                    `"a b"`,
		"topics: {__consumer_offsets: {}}":                     "own",
		"topics: {a: {partitions: -1}}":                        "1 or more",
		"topics: {a: {partitions: x}}":                         "line 1",
		"topics: {a: {configs: {k: {b: c}}}}":                  "neither a value nor a list",
		"topics: {" + name + ": {configs: {retentoin.ms: 1}}}": `did you mean "retention.ms"`,
		"cluster: {no.such.setting: 1}":                        "no.such.setting",
	} {
		c.run(declared, "apply", "-f", "-", "--yes").want(statusUsage).complains(want)
	}
	c.run("", "apply", "-f", "/no/such").want(statusUsage).complains("/no/such")
	c.run("", "apply").want(statusUsage).complains("-f FILE")
	c.run("", "topic", "list", fresh).want(statusRefused)
}
