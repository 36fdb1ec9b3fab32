package replication

import (
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/internal/throttle"
	"quorumlog/log"
)

// Node is what the partitions of one broker share. Fill in the exported fields before the first
// OpenPartition and leave them alone afterwards; the zero value of every setting is its default.
type Node struct {
	ID int32
	// Identity is the UUID of the data directory: a node whose disk was wiped is another voter.
	Identity string

	Files     *log.Files  // nil: a cache of the default size
	Syncer    *log.Syncer // nil: one of its own
	Stable    *StableStore
	Transport *Transport
	Logger    *slog.Logger // nil: silent
	Now       func() time.Time

	Timing   Timing
	Limits   Limits
	Schedule CheckpointSchedule

	once        sync.Once
	initErr     error
	checkpoints checkpointer

	sending, receiving chan struct{}  // a place for each transfer
	shipping           throttle.Bytes // bytes of segment files on their way out
	shipped            atomic.Int64   // bytes of segment files sent
}

// Timing is Raft's clockwork. Zero fields take the default.
type Timing struct {
	Heartbeat time.Duration // heartbeat and election timeout, default 20 s
	Lease     time.Duration // after which a leader without a quorum steps down, default half of Heartbeat
	Commit    time.Duration // a follower learns of an idle leader's commits within this, default 3 s
	// Campaign is the first pause before a group of one stands for election again after it had
	// to step down; it doubles up to a hundredfold. Default 50 ms.
	Campaign time.Duration
	// Lag is Kafka's replica.lag.time.max.ms: a follower that has not had all of its leader's log
	// for so long is out of sync. Default 30 s.
	Lag time.Duration
}

// Limits bound what one partition keeps in memory, and what catching up costs. Zero fields take the default.
type Limits struct {
	// InflightBytes is how much may be proposed and not yet committed, default 64 MiB. A single
	// batch is let through whatever its size.
	InflightBytes int
	// AppendWait is how long Append waits for room, default 5 s.
	AppendWait time.Duration
	// TailBytes is how much of a log at least is sent entry by entry, default 64 MiB: a follower
	// that lacks more, and more than the two newest segments, gets segment files.
	TailBytes int64
	// ShipRate is how many bytes of segment files the node sends a second, default 256 MiB.
	ShipRate int64
	// Transfers is how many replicas the node sends segment files to at a time, and how many of
	// its own it receives them for, default 4 each.
	Transfers int
	// RequestBytes trims an AppendEntries request, default 1 MiB; it carries one entry at least.
	RequestBytes int
}

// CheckpointSchedule says when a partition's checkpoint is due. Zero fields take the default.
type CheckpointSchedule struct {
	Bytes int64         // appended since the last one, default 64 MiB
	Every time.Duration // after the first append since the last one, default 1 minute
}

func (n *Node) init() error {
	n.once.Do(func() { n.initErr = n.setDefaults() })
	return n.initErr
}

func (n *Node) setDefaults() error {
	if n.Stable == nil || n.Transport == nil || n.Identity == "" {
		return errors.New("replication: a node needs Identity, Stable and Transport")
	}
	if n.Files == nil {
		n.Files = log.NewFiles(0)
	}
	if n.Syncer == nil {
		n.Syncer = log.NewSyncer()
	}
	if n.Logger == nil {
		n.Logger = slog.New(slog.DiscardHandler)
	}
	n.Stable.logger.Store(n.Logger)
	orDefault(&n.Timing.Heartbeat, 20*time.Second)
	orDefault(&n.Timing.Lease, n.Timing.Heartbeat/2)
	orDefault(&n.Timing.Commit, 3*time.Second)
	orDefault(&n.Timing.Campaign, 50*time.Millisecond)
	orDefault(&n.Timing.Lag, 30*time.Second)
	orDefault(&n.Limits.InflightBytes, 64<<20)
	orDefault(&n.Limits.AppendWait, 5*time.Second)
	orDefault(&n.Limits.RequestBytes, 1<<20)
	orDefault(&n.Limits.TailBytes, 64<<20)
	orDefault(&n.Limits.ShipRate, 256<<20)
	orDefault(&n.Limits.Transfers, 4)
	n.sending, n.receiving = make(chan struct{}, n.Limits.Transfers), make(chan struct{}, n.Limits.Transfers)
	orDefault(&n.Schedule.Bytes, 64<<20)
	orDefault(&n.Schedule.Every, time.Minute)
	return nil
}

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}

func (n *Node) now() time.Time {
	if n.Now != nil {
		return n.Now()
	}
	return time.Now()
}

// Close stops the node's background work and waits for it. Close the partitions first.
func (n *Node) Close() error {
	n.checkpoints.close()
	return nil
}

// self is this node as a member of groups.
func (n *Node) self() Member { return Member{n.ID, n.Identity} }

// configuration is the first membership of a group.
func configuration(voters []Member) (c raft.Configuration) {
	for _, v := range voters {
		c.Servers = append(c.Servers, raft.Server{Suffrage: raft.Voter, ID: v.serverID(), Address: NodeAddress(v.Node)})
	}
	return c
}
