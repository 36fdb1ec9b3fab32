package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"quorumlog/internal/hclogslog"
)

const (
	logFile          = "log.db"
	heartbeatTimeout = 3 * time.Second
	// commitTimeout is how late a follower may learn of the last commit. One group can afford what
	// thousands of partitions cannot: a topic is known everywhere soon after it was made.
	commitTimeout = 50 * time.Millisecond
	// A start replays what came after the last snapshot, at some 15 µs an entry: 2,048 of them and
	// a snapshot of 10,000 topics cost less than 50 ms, and such a snapshot 4 ms of work to write.
	snapshotEvery    = 2048
	snapshotInterval = 30 * time.Second
	trailingLogs     = 1024
	keptSnapshots    = 2
	maxAppendEntries = 128
)

// keyCurrentTerm is Raft's own name for the term.
var keyCurrentTerm = []byte("CurrentTerm")

// serverID names a data directory, not only a node: a node that lost its disk must not vote as
// if it still had what it promised.
func serverID(v Voter) raft.ServerID {
	return raft.ServerID(fmt.Sprintf("%d/%s", v.ID, v.Identity))
}

func voterOf(s raft.Server) Voter {
	_, identity, _ := strings.Cut(string(s.ID), "/")
	return Voter{ID: nodeOf(s.Address), Identity: identity}
}

func (m *Metadata) self() Voter { return Voter{ID: m.opts.NodeID, Identity: m.opts.Identity} }

// start opens the files and the Raft instance. alone tells that this node is the only voter.
func (m *Metadata) start() (alone bool, err error) {
	if err := os.MkdirAll(m.opts.Dir, 0o755); err != nil {
		return false, err
	}
	logger := hclogslog.New(m.log.With("group", "metadata"))
	snaps, err := raft.NewFileSnapshotStoreWithLogger(m.opts.Dir, keptSnapshots, logger)
	if err != nil {
		return false, err
	}
	m.store, err = openStore(filepath.Join(m.opts.Dir, logFile))
	if err != nil {
		return false, err
	}
	defer func() {
		if err != nil {
			m.store.Close()
		}
	}()
	restored, err := m.restoreNewest(snaps)
	if err != nil {
		return false, err
	}
	if err := m.bootstrap(restored); err != nil {
		return false, err
	}
	m.raft, err = raft.NewRaft(m.raftConfig(logger), fsm{m}, m.store, m.opts.Stable, snaps, m.opts.Transport)
	if err != nil {
		return false, err
	}
	alone, err = m.checkMembership()
	if err != nil {
		m.raft.Shutdown().Error()
	}
	return alone, err
}

// openStore opens the log. The free list is not written: it is found again by a scan of a file
// that snapshots keep small.
func openStore(path string) (*raftboltdb.BoltStore, error) {
	s, err := raftboltdb.New(raftboltdb.Options{
		Path: path,
		BoltOptions: &bbolt.Options{
			Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
		},
	})
	if errors.Is(err, bbolterrors.ErrTimeout) {
		err = errors.New("in use by another process")
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return s, nil
}

func (m *Metadata) raftConfig(logger *hclogslog.Logger) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = serverID(m.self())
	c.HeartbeatTimeout = heartbeatTimeout
	if m.opts.HeartbeatTimeout > 0 {
		c.HeartbeatTimeout = m.opts.HeartbeatTimeout
	}
	c.ElectionTimeout = c.HeartbeatTimeout
	c.LeaderLeaseTimeout = c.HeartbeatTimeout / 2
	c.CommitTimeout = min(commitTimeout, c.HeartbeatTimeout/4)
	c.SnapshotThreshold = snapshotEvery
	if m.opts.SnapshotEvery > 0 {
		c.SnapshotThreshold = m.opts.SnapshotEvery
	}
	c.SnapshotInterval = snapshotInterval
	c.TrailingLogs = trailingLogs
	c.MaxAppendEntries = maxAppendEntries
	c.NoLegacyTelemetry = true
	c.NoSnapshotRestoreOnStart = true // restoreNewest has done it, and can say what is wrong
	c.Logger = logger
	return c
}

// restoreNewest loads the newest snapshot. An older one would not do in its place: the log
// between them is gone.
func (m *Metadata) restoreNewest(snaps raft.SnapshotStore) (bool, error) {
	metas, err := snaps.List()
	if err != nil || len(metas) == 0 {
		return false, err
	}
	_, from, err := snaps.Open(metas[0].ID)
	if err != nil {
		return false, fmt.Errorf("snapshot %s: %w", metas[0].ID, err)
	}
	defer from.Close()
	i, err := readSnapshot(from)
	if err != nil {
		return false, fmt.Errorf("snapshot %s: %w", metas[0].ID, err)
	}
	m.publish(i)
	return true, nil
}

// bootstrap writes the first membership into an empty log, and checks that the stable store is
// the one that belongs to the log. It differs from Raft's own in that a crash half way leaves
// nothing that the next start could take for a member without a group.
func (m *Metadata) bootstrap(restored bool) error {
	last, err := m.store.LastIndex()
	if err != nil {
		return err
	}
	term, err := m.opts.Stable.GetUint64(keyCurrentTerm)
	if err != nil && err.Error() != "not found" {
		return err
	}
	if last > 0 {
		var l raft.Log
		if err := m.store.GetLog(last, &l); err != nil {
			return fmt.Errorf("entry %d of %s: %w", last, logFile, err)
		}
		if l.Term > term {
			return fmt.Errorf("the log has reached term %d, but the store of terms and votes only %d: it was lost or belongs to another data directory; restore it, or the whole directory, from a copy", l.Term, term)
		}
		return nil
	}
	first := m.firstMembers()
	if restored || len(first.Servers) == 0 {
		return nil
	}
	if term == 0 {
		if err := m.opts.Stable.SetUint64(keyCurrentTerm, 1); err != nil {
			return err
		}
	}
	return m.store.StoreLog(&raft.Log{
		Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(first),
	})
}

// firstMembers is empty for a node that waits to be added.
func (m *Metadata) firstMembers() raft.Configuration {
	voters, self, c := m.opts.Voters, m.self(), raft.Configuration{}
	if len(voters) == 0 {
		voters = []Voter{self}
	}
	member := false
	for _, v := range voters {
		member = member || v == self
		c.Servers = append(c.Servers, raft.Server{
			Suffrage: raft.Voter, ID: serverID(v), Address: raft.ServerAddress(strconv.Itoa(int(v.ID))),
		})
	}
	if !member {
		return raft.Configuration{}
	}
	return c
}

// checkMembership refuses a log that knows this node under another identity.
func (m *Metadata) checkMembership() (alone bool, err error) {
	f := m.raft.GetConfiguration()
	if err := f.Error(); err != nil {
		return false, err
	}
	servers := f.Configuration().Servers
	for _, s := range servers {
		if v := voterOf(s); v.ID == m.opts.NodeID && v.Identity != m.opts.Identity {
			return false, fmt.Errorf("the group knows node %d with data directory %s, this one is %s: remove the old member and join anew", v.ID, v.Identity, m.opts.Identity)
		}
	}
	return len(servers) == 1 && voterOf(servers[0]) == m.self(), nil
}
