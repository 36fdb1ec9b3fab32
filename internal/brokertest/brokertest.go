// Package brokertest runs brokerd as a process of its own, for tests that need a real one: that
// it survives being killed, that it exits with the right status, that clients find it again.
//
// A package that uses it calls Main from its TestMain.
package brokertest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a broker may take to start or to stop before the test fails. Stopping is
// promised within ten seconds.
const (
	startPatience = 30 * time.Second
	stopPatience  = 10 * time.Second
)

// Broker is a brokerd process, or the place of one that was stopped.
type Broker struct {
	// Addr is where clients connect; it stays the same over restarts.
	Addr string
	// Dir is the data directory, removed after the test.
	Dir string

	t    testing.TB
	raft string // where other nodes connect
	args []string
	proc *process // nil: not running
}

// Start runs brokerd on free ports over an empty data directory, with more arguments after
// those, and returns when it is ready. The test fails if it cannot start. After the test it is
// stopped, and its log is shown if the test failed.
func Start(t testing.TB, args ...string) *Broker {
	t.Helper()
	b := newBroker(t, "127.0.0.1:0", args)
	b.start()
	return b
}

// Prepare makes the place of a broker and starts nothing; the arguments are those of Start.
func Prepare(t testing.TB, args ...string) *Broker {
	return newBroker(t, "127.0.0.1:0", args)
}

func newBroker(t testing.TB, raft string, args []string) *Broker {
	b := &Broker{Addr: "127.0.0.1:0", Dir: t.TempDir(), t: t, raft: raft, args: args}
	t.Cleanup(func() {
		if b.proc != nil {
			b.Stop()
		}
	})
	return b
}

// Restart starts the broker again where it was, over the same data and on the same port. More
// arguments replace those of Start.
func (b *Broker) Restart(args ...string) {
	b.t.Helper()
	if b.proc != nil {
		b.t.Fatal("brokertest: Restart of a broker that runs; call Kill or Stop before")
	}
	if len(args) > 0 {
		b.args = args
	}
	b.start()
}

// Kill ends the process with SIGKILL: what was not yet handed to the operating system is lost.
func (b *Broker) Kill() {
	b.t.Helper()
	b.signal(syscall.SIGKILL)
	b.wait()
}

// Destroy is Kill for a process that may have ended by itself, because of what was done to it.
func (b *Broker) Destroy() {
	b.t.Helper()
	_ = b.proc.cmd.Process.Kill()
	b.wait()
}

// Stop ends the process with SIGTERM, which must make it exit with status 0 within ten seconds.
func (b *Broker) Stop() {
	b.t.Helper()
	b.signal(syscall.SIGTERM)
	if state := b.wait(); state.ExitCode() != 0 {
		b.t.Errorf("brokerd stopped with %s", state)
	}
}

// Suspend stops the process with SIGSTOP until Resume, as a machine does that swaps or hangs.
func (b *Broker) Suspend() {
	b.t.Helper()
	b.signal(syscall.SIGSTOP)
}

// Resume lets a suspended process go on.
func (b *Broker) Resume() {
	b.t.Helper()
	b.signal(syscall.SIGCONT)
}

// DataDir is the data directory.
func (b *Broker) DataDir() string { return b.Dir }

// RaftAddr is where other nodes connect.
func (b *Broker) RaftAddr() string { return b.raft }

// Running reports whether there is a process.
func (b *Broker) Running() bool { return b.proc != nil }

// Pid is the process's number, for measuring it.
func (b *Broker) Pid() int { return b.proc.cmd.Process.Pid }

// Log is what the running process has logged so far, its last part if that is much.
func (b *Broker) Log() string { return b.proc.log.String() }

func (b *Broker) start() {
	b.t.Helper()
	b.Spawn()
	b.AwaitReady()
}

// Spawn starts the process and does not wait for it.
func (b *Broker) Spawn() {
	b.t.Helper()
	args := append([]string{
		"--listen", b.Addr, "--data-dir", b.Dir, "--raft-listen", b.raft, "--admin-listen", "127.0.0.1:0", "--log-format", "json",
	}, b.args...)
	p, err := spawn(args)
	if err != nil {
		b.t.Fatalf("brokertest: %v", err)
	}
	b.proc = p
	b.t.Cleanup(func() {
		if b.t.Failed() {
			b.t.Logf("log of brokerd, pid %d:\n%s", p.cmd.Process.Pid, &p.log)
		}
	})
}

// AwaitReady returns when the process serves clients.
func (b *Broker) AwaitReady() {
	b.t.Helper()
	p := b.proc
	select {
	case addr := <-p.ready:
		b.Addr = addr
	case <-p.done:
		b.proc = nil
		b.t.Fatalf("brokerd %s ended before it was ready: %s", strings.Join(b.args, " "), p.cmd.ProcessState)
	case <-time.After(startPatience):
		b.t.Fatalf("brokerd was not ready after %s", startPatience)
	}
}

func (b *Broker) signal(s syscall.Signal) {
	b.t.Helper()
	if b.proc == nil {
		b.t.Fatal("brokertest: the broker is not running")
	}
	if err := b.proc.cmd.Process.Signal(s); err != nil {
		b.t.Errorf("brokerd ended by itself: %v", err)
	}
}

// wait returns how the process ended. One that does not is killed, and the test fails.
func (b *Broker) wait() *os.ProcessState {
	b.t.Helper()
	p := b.proc
	b.proc = nil
	select {
	case <-p.done:
	case <-time.After(stopPatience):
		b.t.Errorf("brokerd did not end within %s", stopPatience)
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return p.cmd.ProcessState
}

// Run runs brokerd to its end, for starts that must fail, and returns its status and what it
// wrote to standard error. One that does not end is killed, and the test fails.
func Run(t testing.TB, args ...string) (status int, stderr string) {
	t.Helper()
	p, err := spawn(args)
	if err != nil {
		t.Fatalf("brokertest: %v", err)
	}
	select {
	case <-p.done:
	case <-time.After(startPatience):
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Errorf("brokerd %s did not end", strings.Join(args, " "))
	}
	return p.cmd.ProcessState.ExitCode(), p.log.String()
}

// binary is the brokerd that Main built.
var binary string

// Main builds brokerd once, runs the package's tests, then what is to be done at the end, and
// removes it again. It is called from TestMain and does not return. BROKERTEST_BINARY names a
// program to test instead.
func Main(m *testing.M, finally ...func()) {
	os.Exit(runTests(m, Race, finally))
}

// MainOfClient is Main for a package whose tests are of a client: brokerd is built without the race
// detector, which makes it slow and finds nothing about the client.
func MainOfClient(m *testing.M, finally ...func()) {
	os.Exit(runTests(m, false, finally))
}

func runTests(m *testing.M, race bool, finally []func()) int {
	for _, f := range finally {
		defer f()
	}
	if binary = os.Getenv("BROKERTEST_BINARY"); binary != "" {
		return m.Run()
	}
	dir, err := os.MkdirTemp("", "brokertest-*")
	if err == nil {
		defer os.RemoveAll(dir)
		binary = dir + "/brokerd"
		err = Build(binary, "quorumlog/cmd/brokerd", race)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "brokertest:", err)
		return 1
	}
	return m.Run()
}

// Program is the path of the brokerd that is tested; Main must have built it.
func Program() string { return binary }

// Build makes a program of this module, with the race detector where that is wanted.
func Build(to, pkg string, race bool) error {
	args := []string{"build", "-o", to}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, pkg)...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", pkg, err, &out)
	}
	return nil
}
