package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
)

// trio is three members over in-memory routes, or more; the first founds the group.
type trio struct {
	t       testing.TB
	mu      sync.Mutex
	who     []Voter // read by the members' goroutines under mu, like members
	found   []Voter // what the first founds the group with
	members []*member
	routes  []memTransport
	dirs    []string
	onRole  []func(leader int32, term uint64, leading bool)

	stream   func(ctx context.Context, to int32) (net.Conn, error)
	streamed atomic.Int64
}

var trioVoters = []Voter{{1, "A"}, {2, "B"}, {3, "C"}}

// nodes prepares nodes 1…n with the directories A, B, …; none runs yet.
func nodes(t testing.TB, n int) *trio {
	x := &trio{
		t: t, found: trioVoters, members: make([]*member, n), routes: make([]memTransport, n),
		onRole: make([]func(int32, uint64, bool), n),
	}
	for k := range n {
		x.who = append(x.who, Voter{int32(k + 1), string(rune('A' + k))})
		x.dirs = append(x.dirs, t.TempDir())
	}
	return x
}

func newTrio(t testing.TB) *trio {
	x := nodes(t, 3)
	for n := range x.members {
		x.start(n)
	}
	return x
}

func (x *trio) start(n int) {
	x.t.Helper()
	x.routes[n] = newTransport(x.who[n].ID)
	x.mend(n)
	m := open(x.t, x.dirs[n], func(o *Options) {
		o.NodeID, o.Identity, o.Transport = x.who[n].ID, x.who[n].Identity, x.routes[n]
		o.Voters = nil
		if n == 0 {
			o.Voters = x.found
		}
		o.OnRole = x.onRole[n]
		o.PeerIdentity, o.OpenStream = x.identity, x.stream
		o.HeartbeatTimeout = 300 * time.Millisecond
	})
	x.mu.Lock()
	x.members[n] = m
	x.mu.Unlock()
}

// identity is the data directory that a node has now.
func (x *trio) identity(node int32) string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.who[node-1].Identity
}

// wipe gives a node that is stopped a new disk.
func (x *trio) wipe(n int) {
	x.mu.Lock()
	x.who[n].Identity += "'"
	x.mu.Unlock()
	x.dirs[n] = x.t.TempDir()
}

// mend connects a member with the others.
func (x *trio) mend(n int) {
	for other, r := range x.routes {
		if other != n && r.InmemTransport != nil {
			r.Connect(x.routes[n].LocalAddr(), x.routes[n].InmemTransport)
			x.routes[n].Connect(r.LocalAddr(), r.InmemTransport)
		}
	}
}

// stop closes a member, and drops what is on its way to it.
func (x *trio) stop(n int) {
	x.cut(n)
	x.members[n].close()
}

// cut takes a member off the network.
func (x *trio) cut(n int) {
	x.routes[n].DisconnectAll()
	for other, r := range x.routes {
		if other != n && r.InmemTransport != nil {
			r.Disconnect(x.routes[n].LocalAddr())
		}
	}
}

// leader waits for a member other than those excluded to lead.
func (x *trio) leader(except ...int) *member {
	x.t.Helper()
	ctx, cancel := context.WithCancel(timeout(x.t))
	defer cancel()
	found := make(chan *member, len(x.members))
	for n, m := range x.members {
		if m != nil && !slices.Contains(except, n) {
			go func() {
				if m.leads(ctx) {
					found <- m
				}
			}()
		}
	}
	select {
	case m := <-found:
		return m
	case <-ctx.Done():
		x.t.Fatal("no leader")
		return nil
	}
}

// leads waits until the member leads; false where the context or the member ends first.
func (m *member) leads(ctx context.Context) bool {
	for {
		role, turned := m.state()
		if role == leading {
			return true
		}
		if m.waitTurn(ctx, turned) != nil {
			return false
		}
	}
}

func (x *trio) agree(ms ...*member) {
	x.t.Helper()
	want := state(x.t, x.leader().Image())
	for _, m := range ms {
		_, err := m.Await(timeout(x.t), func(i *Image) bool { return state(x.t, i) == want })
		if err != nil {
			x.t.Fatalf("node %d: %v", m.opts.NodeID, err)
		}
	}
}

func TestThreeVotersDecideAsOne(t *testing.T) {
	x := newTrio(t)
	x.members[0].Campaign()
	first := x.leader()
	first.change(register(Broker{ID: 1, Identity: "A"}))
	first.change(create("a", 3))
	x.agree(x.members...)
	if q := first.Quorum(); len(q.Voters) != 3 || q.Voters[2] != trioVoters[2] || q.Leader != first.opts.NodeID {
		t.Fatalf("quorum %+v", q)
	}
	for _, m := range x.members {
		if m == first {
			continue
		}
		_, err := m.Change(timeout(t), create("b", 1))
		var not *NotControllerError
		if !errors.As(err, &not) || not.Leader != first.opts.NodeID || !errors.Is(err, ErrNotController) {
			t.Fatalf("a follower answered %v", err)
		}
	}
	lost := int(first.opts.NodeID) - 1
	x.stop(lost)
	second := x.leader(lost)
	second.change(create("b", 1))
	x.start(lost)
	x.agree(x.members...)
}

