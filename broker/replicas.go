package broker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"quorumlog/broker/config"
	"quorumlog/cluster"
	"quorumlog/replication"
)

// replicaKey names a partition for good: topic ids are never used twice.
type replicaKey struct {
	topic     cluster.TopicID
	partition int32
}

// replica is this node's copy of one partition. It is opened when first needed: after a start
// the one that a client asks for is opened at once, the rest in the background.
type replica struct {
	key   replicaKey
	topic string
	dir   string

	contender contender // what the elector sees

	before <-chan struct{} // closed when the files of the copy that was here before are gone; nil for none
	gone   chan struct{}   // closed when this one's are

	opening sync.Mutex
	removed bool      // guarded by opening
	lost    bool      // guarded by opening: it is being rebuilt
	rebuilt time.Time // guarded by opening: when it was last set aside
	given   error     // guarded by opening: why it is not opened any more, until a restart

	mu     sync.Mutex
	p      *replication.Partition
	err    error                // why it could not be opened
	config config.TopicConfig   // what applies now
	placed cluster.Partition    // where the metadata places it now
	voters []replication.Member // who found the group
	led    chan struct{}        // closed once the partition has led; a group of one waits for it
	once   sync.Once

	followed     chan struct{} // closed once its group has a leader, as far as this replica knows
	followedOnce sync.Once

	traffic traffic
}

// replicas holds the partitions that the metadata places on this node.
type replicas struct {
	node   *replication.Node
	root   string // DATA/topics
	self   int32
	log    *slog.Logger
	onRole func(*replica, *replication.Partition, replication.State)

	onMembership func(*replica, replication.Membership)
	opened       func(*replica)
	givenUp      func(x *replica, epoch int32) // tells the others that it does not lead, up to this epoch
	lost         func(*replica)                // has the leader take the replica out, and opens it again
	config       func(*cluster.Topic) config.TopicConfig

	opens, openNanos atomic.Int64 // how often logs were opened and recovered, and what that took
	later            func(k replicaKey, heard leader) leader
	late             func() time.Duration // what this node does is behind by

	tasks tasks // what is done about single replicas

	mu       sync.RWMutex
	seen     *cluster.Image // the latest that was followed
	all      map[replicaKey]*replica
	unopened map[replicaKey]*replica // those of all that were not open when openAll looked last
	leaving  map[replicaKey]*replica // whose files are being deleted
	closed   bool
}

// get returns the replica, or nil where the metadata does not place it here.
func (r *replicas) get(topic cluster.TopicID, partition int32) *replica {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.all[replicaKey{topic, partition}]
}

// list returns all replicas.
func (r *replicas) list() []*replica {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := make([]*replica, 0, len(r.all))
	for _, x := range r.all {
		out = append(out, x)
	}
	return out
}

// follow brings the set of replicas in line with an image: added ones are registered (and opened
// later), those that do not belong here any more are removed with their files. Only topics that
// changed since the image before are looked at; an older image is no news.
func (r *replicas) follow(now *cluster.Image) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.seen
	if r.closed || now.Index() < old.Index() {
		return
	}
	r.seen = now
	for was, is := range now.TopicsSince(old) {
		if was != nil {
			r.leave(was, is)
		}
		if is != nil {
			r.place(now, is)
		}
	}
	if settingsChanged(old, now, r.self) { // a topic's defaults are the broker's settings
		for _, t := range now.Topics() {
			r.place(now, t)
		}
	}
}

// leave has those of a topic's replicas removed that do not belong here any more, where is says what
// has become of the topic, nil if it is deleted; the caller holds mu.
func (r *replicas) leave(was, is *cluster.Topic) {
	for i := range was.Partitions {
		k := replicaKey{was.ID, int32(i)}
		x := r.all[k]
		if x == nil || is != nil && i < len(is.Partitions) && slices.Contains(is.Partitions[i].Replicas, r.self) {
			continue
		}
		delete(r.all, k)
		delete(r.unopened, k)
		r.leaving[k] = x
		r.tasks.run(func() { r.remove(x) }) // before close can look for what is open
	}
}

// place registers the topic's replicas that belong here and hands changed settings to those
// that are open; the caller holds mu.
func (r *replicas) place(now *cluster.Image, t *cluster.Topic) {
	c := r.config(t)
	for i, p := range t.Partitions {
		if !slices.Contains(p.Replicas, r.self) {
			continue
		}
		k := replicaKey{t.ID, int32(i)}
		x := r.all[k]
		if x == nil {
			x = r.newReplica(k, t)
			r.all[k], r.unopened[k] = x, x
		}
		if x.configure(c, p, founders(now, p)) {
			r.tasks.run(func() { r.opened(x) }) // its group is to have other members
		}
	}
}

