// Package check tests what deploy/ holds: that the rules' and the dashboard's queries find what a
// broker really exports, that manifests are what their own tools take, and that the flags in them
// are brokerd's. It is a module of its own, so that those tools are no dependencies of the broker.
package check

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const deploy = ".." // where the files are

// binaries are brokerd and logctl, built once.
var binaries string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "deploy-check-*")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir+"/", "./cmd/...")
	build.Dir, build.Env = "../..", append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building brokerd: %v\n%s", err, out)
		return 1
	}
	binaries = dir
	return m.Run()
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(deploy, path))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// startBroker runs a broker and returns where its clients and its admin port are.
func startBroker(t *testing.T, args ...string) (kafka, admin string) {
	t.Helper()
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(binaries, "brokerd"), append([]string{
		"--listen", "127.0.0.1:0", "--raft-listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0",
		"--data-dir", t.TempDir(), "--log-format", "json",
	}, args...)...)
	out, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
		_ = cmd.Wait()
	})
	type addresses struct{ kafka, admin string }
	ready := make(chan addresses, 1)
	go func() {
		defer close(ended)
		var a addresses
		for in := json.NewDecoder(out); ; {
			var l struct{ Msg, Kafka, Admin string }
			if in.Decode(&l) != nil {
				return
			}
			if l.Admin != "" {
				a.admin = l.Admin
			}
			if l.Msg == "broker ready" {
				a.kafka = l.Kafka
				ready <- a
			}
		}
	}()
	select {
	case a := <-ready:
		return a.kafka, a.admin
	case <-ended:
		t.Fatalf("brokerd ended: %s", &log)
	case <-time.After(30 * time.Second):
		t.Fatal("brokerd was not ready after 30 s")
	}
	return "", ""
}

// logctl runs the tool against a broker.
func logctl(t *testing.T, kafka, stdin string, args ...string) {
	t.Helper()
	cmd := exec.Command(filepath.Join(binaries, "logctl"), append([]string{"-b", kafka}, args...)...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("logctl %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// wouldStart fails unless brokerd understands the arguments, variables and file that it is started
// with somewhere: it gets as far as opening the data directory, which a file in its place prevents.
func wouldStart(t *testing.T, env []string, args ...string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	args = append(args, "--data-dir", file+"/data", "--listen", "127.0.0.1:0", "--raft-listen", "127.0.0.1:0", "--admin-listen", "")
	cmd := exec.Command(filepath.Join(binaries, "brokerd"), args...)
	cmd.Env = env
	out, err := cmd.CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	if !ok || exit.ExitCode() != 1 || !strings.Contains(string(out), "not a directory") {
		t.Errorf("brokerd %s with %v: %v\n%s", strings.Join(args, " "), env, err, out)
	}
}
