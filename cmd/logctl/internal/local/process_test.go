//go:build unix

package local

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// started runs a script in place of brokerd, until the test ends.
func started(t *testing.T, script string) (*Cluster, *Node) {
	t.Helper()
	c, err := New(t.TempDir(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Brokerd = filepath.Join(t.TempDir(), "brokerd")
	if err := os.WriteFile(c.Brokerd, []byte("#!/bin/sh\n"+script+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	n := c.Nodes[0]
	if err := c.Start(n, longAgo); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = n.Process.Signal(syscall.SIGKILL) })
	return c, n
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not: " + what)
		}
	}
}

func TestAProcessIsFoundAgainAndEnds(t *testing.T) {
	t.Setenv("BROKERD_JOIN", "h:1")
	c, n := started(t, "env; echo ready; exec sleep 60")
	log := func() string { b, _ := os.ReadFile(c.LogFile(n)); return string(b) }
	eventually(t, "the log is written", func() bool { return strings.Contains(log(), "ready") })
	if strings.Contains(log(), "BROKERD_") {
		t.Error("a variable of brokerd was handed on")
	}
	found, err := Load(c.Dir())
	if err != nil {
		t.Fatal(err)
	}
	p := found.Nodes[0].Process
	if running, _ := found.Running(); len(running) != 1 {
		t.Fatalf("process %+v is not found", p)
	}
	if own, _ := syscall.Getpgid(0); own == pgid(t, p.PID) {
		t.Error("the process is of this group, and Ctrl-C reaches it")
	}
	if err := p.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the process has ended", func() bool { return !p.Running() })
	if err := p.Signal(syscall.SIGTERM); !errors.Is(err, ErrGone) {
		t.Errorf("signal to a process that has ended: %v", err)
	}
}

func pgid(t *testing.T, pid int) int {
	t.Helper()
	id, err := syscall.Getpgid(pid)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAReusedNumberIsNotSignalled(t *testing.T) {
	_, n := started(t, "exec sleep 60")
	other := Process{PID: n.Process.PID, Began: "at another time"}
	if err := other.Signal(syscall.SIGKILL); !errors.Is(err, ErrGone) || !n.Process.Running() {
		t.Errorf("signal to a number that was reused: %v; it runs: %v", err, n.Process.Running())
	}
	for _, p := range []*Process{nil, {}, {PID: -1}, {PID: 1}} {
		if p.Running() {
			t.Errorf("%+v runs", p)
		}
	}
}

func TestAProcessThatNobodyWaitedForHasEnded(t *testing.T) {
	cmd := exec.Command("true")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a zombie has ended", func() bool { _, err := beganAt(cmd.Process.Pid); return err != nil })
	_ = cmd.Wait()
}

func TestWhatCannotBeRunIsToldAtOnce(t *testing.T) {
	c, err := New(t.TempDir(), 1, 0)
	if err != nil {
		t.Fatal(err)
	}
	c.Brokerd = filepath.Join(t.TempDir(), "missing")
	if err := c.Start(c.Nodes[0], longAgo); err == nil || !strings.Contains(err.Error(), "missing") {
		t.Errorf("started: %v", err)
	}
}
