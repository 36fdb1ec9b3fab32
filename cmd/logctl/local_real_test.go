package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quorumlog/internal/brokertest"
)

// realLocal is a cluster of real brokers that the built logctl runs with its verbs "local".
type realLocal struct {
	t   *testing.T
	dir string
}

func newRealLocal(t *testing.T) *realLocal {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LOGCTL_BOOTSTRAP", "")
	shared.start(t)
	l := &realLocal{t, filepath.Join(t.TempDir(), "cluster")}
	t.Cleanup(func() { l.run("local", "down") })
	return l
}

// run runs a command; where it is of "local", for this cluster.
func (l *realLocal) run(args ...string) result {
	l.t.Helper()
	if args[0] == "local" {
		args = append(args, "--dir", l.dir)
	}
	return spawn(l.t, shared.program, "one\ntwo\n", args...)
}

func (l *realLocal) states() (s []string) {
	l.t.Helper()
	for _, n := range decode[localStatus](l.run("local", "status", "-o", "json").want(statusDone)).Nodes {
		s = append(s, fmt.Sprint(n.ID, " ", n.State))
	}
	return s
}

func TestLocalRunsRealBrokersAndTheirFilesAreRead(t *testing.T) {
	l := newRealLocal(t)
	up := decode[localStatus](l.run("local", "up", "--port", "0", "--brokerd", brokertest.Program(), "-o", "json").want(statusDone))
	if len(up.Nodes) != 3 || up.Dir != l.dir || len(strings.Split(up.Bootstrap, ",")) != 3 {
		t.Fatalf("up %+v", up)
	}
	for _, n := range up.Nodes {
		if n.State != nodeRunning || !n.Started || n.PID == nil || n.Since == nil || n.Size == 0 {
			t.Errorf("node %+v", n)
		}
	}
	l.run("local", "up").want(statusDone).says("NODE", "STATE", "RESULT", "ran already", up.Bootstrap)
	on := func(args ...string) result { return l.run(append([]string{"-b", up.Bootstrap}, args...)...) }
	on("topic", "create", "orders", "--partitions", "1", "--replication-factor", "3").want(statusDone)
	on("produce", "orders").want(statusDone)

	l.run("local", "kill", "2").want(statusDone).says("2", "killed")
	if got := strings.Join(l.states(), ", "); got != "1 running, 2 dead, 3 running" {
		t.Errorf("states %s", got)
	}
	l.run("local", "status").want(statusDone).says("NODE", "UPTIME", "dead", "running")
	on("produce", "orders").want(statusDone)
	if got := on("consume", "orders").want(statusDone).stdout; got != "one\ntwo\none\ntwo\n" {
		t.Errorf("read %q with a node down", got)
	}
	on("cluster", "health").want(statusRefused).says("2")
	l.run("local", "start", "2").want(statusDone).says("NODE", "running")
	l.run("local", "logs", "2", "-n", "50").want(statusDone).says("broker ready", "node=2")
	l.run("local", "logs", "9").want(statusUsage).complains(`"9"`)
	for begin := time.Now(); on("cluster", "health").status != statusDone; time.Sleep(100 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			t.Fatalf("not healthy again: %s", on("cluster", "health").stdout)
		}
	}
	l.run("local", "stop", "1").want(statusDone).says("1", "stopped")
	l.run("local", "down").want(statusDone).says("stopped")
	if got := strings.Join(l.states(), ", "); got != "1 stopped, 2 stopped, 3 stopped" {
		t.Errorf("states %s", got)
	}
	for node := 1; node <= 3; node++ {
		l.files(node)
	}
	l.run("local", "down", "--delete", "--yes").want(statusDone)
	l.run("local", "status").want(statusRefused).complains("logctl local up --dir " + l.dir)
}

// files reads a stopped node's replica of "orders" without a broker.
func (l *realLocal) files(node int) {
	l.t.Helper()
	found, err := filepath.Glob(filepath.Join(l.dir, fmt.Sprint(node), "topics", "orders-*", "0"))
	if err != nil || len(found) != 1 {
		l.t.Fatalf("node %d: %v, %v", node, found, err)
	}
	l.run("log", "verify", found[0]).want(statusDone).says("PARTITION", "ok")
	v := decode[[]verifiedPartition](l.run("log", "verify", found[0], "-o", "json").want(statusDone))
	if len(v) != 1 || v[0].Problem != nil || v[0].Records != 4 || v[0].StartOffset != 0 || v[0].EndOffset != 4 {
		l.t.Errorf("node %d: %+v", node, v)
	}
	l.run("log", "repair", found[0]).want(statusDone)
	l.run("log", "dump", found[0], "--records").want(statusDone).says(`"two"`)
	var values []string
	for line := range strings.Lines(l.run("log", "dump", found[0], "--records", "-o", "json").want(statusDone).stdout) {
		var b dumpedBatch
		if err := json.Unmarshal([]byte(line), &b); err != nil {
			l.t.Fatal(err)
		}
		for _, r := range b.Content {
			values = append(values, *r.Value)
		}
	}
	if got := strings.Join(values, " "); got != "one two one two" {
		l.t.Errorf("node %d holds %q", node, got)
	}
}
