package main

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// mirrorTo copies to another cluster and returns what came of it.
func (c *broker) mirrorTo(to *broker, args ...string) mirrorResult {
	c.t.Helper()
	return decode[mirrorResult](c.ok(append([]string{"mirror", "--from", c.bootstrap, "--to", to.bootstrap, "-o", "json"}, args...)...))
}

func TestMirrorKeepsOffsetsKeysHeadersTimesAndGroups(t *testing.T) {
	from, to := newBroker(t), newFake(t)
	name, group := from.topic(2, "--config", "max.message.bytes=200000"), from.name()
	t.Cleanup(func() { from.run("", "group", "delete", group, "--yes") })
	from.run("a:1\nb:2\nc:3\n", "produce", name, "-K", ":", "-p", "1", "-H", "h=x", "--timestamp", "@5000").want(statusDone)
	from.ok("group", "reset", group, "--topic", name+":1", "--to", "2", "--yes")

	if got := from.mirrorTo(to, name, "--dry-run"); got.Finished || len(got.Partitions) != 2 || got.Partitions[1].Left != 3 || got.Partitions[1].Offsets != "kept" {
		t.Errorf("planned %+v", got)
	}
	to.run("", "topic", "list", name).want(statusRefused)

	got := from.mirrorTo(to, name, "--group", group)
	if p := got.Partitions[1]; !got.Finished || p.Copied != 3 || p.Left != 0 || p.SourceNext != 3 || p.TargetNext != 3 || p.Offsets != "kept" {
		t.Errorf("copied %+v", got)
	}
	if len(got.Groups) != 1 || got.Groups[0].Target != 2 || !got.Groups[0].Exact || !got.Groups[0].Done {
		t.Errorf("groups %+v", got.Groups)
	}
	if lag := decode[[]groupLag](to.ok("group", "lag", group, "-o", "json")); *lag[0].Partitions[0].Committed != 2 {
		t.Errorf("lag %+v", lag)
	}
	layout := `%p %o %k %s %h %T\n`
	if a, b := from.ok("consume", name, "--format", layout).stdout, to.ok("consume", name, "--format", layout).stdout; a != b || !strings.Contains(b, "1 2 c 3 h=x 5000") {
		t.Errorf("copied\n%sof\n%s", b, a)
	}
	if got := setting1(to, "topic/"+name, "max.message.bytes"); *got.Value != "200000" {
		t.Errorf("settings %+v", got)
	}

	from.run("d:4\n", "produce", name, "-K", ":", "-p", "1").want(statusDone)
	from.ok("group", "reset", group, "--to", "end", "--yes")
	got = from.mirrorTo(to, name, "--group", group)
	if p := got.Partitions[1]; p.Copied != 1 || p.TargetNext != 4 || p.Offsets != "kept" || got.Groups[0].Target != 4 {
		t.Errorf("then copied %+v", got)
	}
	from.run("", "mirror", "--from", from.bootstrap, "--to", to.bootstrap, name, "--group", group).want(statusDone).says("COPIED", "kept", "GROUP", "as before")
}

func TestMirrorTranslatesWhereItCannotKeepOffsets(t *testing.T) {
	from, to := newBroker(t), newFake(t)
	name, group := from.topic(1), from.name()
	t.Cleanup(func() { from.run("", "group", "delete", group, "--yes") })
	from.run("0\n1\n2\n3\n4\n", "produce", name).want(statusDone)
	from.ok("topic", "trim", name, "--before", "2", "--yes")
	from.ok("group", "reset", group, "--topic", name, "--to", "3", "--yes")
	got := from.mirrorTo(to, name, "--prefix", "old.", "--group", group)
	if p := got.Partitions[0]; p.Copied != 3 || p.SourceNext != 5 || p.TargetNext != 3 || p.Offsets != "translated" || p.Target != "old."+name {
		t.Errorf("copied %+v", got)
	}
	if g := got.Groups[0]; g.Source != 3 || g.Target != 1 || !g.Exact || !g.Done || g.Topic != "old."+name {
		t.Errorf("groups %+v", got.Groups)
	}
}

func TestMirrorPassesOverTheHolesOfTransactions(t *testing.T) {
	from, to := newBroker(t), newFake(t)
	name := from.topic(1)
	yes, no := true, false
	from.transact(name, &yes, "a", "b") // markers at 2 and 4
	from.transact(name, &no, "x")
	from.transact(name, &yes, "c")
	for _, at := range []string{"1", "3", "5", "7"} {
		from.ok("group", "reset", "g"+at, "--topic", name, "--to", at, "--yes")
		t.Cleanup(func() { from.run("", "group", "delete", "g"+at, "--yes") })
	}
	got := from.mirrorTo(to, name, "--group", "g?")
	if p := got.Partitions[0]; p.Copied != 3 || p.TargetNext != 3 || p.Left != 0 || p.Offsets != "translated" {
		t.Errorf("copied %+v", got)
	}
	want := map[string]int64{"g1": 1, "g3": 2, "g5": 2, "g7": 3}
	for _, g := range got.Groups {
		if want[g.Group] != g.Target || !g.Exact {
			t.Errorf("%s is at %d, want %d", g.Group, g.Target, want[g.Group])
		}
	}
	if text := to.ok("consume", name, "--format", "%s").stdout; text != "abc" {
		t.Errorf("copied %q", text)
	}
}

