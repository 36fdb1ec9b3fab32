package replication

import (
	"log/slog"
	"math"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/internal/hclogslog"
)

// maxAppendEntries is Raft's bound on the entries of one write and of one request, and the room
// of its proposal queue.
const maxAppendEntries = 128

// maxInflight bounds the proposals of a partition, so that handing one to Raft never blocks:
// its queue holds maxAppendEntries, and some room is left for the partition's own commands.
const maxInflight = maxAppendEntries - 8

// raftConfig is the same for every group. The timeouts are long because an idle group costs what
// its timers cost; failures are found by the node, not by each group.
func raftConfig(id raft.ServerID, t Timing, logger *slog.Logger) *raft.Config {
	return &raft.Config{
		ProtocolVersion:    raft.ProtocolVersionMax,
		LocalID:            id,
		HeartbeatTimeout:   t.Heartbeat,
		ElectionTimeout:    t.Heartbeat,
		LeaderLeaseTimeout: t.Lease,
		CommitTimeout:      t.Commit,
		MaxAppendEntries:   maxAppendEntries,
		BatchApplyCh:       true,
		NoLegacyTelemetry:  true,
		// Truncation is the log's own, snapshots are virtual.
		TrailingLogs:             math.MaxUint64,
		SnapshotThreshold:        math.MaxUint64,
		SnapshotInterval:         24 * time.Hour,
		NoSnapshotRestoreOnStart: true,
		// Off: it deadlocks NewRaft on a long tail, and loses the membership.
		RestoreCommittedLogs: false,
		Logger:               hclogslog.New(logger),
	}
}
