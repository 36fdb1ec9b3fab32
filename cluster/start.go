package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"quorumlog/internal/durable"
	"quorumlog/internal/hclogslog"
)

const (
	logFile          = "log.db"
	heartbeatTimeout = 3 * time.Second
	// commitTimeout is how late a follower may learn of the last commit where telling it at once has
	// failed, and how late a request that failed is made again. One group can afford what thousands
	// of partitions cannot.
	commitTimeout = 100 * time.Millisecond
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

func serverOf(v Voter, suffrage raft.ServerSuffrage) raft.Server {
	return raft.Server{Suffrage: suffrage, ID: serverID(v), Address: raft.ServerAddress(strconv.Itoa(int(v.ID)))}
}

func voterOf(s raft.Server) Voter {
	return Voter{ID: nodeOf(s.Address), Identity: identityOf(s.ID)}
}

// addressOf is the address of the node that an id names.
func addressOf(id raft.ServerID) raft.ServerAddress {
	node, _, _ := strings.Cut(string(id), "/")
	return raft.ServerAddress(node)
}

func identityOf(id raft.ServerID) string {
	_, identity, _ := strings.Cut(string(id), "/")
	return identity
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
	// The names of the log, the snapshots and their directory last as long as what is in them.
	if err := errors.Join(durable.Dir(m.opts.Dir), durable.Dir(filepath.Dir(m.opts.Dir))); err != nil {
		return false, err
	}
	restored, err := m.restoreNewest(snaps)
	if err != nil {
		return false, err
	}
	if err := m.bootstrap(restored); err != nil {
		return false, err
	}
	m.raft, err = raft.NewRaft(m.raftConfig(logger), fsm{m}, m.store, m.opts.Stable, snaps, m.transport)
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
	c.HeartbeatTimeout = m.heartbeat()
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

func (m *Metadata) heartbeat() time.Duration {
	if m.opts.HeartbeatTimeout > 0 {
		return m.opts.HeartbeatTimeout
	}
	return heartbeatTimeout
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
	m.configured.Store(&configured{metas[0].ConfigurationIndex, metas[0].Configuration.Servers})
	return true, nil
}

// bootstrap writes a founder's membership into its empty log, and checks that the stable store
// is the one that belongs to the log. It differs from Raft's own in that a crash half way leaves
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
	if restored || len(m.opts.Voters) == 0 {
		return nil
	}
	first, err := m.firstMembers()
	if err != nil {
		return err
	}
	if term > 1 {
		return fmt.Errorf("this directory was a member of a group that reached term %d, but its log is gone: restore the whole directory from a copy, or start with an empty one as a new member", term)
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

// firstMembers is the membership that a founder begins with.
func (m *Metadata) firstMembers() (raft.Configuration, error) {
	c := raft.Configuration{}
	for _, v := range m.opts.Voters {
		c.Servers = append(c.Servers, serverOf(v, raft.Voter))
	}
	if !slices.Contains(m.opts.Voters, m.self()) {
		return c, fmt.Errorf("node %d is not among the voters that it is to found the group with", m.opts.NodeID)
	}
	return c, nil
}

// checkMembership refuses a group of one that is another data directory's. Where there are more
// members, they may replace this node's old directory by the present one.
func (m *Metadata) checkMembership() (alone bool, err error) {
	servers := m.servers()
	if len(servers) != 1 || voterOf(servers[0]).ID != m.opts.NodeID {
		return false, nil
	}
	if v := voterOf(servers[0]); v != m.self() {
		return false, fmt.Errorf("the log is that of node %d with data directory %s, this one is %s: restore the whole directory from a copy, or start with an empty one", v.ID, v.Identity, m.opts.Identity)
	}
	return true, nil
}
