//go:build linux

package main

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

// system is one of those that are compared.
type system interface {
	name() string
	// prepare makes what nodes need, and starts none.
	prepare(ctx context.Context, nodes int) (*cluster, error)
	// start starts a cluster and waits until it has all its nodes.
	start(ctx context.Context, nodes int) (*cluster, error)
}

// cluster is the processes of a system.
type cluster struct {
	dir   string
	addrs []string
	argv  [][]string
	procs []*exec.Cmd // nil: not running
}

// newCluster makes a directory for so many nodes, and finds a port for each.
func newCluster(dir string, nodes int) (*cluster, []int, error) {
	c := &cluster{dir: dir, procs: make([]*exec.Cmd, nodes)}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o755)); err != nil {
		return nil, nil, err
	}
	ports, err := freePorts(2 * nodes)
	if err != nil {
		return nil, nil, err
	}
	for _, p := range ports[:nodes] {
		c.addrs = append(c.addrs, fmt.Sprint("127.0.0.1:", p))
	}
	return c, ports[nodes:], nil
}

func freePorts(n int) (ports []int, err error) {
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

// launch starts a node, which dies with this process.
func (c *cluster) launch(i int) error {
	out, err := os.Create(filepath.Join(c.dir, fmt.Sprint("log-", i+1)))
	if err != nil {
		return err
	}
	defer out.Close()
	p := exec.Command(c.argv[i][0], c.argv[i][1:]...)
	p.Stdout, p.Stderr, p.SysProcAttr = out, out, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.Start(); err != nil {
		return err
	}
	c.procs[i] = p
	return nil
}

// startTimeout bounds how long a cluster takes to be there.
const startTimeout = 2 * time.Minute

// launchAll starts all nodes and waits until each can be asked and knows all.
func (c *cluster) launchAll(ctx context.Context) (*cluster, error) {
	for i := range c.procs {
		if err := c.launch(i); err != nil {
			return nil, closing(c, err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for _, addr := range c.addrs {
		if err := c.await(ctx, addr); err != nil {
			return nil, closing(c, fmt.Errorf("%s does not know all nodes: %w (see %s)", addr, err, c.dir))
		}
	}
	return c, nil
}

func (c *cluster) await(ctx context.Context, addr string) error {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr))
	if err != nil {
		return err
	}
	defer cl.Close()
	for {
		m, err := kmsg.NewPtrMetadataRequest().RequestWith(ctx, cl) // kadm would remember the answer
		if err == nil && len(m.Brokers) == len(c.addrs) {
			return nil
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

func (c *cluster) kill(i int) {
	if p := c.procs[i]; p != nil {
		_ = p.Process.Kill()
		_ = p.Wait()
		c.procs[i] = nil
	}
}

func (c *cluster) close() error {
	for i := range c.procs {
		c.kill(i)
	}
	return os.RemoveAll(c.dir)
}

// closing ends a cluster whose logs an error may need: they stay then.
func closing(c *cluster, err error) error {
	if err == nil {
		return c.close()
	}
	for i := range c.procs {
		c.kill(i)
	}
	return err
}

// used is the processor time of all nodes so far.
func (c *cluster) used() (t time.Duration) {
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every Linux that Go runs on
	for _, p := range c.procs {
		if p == nil {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), ") ")
		fields := strings.Fields(rest)
		for _, f := range fields[11:13] { // utime and stime
			n, _ := strconv.Atoi(f)
			t += time.Duration(n) * tick
		}
	}
	return t
}

// anonymous is the most memory that one node has, in MiB; mapped files are page cache and do not count.
func (c *cluster) anonymous() (most float64) {
	for _, p := range c.procs {
		if p == nil {
			continue
		}
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid))
		if err != nil {
			continue
		}
		_, rest, _ := strings.Cut(string(b), "RssAnon:")
		if f := strings.Fields(rest); len(f) > 0 {
			kb, _ := strconv.ParseFloat(f[0], 64)
			most = max(most, kb/1024)
		}
	}
	return most
}