func (r *replicas) newReplica(k replicaKey, t *cluster.Topic) *replica {
	x := &replica{key: k, topic: t.Name, dir: r.dir(t, k.partition), led: make(chan struct{}), followed: make(chan struct{}), gone: make(chan struct{})}
	if l := r.leaving[k]; l != nil {
		x.before = l.gone
	}
	x.contender = contender{
		voters: func() []int32 { return x.placement().Replicas },
		leader: func() int32 { return r.leaderOf(x) },
		term: func() uint64 {
			if p := x.partition(); p != nil {
				return p.Term()
			}
			return 0
		},
		campaign: func() { r.stand(x) },
	}
	return x
}

// group is the name of the Raft group.
func (x *replica) group() string { return fmt.Sprintf("%s-%d", x.key.topic, x.key.partition) }

// leaderOf is the leader of the latest epoch: in one that is new, the leader that the replica's own
// group knows, though it has yet to assert itself; else what the leaders themselves told last. One
// that has resigned is none, whatever the group knows. -1 for none.
func (r *replicas) leaderOf(x *replica) int32 {
	heard := leader{node: -1, epoch: -1}
	if p := x.partition(); p != nil {
		s := p.State()
		heard = leader{node: s.Leader, epoch: s.Epoch}
	}
	return r.later(x.key, heard).node
}

// stand has a replica stand for election, where it is open.
func (r *replicas) stand(x *replica) {
	if p := x.partition(); p != nil {
		r.log.Debug("standing for election", "topic", x.topic, "partition", x.key.partition, "replicas", x.placement().Replicas)
		p.Campaign()
	}
}

func (r *replicas) dir(t *cluster.Topic, partition int32) string {
	return filepath.Join(r.root, t.Name+"-"+t.ID.String(), fmt.Sprint(partition))
}

// configure reports whether an open replica's group is to have other members.
func (x *replica) configure(c config.TopicConfig, placed cluster.Partition, voters []replication.Member) (moved bool) {
	x.mu.Lock()
	moved = x.p != nil && x.placed.Epoch != placed.Epoch
	x.config, x.placed, x.voters = c, placed, voters
	p := x.p
	x.mu.Unlock()
	if p != nil {
		p.SetLimits(c.SegmentBytes, c.SegmentMs)
	}
	return moved
}

// settings returns the topic configuration in force.
func (x *replica) settings() config.TopicConfig {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.config
}

// placement returns where the metadata places the partition.
func (x *replica) placement() cluster.Partition {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.placed
}

// partition returns the open partition, or nil.
func (x *replica) partition() *replication.Partition {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.p
}

// status returns the open partition, or why it could not be opened, or neither.
func (x *replica) status() (*replication.Partition, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.p, x.err
}