func TestALeaderWithoutAMajorityDoesNotDecide(t *testing.T) {
	x := newTrio(t)
	x.members[0].Campaign()
	old := x.leader()
	lost := int(old.opts.NodeID) - 1
	old.change(register(Broker{ID: 1, Identity: "A"}))
	x.agree(x.members...)
	x.cut(lost)
	if _, err := old.Change(timeout(t), create("lost", 1)); !errors.Is(err, ErrNotController) {
		t.Fatalf("a leader alone answered %v", err)
	}
	x.leader(lost).change(create("kept", 1))
	x.mend(lost)
	i, err := old.Await(timeout(t), func(i *Image) bool { return i.Topic("kept") != nil })
	if err != nil || i.Topic("lost") != nil {
		t.Fatalf("%v, topics %v", err, i.Topics())
	}
}

func TestAnEntryDecidedOnAnOlderImageChangesNothing(t *testing.T) {
	m := open(t, t.TempDir())
	old := m.Image()
	m.change(records(ProducerIDsRecord{1000}))
	if _, err := m.propose(old, []Record{ProducerIDsRecord{1000}}).wait(); !errors.Is(err, errStale) {
		t.Fatalf("answer %v", err)
	}
	calls := 0
	i := m.change(func(i *Image) ([]Record, error) {
		if calls++; calls == 1 { // another leader's entry comes between decision and append
			if _, err := m.propose(i, []Record{ProducerIDsRecord{2000}}).wait(); err != nil {
				t.Error(err)
			}
		}
		return []Record{ProducerIDsRecord{i.NextProducerID() + 1000}}, nil
	})
	if calls != 2 || i.NextProducerID() != 3000 {
		t.Fatalf("decided %d times, next id %d", calls, i.NextProducerID())
	}
}

func TestConcurrentChangesAreDecidedOneAtATime(t *testing.T) {
	m := open(t, t.TempDir())
	m.change(register(Broker{ID: 1, Identity: "A"}))
	at, seen := m.Image(), 0
	cancel := m.Watch(func(old, new *Image) {
		if old != at || new.Index() <= old.Index() {
			t.Errorf("watched %d after %d, expected %d", new.Index(), old.Index(), at.Index())
		}
		at = new
		seen++
	})
	const workers, each = 8, 10
	firsts := make(chan int64, workers*each)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for n := range each {
				i, err := m.Change(t.Context(), create(fmt.Sprintf("t-%d-%d", w, n), 1))
				if err != nil || i.Topic(fmt.Sprintf("t-%d-%d", w, n)) == nil {
					t.Errorf("worker %d: %v", w, err)
				}
				first, err := m.AllocateProducerIDs(t.Context(), ProducerIDBlock)
				if err != nil {
					t.Error(err)
				}
				firsts <- first
			}
		})
	}
	wg.Wait()
	cancel()
	close(firsts)
	blocks := map[int64]bool{}
	for f := range firsts {
		blocks[f] = true
	}
	if len(blocks) != workers*each || m.Image().NextProducerID() != workers*each*ProducerIDBlock {
		t.Fatalf("%d different blocks, next id %d", len(blocks), m.Image().NextProducerID())
	}
	if seen != 2*workers*each || at != m.Image() {
		t.Fatalf("watched %d changes", seen)
	}
	m.change(records(FeatureRecord{"f", 1}))
	if seen != 2*workers*each {
		t.Fatal("called after cancel")
	}
}

func TestACommittedChangeOfANewerVersionStopsTheMetadata(t *testing.T) {
	var lines bytes.Buffer
	dir := t.TempDir()
	m := open(t, dir, func(o *Options) { o.Logger = slog.New(slog.NewTextHandler(&lines, nil)) })
	f := m.raft.Apply([]byte{1, 0, 99, 5, 0}, 0)
	f.Error()
	<-m.Failed()
	refused(t, m.Err(), ErrFailed, "type 99 version 5")
	if _, err := m.Change(timeout(t), records(ProducerIDsRecord{1})); !errors.Is(err, ErrFailed) {
		t.Fatalf("a change after that: %v", err)
	}
	m.close()
	if !strings.Contains(lines.String(), "type 99 version 5") {
		t.Fatalf("log lines: %s", lines.String())
	}
	o, stable := options(t, dir)
	defer stable.Close()
	_, err := Open(o)
	refused(t, err, ErrNewerVersion, "type 99 version 5", o.Dir)
}

