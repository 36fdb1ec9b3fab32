// Package local keeps a cluster of brokerd processes on this machine: which ports its nodes have,
// which processes they are, and where their files lie. Nothing but those processes is ever
// signalled, and nothing but those files is ever deleted.
package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

var (
	// ErrNone is returned where a directory holds no cluster.
	ErrNone = errors.New("no cluster is there")
	// ErrPortInUse is returned where a port that was asked for belongs to another program.
	ErrPortInUse = errors.New("port in use")
	// ErrForeign is returned where a new cluster's directory holds something of its names already.
	ErrForeign = errors.New("it is not a local cluster's")
	// ErrGone is returned for a process that has ended.
	ErrGone = errors.New("the process has ended")
	// ErrBusy is returned while another logctl works on the same cluster.
	ErrBusy = errors.New("another logctl works on this cluster")
)

// Cluster is what local.json holds. It is used by one goroutine.
type Cluster struct {
	Format   int      `json:"format"`
	Brokerd  string   `json:"brokerd"`            // absolute path of the program
	Settings []string `json:"settings,omitempty"` // NAME=VALUE, for every node
	Nodes    []*Node  `json:"nodes"`              // in the order of their ids, 1 to n

	dir string
}

// Node is one broker of the cluster, whether it runs or not.
type Node struct {
	ID      int32    `json:"id"`
	Kafka   string   `json:"kafka"` // HOST:PORT, as the next two
	Raft    string   `json:"raft"`
	Admin   string   `json:"admin"`
	Process *Process `json:"process,omitempty"` // nil: never started, or stopped
}

const (
	format    = 1
	stateFile = "local.json"
	host      = "127.0.0.1"
)

// New lays out a cluster of n nodes in dir, over ports from kafkaPort on; 0 takes free ones.
// Nothing is written before Save.
func New(dir string, n, kafkaPort int) (*Cluster, error) {
	c := &Cluster{Format: format, dir: dir}
	ports := portPicker{}
	for i := range n {
		kafka, err := ports.exactly(kafkaPort, i)
		if err != nil {
			return nil, err
		}
		node := &Node{ID: int32(i + 1), Kafka: kafka}
		if _, err := os.Lstat(c.DataDir(node)); err == nil {
			return nil, fmt.Errorf("%w: %s is there, but no %s beside it", ErrForeign, c.DataDir(node), stateFile)
		}
		c.Nodes = append(c.Nodes, node)
	}
	for i, node := range c.Nodes { // after all of Kafka's, so that none of those is taken
		var errRaft, errAdmin error
		node.Raft, errRaft = ports.preferably(raftBase(kafkaPort), i)
		node.Admin, errAdmin = ports.preferably(adminBase(kafkaPort), i)
		if err := errors.Join(errRaft, errAdmin); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// Load reads the cluster in dir. It returns ErrNone where there is none.
func Load(dir string) (*Cluster, error) {
	path := filepath.Join(dir, stateFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w: %s", ErrNone, dir)
	}
	if err != nil {
		return nil, err
	}
	c := &Cluster{dir: dir}
	if err := json.Unmarshal(b, c); err != nil {
		return nil, fmt.Errorf("%s is not understood: %v", path, err)
	}
	return c, c.check(path)
}

func (c *Cluster) check(path string) error {
	if c.Format != format {
		return fmt.Errorf("%s has format %d, and this logctl knows %d", path, c.Format, format)
	}
	for i, n := range c.Nodes {
		if n == nil || n.ID != int32(i+1) {
			return fmt.Errorf("%s is damaged: its nodes are not numbered from 1", path)
		}
	}
	if len(c.Nodes) == 0 {
		return fmt.Errorf("%s is damaged: it has no nodes", path)
	}
	return nil
}

// Save writes local.json as a whole or not at all.
func (c *Cluster) Save() error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	b, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	path := filepath.Join(c.dir, stateFile)
	if err := os.WriteFile(path+".tmp", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// Dir is where the cluster's files are.
func (c *Cluster) Dir() string { return c.dir }

// Node returns the node with an id, nil where there is none.
func (c *Cluster) Node(id int32) *Node {
	i := slices.IndexFunc(c.Nodes, func(n *Node) bool { return n.ID == id })
	if i < 0 {
		return nil
	}
	return c.Nodes[i]
}

// Running returns the nodes whose processes run, and all others.
func (c *Cluster) Running() (running, down []*Node) {
	for _, n := range c.Nodes {
		if n.Process.Running() {
			running = append(running, n)
		} else {
			down = append(down, n)
		}
	}
	return running, down
}

// Majority is how many nodes must run for the cluster to answer.
func (c *Cluster) Majority() int { return len(c.Nodes)/2 + 1 }

// Bootstrap is the Kafka addresses of all nodes, with commas.
func (c *Cluster) Bootstrap() string {
	addrs := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addrs[i] = n.Kafka
	}
	return strings.Join(addrs, ",")
}

// DataDir is a node's --data-dir.
func (c *Cluster) DataDir(n *Node) string { return filepath.Join(c.dir, strconv.Itoa(int(n.ID))) }

// LogFile is where a node's log lines go.
func (c *Cluster) LogFile(n *Node) string { return c.DataDir(n) + ".log" }

// args is the command line of a node.
func (c *Cluster) args(n *Node) []string {
	args := []string{
		"--node-id", strconv.Itoa(int(n.ID)), "--data-dir", c.DataDir(n),
		"--listen", n.Kafka, "--raft-listen", n.Raft, "--admin-listen", n.Admin,
	}
	if len(c.Nodes) > 1 {
		voters := make([]string, len(c.Nodes))
		for i, v := range c.Nodes {
			voters[i] = fmt.Sprintf("%d@%s", v.ID, v.Raft)
		}
		args = append(args, "--voters", strings.Join(voters, ","))
	}
	for _, s := range c.Settings {
		args = append(args, "--set", s)
	}
	return args
}
