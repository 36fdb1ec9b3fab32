package replication

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"quorumlog/log"
)

// PartitionConfig describes one replica.
type PartitionConfig struct {
	Group string // unique in the cluster and for ever: "<topic id>-<partition>"
	Dir   string // created where absent
	// Voters are the first membership, for a directory that is new: the same on every one of them,
	// whenever it opens. None means to wait for a leader, as does who is not among them.
	Voters []Member

	SegmentBytes, SegmentMs int64 // Kafka's segment.bytes and segment.ms; 0 means the default

	// OnRole is told of every change of State, in order, from the partition's own goroutine. It
	// must not block for long, nor call Close.
	OnRole func(*Partition, State)
	// OnFailed is told, once, when the replica has stopped for good because its log is damaged or
	// is not what was committed: see Node.SetAside. It must not call Close.
	OnFailed func(*Partition, error)
	// OnMembership is told, on the leader, of every step that Reconcile takes, and when it is
	// done, from a goroutine of its own. It must not call Close.
	OnMembership func(*Partition, Membership)
}

// Partition is one replica of one partition: a log and a member of the Raft group that writes it.
type Partition struct {
	node    *Node
	config  PartitionConfig
	logger  *slog.Logger
	machine *machine
	inst    atomic.Pointer[instance]

	state         atomic.Pointer[State]
	highWatermark atomic.Int64
	stableOffset  atomic.Int64    // the last stable offset, which goes up after the high watermark
	life          context.Context // ends with Close, and what waits for others with it
	end           context.CancelFunc
	writeError    atomic.Pointer[error] // the last, until it is taken into account

	segmentBytes, segmentMs atomic.Int64

	mu             sync.Mutex // taken before machine.mu; Raft's main goroutine never takes it
	closing        bool
	stopped        bool // given up: see giveUp
	lastWriteError error
	freed          chan struct{} // closed when proposals leave; nil while nobody waits
	timers         map[*time.Timer]struct{}
	proposals      proposals
	verifications  map[int64]*verification // by producer id
	role

	written    written
	looker     looker
	watchers   watchers
	due        due
	reconciler reconciler
	reopening  reopening
	receiving  sync.Mutex // held while segment files come in

	answered []*Append // scratch of onApplied

	closeOnce sync.Once
	closeErr  error
	removing  atomic.Bool
}

// OpenPartition opens a replica, or creates it in an empty directory. It returns before a leader
// is known; a replica that is alone will lead at once. log.ErrCorrupt is returned when the files
// do not hold what was committed: the replica must be rebuilt from the others.
func (n *Node) OpenPartition(c PartitionConfig) (*Partition, error) {
	if err := n.init(); err != nil {
		return nil, err
	}
	p := n.newPartition(c)
	in, err := p.start(math.MaxUint64)
	if err != nil {
		p.end()
		return nil, fmt.Errorf("open partition %s: %w", c.Group, err)
	}
	p.publishWatermark()
	p.inst.Store(in)
	p.looker.mu.Lock()
	p.looker.running = false
	p.looker.mu.Unlock()
	p.look()
	return p, nil
}

func (n *Node) newPartition(c PartitionConfig) *Partition {
	p := &Partition{node: n, config: c, logger: n.Logger, timers: map[*time.Timer]struct{}{}}
	p.proposals.maxBytes = n.Limits.InflightBytes
	p.refusal = ErrNotLeader
	p.state.Store(&State{Leader: -1})
	p.segmentBytes.Store(c.SegmentBytes)
	p.segmentMs.Store(c.SegmentMs)
	p.reconciler.wake = make(chan struct{}, 1)
	p.life, p.end = context.WithCancel(context.Background())
	p.looker.running = true // nothing settles before the instance is known
	return p
}

// publishWatermark makes the applied high watermark and last stable offset visible; neither ever
// goes back.
func (p *Partition) publishWatermark() {
	p.machine.mu.Lock()
	hw, stable := p.machine.highWatermark, p.machine.stableOffset()
	p.machine.mu.Unlock()
	raise(&p.highWatermark, hw)
	raise(&p.stableOffset, stable)
}

func raise(v *atomic.Int64, to int64) {
	for {
		old := v.Load()
		if to <= old || v.CompareAndSwap(old, to) {
			return
		}
	}
}

// Group is the name of the Raft group.
func (p *Partition) Group() string { return p.config.Group }

// Dir is the directory of the files.
func (p *Partition) Dir() string { return p.config.Dir }

func (p *Partition) log() *log.Log { return p.inst.Load().log }

// closeLimit bounds Close: a disk may hang.
const closeLimit = 8 * time.Second

var errClosing = fmt.Errorf("%w: closing", ErrUnavailable)

var errOverloaded = fmt.Errorf("%w: too much in flight", ErrUnavailable)

// Close stops the replica and writes its checkpoint. What is in flight fails with
// ErrUnavailable; nothing is acknowledged any more. It returns within closeLimit, with
// ErrUnavailable when the disk does not answer. Closing again returns the same.
func (p *Partition) Close() error { return p.closeWith(0) }

// CloseBriefly is Close without a checkpoint where that would save the next start little: it reads some
// of the log's end instead, as after a kill. It is for a node that has thousands of replicas to close.
func (p *Partition) CloseBriefly() error { return p.closeWith(closingBytes) }

// closingBytes is what has to be new since the last checkpoint for another one at the end.
const closingBytes = 64 << 10

// closeWith closes; a checkpoint is written where at least so many bytes were applied since the last.
func (p *Partition) closeWith(least int64) error {
	p.closeOnce.Do(func() { p.closeErr = p.close(least) })
	return p.closeErr
}

func (p *Partition) close(least int64) error {
	p.mu.Lock()
	p.closing = true
	lost := p.stepDown(errClosing)
	p.publish(State{Leader: -1, Epoch: p.State().Epoch})
	for t := range p.timers {
		t.Stop()
	}
	p.mu.Unlock()
	fail(lost, errClosing)
	p.end()
	p.wakeWatchers()

	done := make(chan error, 1)
	go func() { done <- p.shutdown(least) }()
	select {
	case err := <-done:
		return err
	case <-time.After(closeLimit):
		return fmt.Errorf("close partition %s: %w", p.config.Group, ErrUnavailable)
	}
}

func (p *Partition) shutdown(least int64) error {
	p.looker.close()
	p.reconciler.close()
	p.receiving.Lock() // for good: nothing is received any more
	p.cancelDue()
	in := p.inst.Load()
	in.stop()
	p.written.idle.Wait()
	var err error
	if !p.removing.Load() {
		err = p.checkpoint(least)
	}
	if e := in.log.Close(); err == nil {
		err = e
	}
	return err
}
