package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"quorumlog/internal/brokertest"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// beBrokerd makes this test program stand in for brokerd.
const beBrokerd = "LOGCTL_TEST_BE_BROKERD"

func TestMain(m *testing.M) {
	if os.Getenv(beBrokerd) != "" {
		if err := fakeBrokerd(os.Args[1:]); err != nil {
			fmt.Fprintln(os.Stderr, "brokerd:", err)
			os.Exit(2)
		}
	}
	brokertest.MainOfClient(m, shared.close)
}

// fakeBrokerd answers on --listen and names all --voters as brokers, until it is killed.
func fakeBrokerd(args []string) error {
	value := func(flag string) string {
		if i := slices.Index(args, flag); i >= 0 {
			return args[i+1]
		}
		return ""
	}
	if value("--set") == "bad=1" {
		return fmt.Errorf("no setting is named bad")
	}
	host, port, err := net.SplitHostPort(value("--listen"))
	if err != nil {
		return err
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return err
	}
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.Ports(number))
	if err != nil {
		return err
	}
	fake.ControlKey(int16(kmsg.Metadata), func(req kmsg.Request) (kmsg.Response, error, bool) {
		fake.KeepControl()
		answer := req.ResponseKind().(*kmsg.MetadataResponse)
		for i := range max(1, len(strings.Split(value("--voters"), ","))) {
			b := kmsg.NewMetadataResponseBroker()
			b.NodeID, b.Host, b.Port = int32(i+1), host, int32(number)
			answer.Brokers = append(answer.Brokers, b)
		}
		answer.ControllerID = 1
		return answer, nil, true
	})
	time.Sleep(time.Minute) // the test ends before
	return nil
}

// localCluster runs verbs of "local" over a directory of its own.
type localCluster struct {
	t       *testing.T
	dir     string
	brokerd string
}

func newLocalCluster(t *testing.T) *localCluster {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LOGCTL_BOOTSTRAP", "")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &localCluster{t, filepath.Join(t.TempDir(), "cluster"), filepath.Join(t.TempDir(), "brokerd")}
	script := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", beBrokerd, self)
	if err := os.WriteFile(c.brokerd, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.run("down") })
	return c
}

func (c *localCluster) run(verb string, args ...string) result {
	c.t.Helper()
	return execute(c.t, "", append([]string{"local", verb, "--dir", c.dir}, args...)...)
}

func (c *localCluster) up(args ...string) result {
	c.t.Helper()
	return c.run("up", append([]string{"--port", "0", "--brokerd", c.brokerd}, args...)...)
}

func (c *localCluster) states() string {
	c.t.Helper()
	var s []string
	for _, n := range decode[localStatus](c.run("status", "-o", "json").want(statusDone)).Nodes {
		s = append(s, string(n.State))
	}
	return strings.Join(s, " ")
}

func TestLocalClusterGoesUpAndDown(t *testing.T) {
	c := newLocalCluster(t)
	first := decode[localStatus](c.up("-o", "json").want(statusDone))
	if len(first.Nodes) != 3 || !first.Nodes[2].Started || len(strings.Split(first.Bootstrap, ",")) != 3 {
		t.Fatalf("up %+v", first)
	}
	c.run("kill", "2").want(statusDone).says("killed")
	c.run("stop", "3").want(statusDone).says("stopped")
	if got := c.states(); got != "running dead stopped" {
		t.Errorf("states %s", got)
	}
	again := decode[localStatus](c.up("-o", "json").want(statusDone))
	if again.Bootstrap != first.Bootstrap || *again.Nodes[0].PID != *first.Nodes[0].PID || again.Nodes[0].Started || !again.Nodes[1].Started {
		t.Errorf("up again %+v after %+v", again, first)
	}
	c.run("down").want(statusDone).says("stopped")
	if got := c.states(); got != "stopped stopped stopped" {
		t.Errorf("states %s", got)
	}
	c.run("start", "1", "--wait", "0").want(statusDone).says("stopped")
	c.run("down", "--delete").want(statusUsage).complains("--yes")
	c.run("down", "--delete", "--yes").want(statusDone)
	if _, err := os.Stat(c.dir); err == nil {
		t.Error("the directory is still there")
	}
	c.run("status").want(statusRefused).complains("logctl local up --dir " + c.dir)
}

func TestLocalUpTellsWhatIsWrong(t *testing.T) {
	c := newLocalCluster(t)
	c.run("up", "--port", "0", "--brokerd", "/no/such/brokerd").want(statusUsage).complains("/no/such/brokerd")
	c.up("-n", "0").want(statusUsage).complains("-n must be")
	c.up("--set", "novalue").want(statusUsage).complains("novalue")
	c.up("-n", "1", "--set", "bad=1").want(statusRefused).complains("node 1 ended at once", "no setting is named bad", "logctl local logs 1")
	c.run("logs", "1", "-n", "1").want(statusDone).says("no setting is named bad")
	c.run("start", "7").want(statusUsage).complains(`"7"`)
	c.up("-n", "2").want(statusUsage).complains("1 node", "down --delete")
	busy := listen(t, func(net.Conn) {})
	_, port, _ := net.SplitHostPort(busy)
	c.dir = t.TempDir()
	c.up("--port", port).want(statusUsage).complains(busy, "--port")
}

func TestLocalWithoutAMajorityIsNotWaitedFor(t *testing.T) {
	c := newLocalCluster(t)
	c.up().want(statusDone)
	c.run("kill", "1", "2", "3").want(statusDone)
	if r := c.run("start", "2").want(statusDone); !strings.Contains(r.stderr, "2 of 3 nodes are down") {
		t.Errorf("said %q", r.stderr)
	}
}

func TestLocalLogsFollowAlsoWhatBeganAnew(t *testing.T) {
	path := filepath.Join(t.TempDir(), "1.log")
	write(t, path, "old\n")
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	lines := make(chan string, 10)
	g := &localLogs{localCommand: &localCommand{app: &app{out: &pipe{w: writerFunc(func(b []byte) { lines <- string(b) })}}}}
	done := make(chan error, 1)
	go func() { done <- g.more(ctx, path, f, 0) }()
	if got := <-lines; got != "old\n" {
		t.Errorf("first %q", got)
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	write(t, path, "new\n")
	if got := <-lines; got != "new\n" {
		t.Errorf("then %q", got)
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
}

type writerFunc func([]byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestUptimeIsShort(t *testing.T) {
	for d, want := range map[time.Duration]string{-time.Second: "0s", 61 * time.Second: "1m1s", 25 * time.Hour: "1 day 1h", 49 * time.Hour: "2 days 1h"} {
		if got := uptime(d); got != want {
			t.Errorf("%v: %s", d, got)
		}
	}
}