func TestMirrorGoesOnWithoutWritingTwiceWhatItHadNotSaved(t *testing.T) {
	from, to := newFake(t), newFake(t)
	name := from.topic(1)
	from.run("a\nb\n", "produce", name).want(statusDone)
	from.mirrorTo(to, name)
	from.run("c\nd\ne\n", "produce", name).want(statusDone)
	to.run("c\nd\n", "produce", name).want(statusDone) // as by a run that was killed before it saved
	if got := from.mirrorTo(to, name); got.Partitions[0].Copied != 1 || got.Partitions[0].Offsets != "kept" {
		t.Errorf("copied %+v", got)
	}
	if text := to.ok("consume", name, "--format", "%s").stdout; text != "abcde" {
		t.Errorf("copied %q", text)
	}
}

func TestMirrorRefusesWhatWouldMixTopicsUp(t *testing.T) {
	from, to := newFake(t), newFake(t)
	name := from.topic(2)
	from.run("a\n", "produce", name, "-p", "0").want(statusDone)
	args := []string{"mirror", "--from", from.bootstrap, "--to", to.bootstrap, name}
	from.run("", "mirror", name).want(statusUsage).complains("--from")
	from.run("", "mirror", "--from", from.bootstrap, "--to", from.bootstrap, name).want(statusUsage).complains("same cluster", "--prefix")
	from.run("", append(args, "--compression", "rar")...).want(statusUsage).complains("rar")
	from.run("", "mirror", "--from", from.bootstrap, "--to", "127.0.0.1:1", name).want(statusUnreachable).complains("127.0.0.1:1")
	to.ok("topic", "create", name, "--partitions", "1")
	from.run("", args...).want(statusRefused).complains("add-partitions")
	to.ok("topic", "add-partitions", name, "--total", "2")
	to.run("other\n", "produce", name, "-p", "0").want(statusDone)
	from.run("", args...).want(statusRefused).complains("--append")
	if got := decode[mirrorResult](from.ok(append(args, "--append", "-o", "json")...)); got.Partitions[0].TargetNext != 2 || got.Partitions[0].Offsets != "translated" || got.Partitions[1].Offsets != "kept" {
		t.Errorf("copied %+v", got)
	}
}

func TestMirroredOffsetsOfAnEarlierRunAreNeverTooLate(t *testing.T) {
	c := &partitionCopy{beginSrc: 100, beginDst: 60, srcNext: 100, dstNext: 60}
	for _, w := range []struct{ src, dst int64 }{{100, 60}, {99, 59}, {50, 10}, {10, 0}, {200, 60}} {
		if got, _ := c.translate(w.src); got != w.dst {
			t.Errorf("%d is %d, want %d", w.src, got, w.dst)
		}
	}
	s := newSender(t.Context(), nil, "", 1<<40)
	c.present = 1
	c.take(s, &kgo.Record{Offset: 105})
	if got, exact := c.translate(103); got != 60 || !exact {
		t.Errorf("in a hole: %d", got)
	}
}

func TestMirrorThatIsInterruptedGoesOnWhereItWas(t *testing.T) {
	from, to := newBroker(t), newFake(t)
	name := from.topic(3)
	from.ok("bench", "produce", name, "-n", "30000", "--size", "200")
	args := []string{"mirror", "--from", from.bootstrap, "--to", to.bootstrap, name, "--no-groups"}
	for range 3 {
		cmd := exec.Command(from.program, args...)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // somewhere: it must be right wherever it is
		_ = cmd.Process.Signal(os.Interrupt)
		_ = cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != statusInterrupted && got != statusDone && got != -1 { // -1: before it could listen
			t.Errorf("status %d", got)
		}
	}
	from.ok(args...)
	layout := `%p %o %s\n`
	for p := range 3 {
		part := strconv.Itoa(p)
		a, b := from.ok("consume", name, "-p", part, "--format", layout).stdout, to.ok("consume", name, "-p", part, "--format", layout).stdout
		if a != b || a == "" {
			t.Errorf("partition %d: %d bytes of records, copied from %d", p, len(b), len(a))
		}
	}
}