// open returns the partition, opening it if that has not happened yet.
func (r *replicas) open(x *replica) (*replication.Partition, error) {
	if p := x.partition(); p != nil {
		return p, nil
	}
	x.opening.Lock()
	defer x.opening.Unlock()
	if p := x.partition(); p != nil {
		return p, nil
	}
	switch {
	case x.removed:
		return nil, kerr.UnknownTopicOrPartition
	case x.given != nil:
		return nil, x.given
	}
	if x.before != nil {
		<-x.before // they have the same directory and the same votes
	}
	c := x.settings()
	began := time.Now()
	p, err := r.node.OpenPartition(replication.PartitionConfig{
		Group: x.group(), Dir: x.dir, Voters: x.founders(),
		SegmentBytes: c.SegmentBytes, SegmentMs: c.SegmentMs,
		OnRole:       func(p *replication.Partition, s replication.State) { r.role(x, p, s) },
		OnMembership: func(_ *replication.Partition, m replication.Membership) { r.onMembership(x, m) },
		OnFailed:     func(p *replication.Partition, err error) { r.tasks.run(func() { r.failed(x, p, err) }) },
	})
	r.opens.Add(1)
	r.openNanos.Add(int64(time.Since(began)))
	if err != nil && r.damaged(x, err) && !x.lost {
		x.lost = true
		r.tasks.run(func() { r.lost(x) })
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if err != nil {
		if x.err == nil || x.err.Error() != err.Error() {
			r.log.Error("partition cannot be opened: it is not served", "topic", x.topic, "partition", x.key.partition, "err", err)
		}
		x.err = err
		return nil, fmt.Errorf("%s-%d: %w", x.topic, x.key.partition, err)
	}
	x.p, x.err, x.lost = p, nil, false
	r.tasks.run(func() { r.opened(x) })
	return p, nil
}

// founders are the first members of a partition's group.
func founders(im *cluster.Image, p cluster.Partition) (out []replication.Member) {
	for _, v := range im.FoundersOf(p) {
		out = append(out, replication.Member{Node: v.ID, Identity: v.Identity})
	}
	return out
}

func (x *replica) founders() []replication.Member {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.voters
}

func (r *replicas) role(x *replica, p *replication.Partition, s replication.State) {
	if s.Leading {
		x.once.Do(func() { close(x.led) })
	}
	if s.Leader >= 0 {
		x.followedOnce.Do(func() { close(x.followed) })
	}
	r.onRole(x, p, s)
}

// openTimeout bounds how long a request waits for a partition that is being opened.
const openTimeout = 5 * time.Second

// ready returns the partition once a group of one leads: a client that asks right after a start
// or right after the topic was made waits for some milliseconds instead of being sent away.
func (r *replicas) ready(ctx context.Context, x *replica) (*replication.Partition, error) {
	p, err := r.open(x)
	if err != nil || len(x.placement().Replicas) > 1 || p.State().Leading {
		return p, err
	}
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	select {
	case <-x.led:
	case <-ctx.Done():
	}
	return p, nil
}

// remove has a replica removed that does not belong here any more.
func (r *replicas) remove(x *replica) {
	if x.before != nil {
		<-x.before
	}
	x.remove(r.log)
	close(x.gone)
	r.mu.Lock()
	if r.leaving[x.key] == x {
		delete(r.leaving, x.key)
	}
	r.mu.Unlock()
}

// remove closes the partition and deletes its files.
func (x *replica) remove(log *slog.Logger) {
	x.opening.Lock()
	defer x.opening.Unlock()
	x.removed = true
	x.mu.Lock()
	p := x.p
	x.p = nil
	x.mu.Unlock()
	var err error
	if p != nil {
		err = p.Remove()
	} else {
		err = os.RemoveAll(x.dir)
	}
	if err != nil {
		log.Error("files of a deleted partition cannot be removed; the next start tries again", "dir", x.dir, "err", err)
		return
	}
	// The topic's own directory goes with its last partition.
	_ = os.Remove(filepath.Dir(x.dir))
}

// sweep deletes directories of topics that were deleted while this node was down.
func (r *replicas) sweep(now *cluster.Image) {
	dirs, err := os.ReadDir(r.root)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		r.log.Warn("data directory cannot be listed", "dir", r.root, "err", err)
	}
	wanted := map[string]bool{}
	for _, t := range now.Topics() {
		wanted[t.Name+"-"+t.ID.String()] = true
	}
	for _, d := range dirs {
		if !d.IsDir() || wanted[d.Name()] {
			continue
		}
		r.log.Info("removing files of a deleted topic", "dir", d.Name())
		if err := os.RemoveAll(filepath.Join(r.root, d.Name())); err != nil {
			r.log.Warn("files of a deleted topic cannot be removed", "dir", d.Name(), "err", err)
		}
	}
}

// closePatience is for how long every replica that is closed gets its checkpoint. Each takes a few
// syncs, and a node that has thousands of replicas is to stop within seconds.
const closePatience = time.Second

// close closes all partitions, a few at a time.
func (r *replicas) close() error {
	r.mu.Lock()
	r.closed = true
	r.mu.Unlock()
	r.tasks.close()
	var (
		wg    sync.WaitGroup
		mu    sync.Mutex
		errs  []error
		slots = make(chan struct{}, 4*runtime.GOMAXPROCS(0))
	)
	began := time.Now()
	for _, x := range r.list() {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := x.close(time.Since(began) > closePatience); err != nil {
				mu.Lock()
				errs = append(errs, fmt.Errorf("%s-%d: %w", x.topic, x.key.partition, err))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (x *replica) close(briefly bool) error {
	x.opening.Lock()
	defer x.opening.Unlock()
	x.removed = true
	switch p := x.partition(); {
	case p == nil:
		return nil
	case briefly:
		return p.CloseBriefly()
	default:
		return p.Close()
	}
}
