package peers

import (
	"bytes"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"quorumlog/replication"
)

var (
	_ replication.Route        = (*Peers)(nil)
	_ replication.SegmentRoute = (*Peers)(nil)
	_ segmentReceiver          = (*replication.Transport)(nil)
)

// counter is a state machine that counts.
type counter struct{ n atomic.Int64 }

func (c *counter) Apply(*raft.Log) any                 { return c.n.Add(1) }
func (c *counter) Snapshot() (raft.FSMSnapshot, error) { return nil, fmt.Errorf("no snapshots") }
func (c *counter) Restore(io.ReadCloser) error         { return nil }

// copyingStore keeps copies of entries: the memory of what came from a peer is used again.
type copyingStore struct{ *raft.InmemStore }

func (s *copyingStore) StoreLogs(logs []*raft.Log) error {
	for _, l := range logs {
		c := *l
		c.Data = bytes.Clone(l.Data)
		if err := s.StoreLog(&c); err != nil {
			return err
		}
	}
	return nil
}

func (x *rafts) leader(g int) (id int32, r *raft.Raft) {
	for id, r := range x.groups[g] {
		if r.State() == raft.Leader {
			return id, r
		}
	}
	return 0, nil
}

// rafts are groups of Raft on three nodes.
type rafts struct {
	*nodes
	transports map[int32]*replication.Transport
	groups     []map[int32]*raft.Raft
	counters   []map[int32]*counter
	campaign   []map[int32]*replication.GroupTransport
}

func startRafts(t *testing.T, groups int) *rafts {
	x := &rafts{transports: map[int32]*replication.Transport{}}
	x.nodes = onLoopback(t, 3, func(c *Config) {
		x.transports[c.Node] = replication.NewTransport(c.Node)
		c.Transport = x.transports[c.Node]
	})
	for id, p := range x.peers {
		x.transports[id].SetRoute(p)
	}
	x.start()
	for g := range groups {
		x.open(t, g)
	}
	return x
}

func (x *rafts) open(t *testing.T, g int) {
	members, counters, campaign := map[int32]*raft.Raft{}, map[int32]*counter{}, map[int32]*replication.GroupTransport{}
	for _, id := range x.ids {
		c := raft.DefaultConfig()
		c.LocalID = raft.ServerID(fmt.Sprintf("%d/dir-%d", id, id))
		c.HeartbeatTimeout, c.ElectionTimeout, c.LeaderLeaseTimeout, c.CommitTimeout = 3*time.Second, 3*time.Second, 2*time.Second, 3*time.Second
		c.NoLegacyTelemetry, c.Logger = true, hclog.NewNullLogger()
		store := &copyingStore{raft.NewInmemStore()}
		first := raft.Configuration{}
		for _, n := range x.ids {
			first.Servers = append(first.Servers, raft.Server{ID: raft.ServerID(fmt.Sprintf("%d/dir-%d", n, n)), Address: replication.NodeAddress(n)})
		}
		counters[id], campaign[id] = &counter{}, x.transports[id].Group(fmt.Sprint("group-", g))
		snaps := raft.NewDiscardSnapshotStore()
		if err := raft.BootstrapCluster(c, store, store, snaps, campaign[id], first); err != nil {
			t.Fatal(err)
		}
		r, err := raft.NewRaft(c, counters[id], store, store, snaps, campaign[id])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			campaign[id].Close()
			r.Shutdown().Error()
		})
		members[id] = r
	}
	x.groups, x.counters, x.campaign = append(x.groups, members), append(x.counters, counters), append(x.campaign, campaign)
	campaign[int32(g%3)+1].Campaign()
}

func TestGroupsOfRaftLiveOnThreeNodesAndLoseOne(t *testing.T) {
	const groups = 30
	x := startRafts(t, groups)
	for g := range groups {
		eventually(t, "a leader", func() bool { id, _ := x.leader(g); return id == int32(g%3)+1 })
		id, r := x.leader(g)
		for range 20 {
			if err := r.Apply(make([]byte, 5000), time.Second).Error(); err != nil {
				t.Fatal(err)
			}
		}
		x.peers[id].Committed(fmt.Sprint("group-", g), r.CurrentTerm(), r.CommitIndex())
	}
	began := time.Now()
	for g := range groups {
		for _, c := range x.counters[g] {
			eventually(t, "applied", func() bool { return c.n.Load() == 20 })
		}
	}
	if took := time.Since(began); took > 2*time.Second { // without the commit indexes it takes more than 3 s
		t.Fatal(took)
	}
	x.loseNodeThree(t)
}

// loseNodeThree kills a node; the verdict of the others makes one of them stand for each group.
func (x *rafts) loseNodeThree(t *testing.T) {
	x.peers[3].Close()
	began := time.Now()
	eventually(t, "a verdict", func() bool { return x.peers[1].Down(3) && x.peers[2].Down(3) })
	judged := time.Since(began)
	for g := range x.groups {
		if g%3 == 2 {
			x.campaign[g][1].Campaign()
		}
	}
	for g := range x.groups {
		if g%3 != 2 {
			continue
		}
		r := x.groups[g][1]
		eventually(t, "another leader", func() bool { return r.State() == raft.Leader })
		if err := r.Apply([]byte("x"), time.Second).Error(); err != nil {
			t.Fatal(err)
		}
	}
	t.Log("verdict after", judged, "all written to after", time.Since(began))
}
