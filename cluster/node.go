package cluster

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"quorumlog/internal/durable"
)

// What OpenDataDir refuses, besides ErrNewerVersion and ErrCorrupt.
var (
	// ErrLocked: another process has the data directory open.
	ErrLocked = errors.New("data directory is in use")
	// ErrOtherNode: the data directory belongs to another node id.
	ErrOtherNode = errors.New("data directory of another node")
	// ErrOtherCluster: the data directory belongs to another cluster.
	ErrOtherCluster = errors.New("data directory of another cluster")
	// ErrForeignData: data without the file that says whose it is, or another program's.
	ErrForeignData = errors.New("data directory is not this program's")
)

const (
	nodeFile   = "node.json"
	lockFile   = ".lock"
	nodeFormat = 1
	// defaultNodeID is a new data directory's where none was asked for.
	defaultNodeID = 1
)

// node is the content of node.json: see docs/formats/node.md.
type node struct {
	Format    int     `json:"format"`
	NodeID    *int32  `json:"node.id"`
	Directory TopicID `json:"directory.id"`
	Cluster   string  `json:"cluster.id,omitempty"`
}

// MarshalText and UnmarshalText are String and ParseTopicID.
func (id TopicID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is MarshalText's inverse.
func (id *TopicID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseTopicID(string(b))
	return err
}

// DataDir is a node's data directory: locked, and known to be this node's.
type DataDir struct {
	path string
	lock *os.File

	mu   sync.Mutex // guards node.Cluster: other nodes are told of it while it is set
	node node
}

// OpenDataDir locks a data directory for as long as the process lives or until Close, and checks
// whose it is. A new one is created and gets a random identity; nodeID -1 takes the one that is
// recorded, or 1. Errors: ErrLocked, ErrOtherNode, ErrForeignData, ErrNewerVersion, ErrCorrupt.
func OpenDataDir(path string, nodeID int32) (*DataDir, error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	lock, err := lockDir(path)
	if err != nil {
		return nil, err
	}
	d := &DataDir{path: path, lock: lock}
	if err := d.load(nodeID); err != nil {
		lock.Close()
		return nil, err
	}
	return d, nil
}

// Path is the directory.
func (d *DataDir) Path() string { return d.path }

// NodeID is the node's id.
func (d *DataDir) NodeID() int32 { return *d.node.NodeID }

// Identity is the directory's UUID, in Kafka's form. It is never given twice, so that a node
// that lost its disk is a new one to its peers.
func (d *DataDir) Identity() string { return d.node.Directory.String() }

// ClusterID is the cluster that the directory belongs to, empty until SetClusterID.
func (d *DataDir) ClusterID() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.node.Cluster
}

// SetClusterID records the cluster durably; once set it stays. Error: ErrOtherCluster.
func (d *DataDir) SetClusterID(id string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch d.node.Cluster {
	case id:
		return nil
	case "":
		n := d.node
		n.Cluster = id
		if err := d.write(n); err != nil {
			return err
		}
		d.node.Cluster = id
		return nil
	}
	return fmt.Errorf("%w: %s names cluster %s, but this node met cluster %s; start it with that cluster's voters, or with an empty data directory to join this one",
		ErrOtherCluster, d.file(), d.node.Cluster, id)
}

// Close gives the lock back.
func (d *DataDir) Close() error { return d.lock.Close() }

func (d *DataDir) file() string { return filepath.Join(d.path, nodeFile) }

// load reads node.json, or writes it in an empty directory.
func (d *DataDir) load(nodeID int32) error {
	b, err := os.ReadFile(d.file())
	if errors.Is(err, fs.ErrNotExist) {
		return d.create(nodeID)
	}
	if err != nil {
		return err
	}
	n, err := decodeNode(b)
	if err != nil {
		return fmt.Errorf("%s: %w", d.file(), err)
	}
	if nodeID >= 0 && nodeID != *n.NodeID {
		return fmt.Errorf("%w: %s names node %d, but node %d was asked for; start it as node %d, or give node %d a data directory of its own",
			ErrOtherNode, d.file(), *n.NodeID, nodeID, *n.NodeID, nodeID)
	}
	d.node = n
	return nil
}

// decodeNode checks the format before anything else, so that a newer one is called by its name.
func decodeNode(b []byte) (node, error) {
	var format struct{ Format int }
	if err := json.Unmarshal(b, &format); err != nil {
		return node{}, fmt.Errorf("%w: not a JSON object (%v); restore the file from a copy", ErrCorrupt, err)
	}
	if format.Format > nodeFormat {
		return node{}, fmt.Errorf("%w: format %d, this version reads up to %d; start the newer version that wrote it", ErrNewerVersion, format.Format, nodeFormat)
	}
	var n node
	in := json.NewDecoder(bytes.NewReader(b))
	in.DisallowUnknownFields()
	if err := in.Decode(&n); err != nil {
		return node{}, fmt.Errorf("%w: %v; restore the file from a copy", ErrCorrupt, err)
	}
	if n.Format < 1 || n.NodeID == nil || *n.NodeID < 0 || n.Directory.IsZero() {
		return node{}, fmt.Errorf("%w: format, node.id or directory.id is missing or invalid; restore the file from a copy", ErrCorrupt)
	}
	return n, nil
}

func (d *DataDir) create(nodeID int32) error {
	if err := d.checkEmpty(); err != nil {
		return err
	}
	if nodeID < 0 {
		nodeID = defaultNodeID
	}
	d.node = node{Format: nodeFormat, NodeID: &nodeID, Directory: NewTopicID(nil)}
	return d.write(d.node)
}

// checkEmpty refuses a directory whose data would get a second identity.
func (d *DataDir) checkEmpty() error {
	for _, name := range []string{"raft.db", "cluster", "topics"} {
		if _, err := os.Lstat(filepath.Join(d.path, name)); err == nil {
			return fmt.Errorf("%w: %s holds %s but no %s; restore that file from a copy, or start with an empty directory", ErrForeignData, d.path, name, nodeFile)
		}
	}
	if _, err := os.Lstat(filepath.Join(d.path, "meta.properties")); err == nil {
		return fmt.Errorf("%w: %s holds meta.properties, it is a log directory of Apache Kafka; choose another directory", ErrForeignData, d.path)
	}
	return nil
}

// write replaces node.json durably.
func (d *DataDir) write(n node) error {
	b, err := json.MarshalIndent(n, "", "  ")
	if err != nil {
		return err
	}
	tmp := d.file() + ".tmp"
	if err := writeSynced(tmp, append(b, '\n')); err != nil {
		return err
	}
	if err := os.Rename(tmp, d.file()); err != nil {
		return err
	}
	return durable.Dir(d.path)
}

func writeSynced(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = durable.File(f)
	}
	return errors.Join(err, f.Close())
}

// makeDir creates a directory whose entry in its parent is durable.
func makeDir(path string) error {
	if s, err := os.Stat(path); err == nil && s.IsDir() {
		return nil
	}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return err
	}
	return durable.Dir(filepath.Dir(path))
}
