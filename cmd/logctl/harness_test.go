package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quorumlog/internal/brokertest"

	"github.com/twmb/franz-go/pkg/kfake"
)

// broker is what a test's commands talk to.
type broker struct {
	t         *testing.T
	bootstrap string
	program   string // the logctl that is run; "" runs commands in this process
}

// newBroker is the cluster of three brokers that all tests share, or the one that
// LOGCTL_TEST_BOOTSTRAP names; others may be using it too. Commands are run by the program that
// was built.
func newBroker(t *testing.T) *broker {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LOGCTL_BOOTSTRAP", "")
	shared.start(t)
	return &broker{t, shared.bootstrap, shared.program}
}

// newFake is a fake broker in this process, empty, whose answers the test can bend.
func newFake(t *testing.T) *broker {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LOGCTL_BOOTSTRAP", "")
	fake, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ClusterID(fmt.Sprintf("fake-%d", serial.Add(1))))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return &broker{t: t, bootstrap: strings.Join(fake.ListenAddrs(), ",")}
}

// result is what a command left behind.
type result struct {
	t              *testing.T
	line           string
	status         int
	stdout, stderr string
}

// run executes a command line with text as its standard input.
func (c *broker) run(stdin string, args ...string) result {
	c.t.Helper()
	args = append([]string{"-b", c.bootstrap}, args...)
	if c.program == "" || brokertest.Race { // the detector sees what is in this process alone
		return execute(c.t, stdin, args...)
	}
	return spawn(c.t, c.program, stdin, args...)
}

// ok is run for a command that must succeed.
func (c *broker) ok(args ...string) result {
	c.t.Helper()
	return c.run("", args...).want(statusDone)
}

func execute(t *testing.T, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second) // cleanups run commands too
	defer cancel()
	var stdout, stderr bytes.Buffer
	status := run(ctx, args, strings.NewReader(stdin), &stdout, &stderr)
	return result{t, strings.Join(args, " "), status, stdout.String(), stderr.String()}
}

// spawn runs a program to its end.
func spawn(t *testing.T, program, stdin string, args ...string) result {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 30*time.Second)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return result{t, strings.Join(args, " "), cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

func (r result) want(status int) result {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("logctl %s: status %d, want %d\nstdout: %s\nstderr: %s", r.line, r.status, status, r.stdout, r.stderr)
	}
	return r
}

// says checks that the standard output has each text.
func (r result) says(texts ...string) result {
	r.t.Helper()
	for _, s := range texts {
		if !strings.Contains(r.stdout, s) {
			r.t.Errorf("logctl %s: no %q in\n%s", r.line, s, r.stdout)
		}
	}
	return r
}

// shows checks that the standard output is these lines, but for the number of blanks between
// words; a * stands for any text without blanks.
func (r result) shows(lines ...string) result {
	r.t.Helper()
	var want []string
	for _, l := range lines {
		words := strings.Fields(regexp.QuoteMeta(l))
		want = append(want, strings.ReplaceAll(strings.Join(words, " +"), `\*`, `\S+`))
	}
	if !regexp.MustCompile(`^` + strings.Join(want, `\n`) + `\n$`).MatchString(r.stdout) {
		r.t.Errorf("logctl %s: wrote\n%swant\n%s", r.line, r.stdout, strings.Join(lines, "\n"))
	}
	return r
}

// complains checks that the standard error is one sentence that has each text.
func (r result) complains(texts ...string) result {
	r.t.Helper()
	if !strings.HasPrefix(r.stderr, "logctl: ") || strings.Count(r.stderr, "\n") != 1 {
		r.t.Errorf("logctl %s: no single sentence: %q", r.line, r.stderr)
	}
	for _, s := range texts {
		if !strings.Contains(r.stderr, s) {
			r.t.Errorf("logctl %s: no %q in %q", r.line, s, r.stderr)
		}
	}
	return r
}

// decode reads the standard output as JSON.
func decode[T any](r result) T {
	r.t.Helper()
	var v T
	if err := json.Unmarshal([]byte(r.stdout), &v); err != nil {
		r.t.Fatalf("logctl %s: %v in\n%s", r.line, err, r.stdout)
	}
	return v
}

var serial atomic.Int64

// topic makes a topic whose name no other test has, and deletes it afterwards.
func (c *broker) topic(partitions int, more ...string) string {
	c.t.Helper()
	name := c.name()
	c.ok(append([]string{"topic", "create", name, "--partitions", fmt.Sprint(partitions)}, more...)...)
	c.t.Cleanup(func() { c.run("", "topic", "delete", name, "--yes") })
	return name
}

func (c *broker) name() string {
	return fmt.Sprintf("t%d-%d-%d", os.Getpid(), time.Now().UnixNano(), serial.Add(1))
}

// file writes a file with the given content.
func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "input")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
