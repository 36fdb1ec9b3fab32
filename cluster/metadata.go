// Package cluster holds the cluster's metadata: topics and their placement, brokers,
// configurations, producer ids. One Raft group decides, and every node replays its log into an
// Image. Whoever wants a change reads the image, decides on records and appends them; only the
// replay of committed records changes the image.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// startTimeout bounds how long a node alone may take to lead: it replays at most the entries
// since the last snapshot.
const startTimeout = 30 * time.Second

// Voter is a first member of the metadata group.
type Voter struct {
	ID int32
	// Identity is the UUID of its data directory.
	Identity string
}

// Transport is Raft's transport of one group, which can make the local member stand for election.
type Transport interface {
	raft.Transport
	raft.WithPreVote
	raft.WithClose
	// Campaign makes the local member stand for election at once.
	Campaign()
}

// Options configures Open.
type Options struct {
	// Dir holds the metadata log and its snapshots; it is created.
	Dir string
	// NodeID and Identity (the data directory's UUID) name this member.
	NodeID   int32
	Identity string
	// Voters found the group: they are its first members, this one among them. Exactly one node of
	// a cluster may name them, and only where none of the others knows the cluster yet (the lowest
	// id of those that the operator listed, say; a node alone names itself). The others name none:
	// they found nothing, and learn from the founder's log who is a member. Voters count for an
	// empty directory only.
	Voters []Voter
	// Transport carries the group's RPCs; its address is the node id in decimal. Close closes it.
	Transport Transport
	// Stable keeps the group's term and vote; it is shared by the groups of a node.
	Stable raft.StableStore
	// Features are the levels that a new cluster's features are finalized at.
	Features map[string]int16
	// PeerIdentity is the data directory that a node has now, empty where it is not known: answers
	// for another one are not taken, so that a node whose disk was replaced does not vote for what
	// it has lost. It is best learned from the connection to the node and kept when that breaks:
	// it must be known by the time that the node has answered. Nil means never known.
	PeerIdentity func(node int32) string
	// Logger is slog's default where nil.
	Logger *slog.Logger

	// OpenStream opens a stream to a node, for a snapshot to a member that is far behind; the other
	// end hands it to ReceiveSnapshot. Nil leaves snapshots to the Transport.
	OpenStream func(ctx context.Context, to int32) (net.Conn, error)
	// OnRole is told what this node knows of the group's leader (-1 for none), and whether it is
	// itself the leader that may decide: it has applied what earlier ones committed. It is called
	// for the state at the start (perhaps before Open returns) and for every change, in order, from
	// one goroutine; it must not block, nor call Close. Of changes in quick succession only the last
	// may be told.
	OnRole func(leader int32, term uint64, leading bool)

	// HeartbeatTimeout is also the election timeout; 0 means 3 s. The leader's lease is half of it.
	HeartbeatTimeout time.Duration
	// SnapshotEvery is the number of changes between snapshots; 0 means 2,048.
	SnapshotEvery uint64
}

// Metadata is this node's member of the metadata group.
//
// Its goroutines: Raft's own, of which one applies (it alone stores images and calls watchers);
// lead, which alone changes the role and calls OnRole; on the leader at most one a follower that
// tells it what is committed, for one request; and one for each future that somebody waits for.
type Metadata struct {
	opts   Options
	log    *slog.Logger
	store  *raftboltdb.BoltStore
	raft   *raft.Raft
	image  atomic.Pointer[Image]
	slot   chan struct{} // held by the one change in progress
	closed sync.Once
	down   sync.Once

	followers   *followers
	transport   *transport
	configured  atomic.Pointer[configured] // stored by the apply goroutine
	reconciling chan struct{}              // held by the one Reconcile in progress

	closing chan struct{} // closed by Close
	stopped chan struct{} // closed once Raft has shut down
	ended   chan struct{} // closed when lead has returned
	failed  chan struct{} // closed once err is set

	mu       sync.Mutex
	err      error
	role     role
	turned   chan struct{} // closed and replaced when lead has looked at the role
	watchers []*watcher    // replaced, never changed

	told told // lead's alone
}

