package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

func TestWatchShowsAgainUntilItIsInterrupted(t *testing.T) {
	c := newBroker(t)
	name := c.topic(1)
	cmd := exec.Command(c.program, "-b", c.bootstrap, "topic", "list", name, "--watch=200ms")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer time.AfterFunc(20*time.Second, func() { _ = cmd.Process.Kill() }).Stop()
	seen := ""
	buf := make([]byte, 1024)
	for strings.Count(seen, name) < 3 {
		n, err := out.Read(buf)
		if seen += string(buf[:n]); err != nil {
			t.Fatalf("%v after %q, %s", err, seen, stderr.String())
		}
	}
	if strings.Contains(seen, "\x1b") || strings.Count(seen, "TOPIC") < 3 || !strings.Contains(seen, "\n\nTOPIC") {
		t.Errorf("wrote %q", seen)
	}
	_ = cmd.Process.Signal(os.Interrupt)
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || stderr.Len() > 0 {
		t.Errorf("ended with %v, %s", err, stderr.String())
	}
}

func TestWatchOnATerminalStaysInItsPlace(t *testing.T) {
	a := &app{height: 5, now: func() time.Time { return time.Unix(0, 0).UTC() }}
	got := string(a.frame("1\n2\n3\n4\n", true))
	if want := "\x1b[2J\x1b[H00:00:00  Ctrl-C ends  1 line more below\x1b[K\n1\x1b[K\n2\x1b[K\n3\x1b[K\n\x1b[J"; got != want {
		t.Errorf("drew %q", got)
	}
	if got := string(a.frame("1\n", false)); !strings.HasPrefix(got, "\x1b[H") || strings.Contains(got, "more") {
		t.Errorf("drew %q", got)
	}
}

func TestWatchChecksItsFlag(t *testing.T) {
	c := newFake(t)
	c.run("", "topic", "list", "--watch=1ms").want(statusUsage).complains("--watch")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got := run(ctx, []string{"-b", "127.0.0.1:1", "topic", "list", "-w"}, strings.NewReader(""), io.Discard, io.Discard); got != statusDone {
		t.Errorf("status %d", got)
	}
}
