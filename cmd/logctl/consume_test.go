package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"time"

	"quorumlog/cmd/logctl/internal/recordio"
)

func TestConsumeReadsBetweenPlaces(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	for i, v := range []string{"a", "b", "c", "d"} {
		c.run(v+"\n", "produce", name, "--timestamp", "@"+string(rune('1'+i))+"000").want(statusDone)
	}
	for want, args := range map[string][]string{
		"abcd": {},
		"cd":   {"--from", "2"},
		"d":    {"--from", "-1"},
		"b":    {"--from", "1", "--until", "2"},
		"bc":   {"--from", "@2000", "--until", "@4000"},
		"ab":   {"-n", "2"},
		"":     {"--from", "99"},
		"bcd":  {"--from", "1970-01-01T00:00:01.500Z"},
	} {
		if got := c.ok(append([]string{"consume", name, "--format", "%s"}, args...)...).stdout; got != want {
			t.Errorf("%v read %q, want %q", args, got, want)
		}
	}
}

func TestConsumeReadsChosenPartitions(t *testing.T) {
	c := newBroker(t)
	name := c.topic(3)
	c.run("a\n", "produce", name, "-p", "0").want(statusDone)
	c.run("b\n", "produce", name, "-p", "2").want(statusDone)
	if got := c.ok("consume", name, "-p", "2", "--format", `%t:%p:%o:%s`).stdout; got != name+":2:0:b" {
		t.Errorf("read %q", got)
	}
	c.run("", "consume", name, "-p", "3").want(statusRefused).complains("no partition 3", "0 to 2")
}

func TestConsumeWritesAnObjectALine(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("k\xff:<v>\n", "produce", name, "-K", ":", "-H", "h=1", "--timestamp", "@5000").want(statusDone)
	out := c.ok("consume", name, "-o", "json").stdout
	var got recordio.Record
	if err := json.Unmarshal([]byte(out), &got); err != nil || strings.Count(out, "\n") != 1 {
		t.Fatalf("%v in %q", err, out)
	}
	if *got.Key != "a/8=" || got.KeyEncoding != "base64" || *got.Value != "<v>" || got.ValueEncoding != "" || got.Timestamp != 5000 || len(got.Headers) != 1 {
		t.Errorf("read %+v", got)
	}
}

func TestConsumeGroupGoesOnWhereItStood(t *testing.T) {
	c := newBroker(t)
	name, group := c.topic(1), c.name()
	t.Cleanup(func() { c.run("", "group", "delete", group, "--yes") })
	c.run("a\nb\nc\n", "produce", name).want(statusDone)
	if got := c.ok("consume", name, "-g", group, "-n", "1").stdout; got != "a\n" {
		t.Errorf("first read %q", got)
	}
	if got := c.ok("consume", name, "-g", group).stdout; got != "b\nc\n" {
		t.Errorf("then read %q", got)
	}
	if got := c.ok("consume", name, "-g", group).stdout; got != "" {
		t.Errorf("then read %q", got)
	}
}

func TestConsumeGroupWithoutACommitBeginsAtFrom(t *testing.T) {
	c := newBroker(t)
	name, group := c.topic(1), c.name()
	t.Cleanup(func() { c.run("", "group", "delete", group, "--yes") })
	c.run("a\nb\nc\n", "produce", name).want(statusDone)
	if got := c.ok("consume", name, "-g", group, "--from", "-1").stdout; got != "c\n" {
		t.Errorf("read %q", got)
	}
}

func TestConsumeFollowsUntilItIsInterrupted(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("a\n", "produce", name).want(statusDone)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	r, w := io.Pipe()
	status := make(chan int, 1)
	var stderr bytes.Buffer
	go func() {
		status <- run(ctx, []string{"-b", c.bootstrap, "consume", name, "-f"}, strings.NewReader(""), w, &stderr)
	}()
	expect := func(want string) {
		t.Helper()
		b := make([]byte, len(want))
		if _, err := io.ReadFull(r, b); err != nil || string(b) != want {
			t.Fatalf("read %q, %v; want %q", b, err, want)
		}
	}
	expect("a\n")
	c.run("b\n", "produce", name).want(statusDone)
	expect("b\n")
	interrupt()
	select {
	case got := <-status:
		if got != statusDone || stderr.Len() > 0 {
			t.Errorf("status %d, stderr %q", got, stderr.String())
		}
	case <-time.After(20 * time.Second):
		t.Fatal("it goes on")
	}
}

func TestClosedPipeEndsConsumeQuietly(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("a\n", "produce", name).want(statusDone)
	r, w := io.Pipe()
	_ = r.Close()
	var stderr bytes.Buffer
	if status := run(t.Context(), []string{"-b", c.bootstrap, "consume", name, "-f"}, strings.NewReader(""), w, &stderr); status != statusDone || stderr.Len() > 0 {
		t.Errorf("status %d, stderr %q", status, stderr.String())
	}
}

func TestConsumeChecksItsFlags(t *testing.T) {
	c := newFake(t)
	for _, args := range [][]string{
		{"--format", "%z"}, {"-o", "yaml"}, {"-f", "--until", "3"}, {"-g", "g", "-p", "1"}, {"-g", "g", "--until", "1"}, {"-n", "-1"},
		{"--from", "never"}, {"--until", "shift:+1"},
	} {
		c.run("", append([]string{"consume", "t"}, args...)...).want(statusUsage).complains()
	}
	c.run("", "consume").want(statusUsage).complains("TOPIC is missing")
}

func TestConsumeChoosesRecords(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run(`a:{"n":1}`+"\n"+`b:{"n":2}`+"\n", "produce", name, "-K", ":", "-H", "from=shop").want(statusDone)
	c.run("c:text\n", "produce", name, "-K", ":", "-H", "from=web").want(statusDone)
	for want, args := range map[string][]string{
		"b":   {"--filter", "value.n > 1"},
		"a":   {"--key", "a"},
		"c":   {"-H", "from=web"},
		"abc": {"-H", "from"},
		"ab":  {"--filter", `headers.from == "shop" && key in ["a","b","c"]`},
		"":    {"--key", "b", "-H", "from=web"},
		"bc":  {"--tail", "2"},
	} {
		r := c.ok(append([]string{"consume", name, "--format", "%k"}, args...)...)
		if r.stdout != want {
			t.Errorf("%v read %q, want %q", args, r.stdout, want)
		}
		if says := strings.Contains(r.stderr, "1 record was passed over"); says != (want == "b") {
			t.Errorf("%v said %q", args, r.stderr)
		}
	}
	c.run("", "consume", name, "--filter", "valu.n").want(statusUsage).complains("--filter", "valu")
}

func TestConsumeWritesBytesInManyWays(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	c.run("\x00\x00\x00\x2a:\xff\x00\n", "produce", name, "-K", ":").want(statusDone)
	c.ok("consume", name, "--key-as", "int", "--value-as", "hex", "--format", `%k %s\n`).shows("42 ff00")
	c.ok("consume", name, "--key-as", "hex", "-o", "json").says(`"key":"0000002a"`, `"value_encoding":"base64"`)
	if got := c.ok("consume", name, "-o", "raw").stdout; got != "\xff\x00" {
		t.Errorf("raw %q", got)
	}
	c.run("", "consume", name, "--key-as", "octal").want(statusUsage).complains("octal")
	c.run("", "consume", name, "--tail", "0").want(statusUsage).complains("--tail")
	c.run("", "topic", "list", "-o", "raw").want(statusUsage).complains("raw")
}