// role is what this node is to the group.
type role int

const (
	following  role = iota
	takingOver      // elected, but entries of earlier terms may not be applied yet
	leading
)

type watcher struct{ call func(old, new *Image) }

// Open starts the member and replays its log. The only voter of a group leads when Open returns,
// and has named the cluster; others follow, or wait for a leader. Errors: ErrNewerVersion, ErrCorrupt,
// and those of the disk.
func Open(o Options) (*Metadata, error) {
	if o.Transport == nil || o.Stable == nil || o.Identity == "" {
		return nil, errors.New("metadata needs a transport, a stable store and an identity")
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	m := &Metadata{
		opts: o, log: o.Logger, slot: make(chan struct{}, 1),
		followers: newFollowers(), reconciling: make(chan struct{}, 1),
		closing: make(chan struct{}), stopped: make(chan struct{}), ended: make(chan struct{}),
		failed: make(chan struct{}), turned: make(chan struct{}),
	}
	m.transport = &transport{
		Transport: o.Transport, followers: m.followers, identity: o.PeerIdentity,
		stream: o.OpenStream, rpcs: make(chan raft.RPC), closing: m.closing,
	}
	m.image.Store(&Image{})
	alone, err := m.start()
	if err != nil {
		return nil, fmt.Errorf("metadata in %s: %w", o.Dir, err)
	}
	go m.lead(m.observe())
	if alone {
		if err := m.leadAlone(); err != nil {
			m.Close()
			return nil, fmt.Errorf("metadata in %s: %w", o.Dir, err)
		}
	}
	return m, nil
}

// leadAlone makes the only voter lead at once.
func (m *Metadata) leadAlone() error {
	m.Campaign()
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	for {
		role, turned := m.state()
		if role == leading {
			return nil
		}
		if err := m.waitTurn(ctx, turned); err != nil {
			return err
		}
	}
}

// Campaign makes this member stand for election at once, against a leader that may still be
// there: it is right for a group of one, and once a majority agrees that the leader is gone. One
// that leads, has no vote, or does not know yet of any member, stays as it is.
func (m *Metadata) Campaign() {
	if m.raft.State() == raft.Leader {
		return
	}
	for _, s := range m.servers() {
		if s.Suffrage == raft.Voter && s.ID == serverID(m.self()) {
			m.opts.Transport.Campaign()
		}
	}
}

// servers are the members of the latest configuration, committed or not.
func (m *Metadata) servers() []raft.Server {
	return m.raft.GetConfiguration().Configuration().Servers // never fails: it is read from memory
}

// Image returns the current image: on the leader it holds every change that was acknowledged.
func (m *Metadata) Image() *Image { return m.image.Load() }

// Watch has f called with every change of the image from now on, in order, from the apply
// goroutine: f must not block and must not call Change. Changes that are replayed or committed
// together come as one. An image that is loaded after Watch returned is not older than the first
// old one. After cancel a call may still be under way.
func (m *Metadata) Watch(f func(old, new *Image)) (cancel func()) {
	w := &watcher{call: f}
	m.mu.Lock()
	m.watchers = append(slices.Clone(m.watchers), w)
	m.mu.Unlock()
	return func() {
		m.mu.Lock()
		m.watchers = slices.DeleteFunc(slices.Clone(m.watchers), func(other *watcher) bool { return other == w })
		m.mu.Unlock()
	}
}

// Await returns the first image from now on that satisfies cond. Errors: the context's,
// ErrClosed, ErrFailed.
func (m *Metadata) Await(ctx context.Context, cond func(*Image) bool) (*Image, error) {
	wake := make(chan struct{}, 1)
	cancel := m.Watch(func(_, _ *Image) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	defer cancel()
	for {
		if i := m.Image(); cond(i) {
			return i, nil
		}
		if err := m.waitTurn(ctx, wake); err != nil {
			return nil, err
		}
	}
}

// publish makes an image the current one; only the apply goroutine and start call it.
func (m *Metadata) publish(new *Image) {
	m.mu.Lock()
	old := m.image.Swap(new)
	watchers := m.watchers
	m.mu.Unlock()
	for _, w := range watchers {
		w.call(old, new)
	}
}

// Leader returns the leader's node id, -1 while it is unknown, and the term.
func (m *Metadata) Leader() (node int32, term uint64) {
	addr, _ := m.raft.LeaderWithID()
	return nodeOf(addr), m.raft.CurrentTerm()
}

// IsLeader reports whether this node leads and has applied what earlier leaders committed.
func (m *Metadata) IsLeader() bool {
	r, _ := m.state()
	return r == leading
}

// Quorum is the group as this node sees it, for DescribeQuorum (KIP-595).
type Quorum struct {
	// Leader is -1 while it is unknown.
	Leader int32
	Term   uint64
	// Committed, Applied and Last are log indexes of this node.
	Committed, Applied, Last uint64
	// Voters elect and commit; Observers only follow the log.
	Voters, Observers []Voter
	// Followers are the members that have answered this node in its term as the leader, by node id.
	Followers map[int32]Follower
}

// Follower is what the leader knows of another member.
type Follower struct {
	Match uint64 // the last entry that it is known to have, 0 while unknown
	// LastContact is when it answered last, CaughtUp when it last had all that was committed.
	LastContact, CaughtUp time.Time
}

// Quorum describes the group.
func (m *Metadata) Quorum() Quorum {
	q := Quorum{Committed: m.raft.CommitIndex(), Applied: m.raft.AppliedIndex(), Last: m.raft.LastIndex()}
	q.Leader, q.Term = m.Leader()
	var known map[raft.ServerID]follower
	if m.raft.State() == raft.Leader {
		known, _ = m.followers.now(q.Term)
		q.Followers = map[int32]Follower{}
	}
	for _, s := range m.servers() {
		if s.Suffrage == raft.Voter {
			q.Voters = append(q.Voters, voterOf(s))
		} else {
			q.Observers = append(q.Observers, voterOf(s))
		}
		if x, ok := known[s.ID]; ok {
			q.Followers[nodeOf(s.Address)] = Follower{Match: x.match, LastContact: x.contact, CaughtUp: x.caughtUp}
		}
	}
	return q
}

// Failed is closed when the metadata stopped because it could not apply a committed change;
// Err tells why. A node must not go on with an image that stands still.
func (m *Metadata) Failed() <-chan struct{} { return m.failed }

// Err is the reason of Failed, nil before.
func (m *Metadata) Err() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// fail stops the member.
func (m *Metadata) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err != nil {
		return
	}
	m.err = fmt.Errorf("%w: %w", ErrFailed, err)
	m.log.Error("metadata stopped: a committed change cannot be applied", "dir", m.opts.Dir, "error", err)
	close(m.failed)
}

// Close stops the member and closes its files and transport.
func (m *Metadata) Close() error {
	var err error
	m.closed.Do(func() {
		close(m.closing)
		m.shutdown()
		<-m.ended
		err = m.store.Close()
	})
	return err
}

func (m *Metadata) shutdown() {
	m.down.Do(func() {
		m.raft.Shutdown().Error() // never fails
		close(m.stopped)
	})
}

// wait waits for a future of Raft's, which may never be answered once Raft shuts down.
func (m *Metadata) wait(f raft.Future) error {
	answer := make(chan error, 1)
	go func() { answer <- f.Error() }()
	select {
	case err := <-answer:
		return err
	case <-m.stopped:
		return raft.ErrRaftShutdown
	}
}

func nodeOf(a raft.ServerAddress) int32 {
	id, err := strconv.ParseInt(string(a), 10, 32)
	if err != nil {
		return -1
	}
	return int32(id)
}