func TestOpenRefusesWhatDoesNotBelongTogether(t *testing.T) {
	dir := t.TempDir()
	open(t, dir).close()

	o, stable := options(t, dir)
	o.Identity, o.Voters = "B", []Voter{{1, "B"}}
	_, err := Open(o)
	stable.Close()
	refused(t, err, err, o.Dir, "node 1", "data directory A", "B")

	o, stable = options(t, dir)
	defer stable.Close()
	o.Stable = raft.NewInmemStore()
	_, err = Open(o)
	refused(t, err, err, o.Dir, "term", "was lost")

	o.Stable = nil
	if _, err = Open(o); err == nil {
		t.Fatal("opened without a stable store")
	}
}

func TestANodeThatFoundsNothingWaits(t *testing.T) {
	m := open(t, t.TempDir(), func(o *Options) { o.Voters = nil })
	m.Campaign()
	_, err := m.Change(timeout(t), records(ProducerIDsRecord{1}))
	var not *NotControllerError
	if !errors.As(err, &not) || not.Leader != -1 || m.Image().ClusterID() != "" {
		t.Fatalf("answer %v", err)
	}
}

func TestAFollowerThatIsFarBehindGetsASnapshot(t *testing.T) {
	for _, streams := range []bool{false, true} {
		t.Run(fmt.Sprint("over streams: ", streams), func(t *testing.T) { followFarBehind(t, streams) })
	}
}

func followFarBehind(t *testing.T, streams bool) {
	x := nodes(t, 3)
	if streams {
		x.stream = func(_ context.Context, to int32) (net.Conn, error) {
			here, there := net.Pipe()
			go func() {
				defer there.Close()
				x.mu.Lock()
				m := x.members[to-1]
				x.mu.Unlock()
				x.streamed.Add(1)
				_ = m.ReceiveSnapshot(there) // of the member that was stopped it may be refused
			}()
			return here, nil
		}
	}
	for n := range x.members {
		x.start(n)
	}
	x.members[0].Campaign()
	leader := x.leader()
	late := int(leader.opts.NodeID) % 3
	x.stop(late)
	if err := leader.raft.ReloadConfig(raft.ReloadableConfig{
		TrailingLogs: 1, SnapshotInterval: time.Hour, SnapshotThreshold: 1 << 30,
		HeartbeatTimeout: 300 * time.Millisecond, ElectionTimeout: 300 * time.Millisecond,
	}); err != nil {
		t.Fatal(err)
	}
	leader.change(register(Broker{ID: 1, Identity: "A"}))
	for n := range 20 {
		leader.change(create(fmt.Sprint("t", n), 1))
	}
	if err := leader.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	x.start(late)
	x.agree(x.members...)
	if sent := x.streamed.Load(); streams != (sent > 0) {
		t.Fatalf("%d snapshots over streams", sent)
	}
	leader.change(create("after", 1))
	x.agree(x.members...)
}

func TestAfterCloseChangesAreRefused(t *testing.T) {
	m := open(t, t.TempDir(), func(o *Options) { o.Logger = slog.New(slog.DiscardHandler) })
	m.close()
	if _, err := m.Change(timeout(t), records(ProducerIDsRecord{1})); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if _, err := m.Await(timeout(t), func(*Image) bool { return false }); !errors.Is(err, ErrClosed) {
		t.Fatal(err)
	}
	if err := m.Metadata.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestADamagedSnapshotIsNamed(t *testing.T) {
	dir := t.TempDir()
	m := open(t, dir)
	if err := m.raft.Snapshot().Error(); err != nil {
		t.Fatal(err)
	}
	m.close()
	files := must(filepath.Glob(filepath.Join(dir, "cluster", "snapshots", "*", "state.bin")))(t)
	if len(files) != 1 {
		t.Fatalf("snapshots %v", files)
	}
	b := must(os.ReadFile(files[0]))(t)
	b[len(b)-1] ^= 1
	if err := os.WriteFile(files[0], b, 0o644); err != nil {
		t.Fatal(err)
	}
	o, stable := options(t, dir)
	defer stable.Close()
	_, err := Open(o)
	refused(t, err, err, o.Dir, "snapshot "+filepath.Base(filepath.Dir(files[0])), "CRC")
}

func TestAChangeGivenUpIsStillFollowedByTheNextOne(t *testing.T) {
	m := open(t, t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	_, err := m.Change(ctx, func(*Image) ([]Record, error) {
		cancel()
		return []Record{ProducerIDsRecord{1000}}, nil
	})
	if err != nil && !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	// The outcome was not known then, but the next decision is made on it.
	if first := must(m.AllocateProducerIDs(timeout(t), 1))(t); first != 1000 {
		t.Fatalf("first id %d", first)
	}
	held := make(chan struct{})
	go m.Change(t.Context(), func(*Image) ([]Record, error) {
		<-held
		return nil, nil
	})
	for len(m.slot) == 0 {
		runtime.Gosched()
	}
	if _, err := m.Change(ctx, records(ProducerIDsRecord{2000})); !errors.Is(err, context.Canceled) {
		t.Fatalf("waiting for another decision: %v", err)
	}
	close(held)
}
