package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// broker is what a test's commands talk to: a fake broker in this process or, where
// LOGCTL_TEST_BOOTSTRAP names one, a real one, which other tests and people may be using too.
type broker struct {
	t         *testing.T
	bootstrap string
}

func newBroker(t *testing.T) *broker {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LOGCTL_BOOTSTRAP", "")
	if real := os.Getenv("LOGCTL_TEST_BOOTSTRAP"); real != "" {
		return &broker{t, real}
	}
	return newFake(t)
}

// newFake is a fake broker also where a real one is named, for tests that need it empty.
func newFake(t *testing.T) *broker {
	t.Helper()
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	t.Setenv("LOGCTL_BOOTSTRAP", "")
	fake, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fake.Close)
	return &broker{t, strings.Join(fake.ListenAddrs(), ",")}
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
	return execute(c.t, stdin, append([]string{"-b", c.bootstrap}, args...)...)
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
