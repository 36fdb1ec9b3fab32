//go:build linux

// Package nodes runs the processes of a cluster for tools that load it from outside, and reads from
// /proc what they cost.
package nodes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Cluster is the processes of a cluster: node i, whose id is i+1, is started by Argv[i], and is asked
// at Addrs[i].
type Cluster struct {
	Dir   string
	Addrs []string
	Argv  [][]string

	procs []*exec.Cmd // nil: not running
}

// New makes a directory for so many nodes, empty whatever was there, and finds an address for each and a
// further port for what they say to each other. The commands are the caller's to fill in.
func New(dir string, nodes int) (*Cluster, []int, error) {
	c := &Cluster{Dir: dir, procs: make([]*exec.Cmd, nodes)}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, nil, err
	}
	ports, err := FreePorts(2 * nodes)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range ports[:nodes] {
		c.Addrs = append(c.Addrs, fmt.Sprint("127.0.0.1:", p))
	}
	return c, ports[nodes:], nil
}

// FreePorts finds ports of the loopback address that nobody listens on.
func FreePorts(n int) (ports []int, err error) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close()
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// Launch starts a node, which dies with this process.
func (c *Cluster) Launch(i int) error {
	out, err := os.Create(filepath.Join(c.Dir, fmt.Sprint("log-", i+1)))
	if err != nil {
		return err
	}
	defer out.Close()
	p := exec.Command(c.Argv[i][0], c.Argv[i][1:]...)
	p.Stdout, p.Stderr, p.SysProcAttr = out, out, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		return err
	}
	c.procs[i] = p
	return nil
}

// StartTimeout bounds how long a cluster takes to be there.
const StartTimeout = 2 * time.Minute

// LaunchAll starts all nodes and waits until each can be asked and knows all.
func (c *Cluster) LaunchAll(ctx context.Context) (*Cluster, error) {
	for i := range c.procs {
		if err := c.Launch(i); err != nil {
			return nil, Closing(c, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, StartTimeout)
	defer cancel()
	for _, addr := range c.Addrs {
		if err := c.await(ctx, addr); err != nil {
			return nil, Closing(c, fmt.Errorf("%s does not know all nodes: %w (see %s)", addr, err, c.Dir))
		}
	}
	return c, nil
}

func (c *Cluster) await(ctx context.Context, addr string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		m, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl) // kadm would remember the answer
		if err == nil && len(m.Brokers) == len(c.Addrs) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// Kill ends a node at once.
func (c *Cluster) Kill(i int) {
	if p := c.procs[i]; p != nil {
		_ = p.Process.Kill()
		_ = p.Wait()
		c.procs[i] = nil
	}
}

// Close ends all nodes at once and deletes their directory.
func (c *Cluster) Close() error {
	for i := range c.procs {
		c.Kill(i)
	}
	return os.RemoveAll(c.Dir)
}

// Closing ends a cluster whose logs an error may need: they stay then.
func Closing(c *Cluster, err error) error {
	if err == nil {
		return c.Close()
	}
	for i := range c.procs {
		c.Kill(i)
	}
	return err
}

// Used is the processor time of all nodes so far, those excepted that have ended.
func (c *Cluster) Used() (t time.Duration) {
	for i := range c.procs {
		t += c.NodeUsed(i)
	}
	return t
}

// NodeUsed is the processor time of one node so far, 0 of one that does not run.
func (c *Cluster) NodeUsed(i int) (t time.Duration) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	_, rest, _ := strings.Cut(c.proc(i, "stat"), ") ")
	if fields := strings.Fields(rest); len(fields) > 13 {
		for _, f := range fields[11:13] { // utime and stime
			n, _ := strconv.Atoi(f)
			t += time.Duration(n) * tick
		}
	}
	return t
}

// Anonymous is the most memory that one node has, in MiB; mapped files are page cache and do not count.
func (c *Cluster) Anonymous() (most float64) {
	for i := range c.procs {
		most = max(most, c.NodeAnonymous(i))
	}
	return most
}

// NodeAnonymous is the memory of one node, in MiB, 0 of one that does not run.
func (c *Cluster) NodeAnonymous(i int) float64 {
	_, rest, _ := strings.Cut(c.proc(i, "status"), "RssAnon:")
	f := strings.Fields(rest)
	if len(f) == 0 {
		return 0
	}
	kb, _ := strconv.ParseFloat(f[0], 64)
	return kb / 1024
}

// Descriptors is how many files and sockets one node has open, 0 of one that does not run.
func (c *Cluster) Descriptors(i int) int {
	if c.procs[i] == nil {
		return 0
	}
	open, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", c.procs[i].Process.Pid))
	return len(open)
}

// proc is a file of /proc about one node, "" of one that does not run.
func (c *Cluster) proc(i int, file string) string {
	if c.procs[i] == nil {
		return ""
	}
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/%s", c.procs[i].Process.Pid, file))
	return string(b)
}

// Brokerd starts so many nodes of quorumlog, with further arguments, and waits until each knows all.
func Brokerd(ctx context.Context, program, dir string, n int, args ...string) (*Cluster, error) {
	c, err := PrepareBrokerd(program, dir, n, args...)
	if err != nil {
		return nil, err
	}
	return c.LaunchAll(ctx)
}

// PrepareBrokerd is Brokerd without a start.
func PrepareBrokerd(program, dir string, n int, args ...string) (*Cluster, error) {
	c, ports, err := New(dir, n)
	if err != nil {
		return nil, err
	}
	var voters []string
	for i, p := range ports {
		voters = append(voters, fmt.Sprintf("%d@127.0.0.1:%d", i+1, p))
	}
	for i := range n {
		argv := append([]string{
			program, "--node-id", fmt.Sprint(i + 1), "--data-dir", c.DataDir(i),
			"--listen", c.Addrs[i], "--raft-listen", fmt.Sprint("127.0.0.1:", ports[i]), "--admin-listen", "",
		}, args...)
		if n > 1 {
			argv = append(argv, "--voters", strings.Join(voters, ","))
		}
		c.Argv = append(c.Argv, argv)
	}
	return c, nil
}

// DataDir is where a node of Brokerd keeps its data.
func (c *Cluster) DataDir(i int) string { return filepath.Join(c.Dir, fmt.Sprint("node-", i+1)) }
