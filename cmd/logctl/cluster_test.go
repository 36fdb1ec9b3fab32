package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

func detail(topic string, number, leader int32, replicas, isr []int32) kadm.PartitionDetail {
	return kadm.PartitionDetail{Topic: topic, Partition: number, Leader: leader, Replicas: replicas, ISR: isr}
}

// checked is a cluster of brokers 1 to 3, of which some are down.
func checked(down []int32, partitions ...kadm.PartitionDetail) *checkup {
	c := &checkup{clusterView: &clusterView{partitions: partitions}, moving: kadm.TopicsSet{}, minISR: map[string]int{}}
	q := &quorumView{Leader: 1}
	for id := range int32(3) {
		c.brokers = append(c.brokers, brokerView{id: id + 1, host: "h", port: 9092, fenced: slices.Contains(down, id+1)})
		q.Voters = append(q.Voters, memberView{ID: id + 1})
	}
	c.quorum = q
	return c
}

func kinds(all []finding) string {
	var s []string
	for _, f := range all {
		if f.What == "" || f.Remedy == "" {
			s = append(s, "incomplete:")
		}
		s = append(s, f.Kind)
	}
	return strings.Join(s, " ")
}

func TestHealthFindsWhatIsWrong(t *testing.T) {
	all := []int32{1, 2, 3}
	quiet := checked(nil, detail("t", 0, 2, []int32{2, 3, 1}, all))
	leaderLost, staleController := checked(nil), checked(nil)
	leaderLost.quorum.Leader = -1
	now, long := int64(1e9), int64(1e9-staleVoter-1)
	staleController.quorum.Voters = []memberView{{ID: 1}, {ID: 101, LastFetch: &now}, {ID: 102, LastFetch: &long}}
	silent := checked(nil)
	silent.silent = map[int32]string{2: "nothing listens at h:9092"}
	moving := checked(nil, detail("t", 0, 3, []int32{1, 2, 3}, []int32{1, 3}))
	moving.moving.Add("t", 0)
	few := checked([]int32{3}, detail("t", 0, 1, []int32{1, 3}, []int32{1}), detail("u", 0, 1, []int32{1, 3}, []int32{1}))
	few.minISR["t"] = 2
	few.quorum = nil
	two := checked(nil)
	two.quorum.Voters = []memberView{{ID: 1}, {ID: 2}}
	alone := checked(nil, detail("t", 0, 1, []int32{1}, []int32{1}))
	alone.minISR["t"] = 2 // as much as there can be is asked for
	for _, w := range []struct {
		name string
		c    *checkup
		want string
	}{
		{"all well", quiet, ""},
		{"a quorum without a leader", leaderLost, "quorum"},
		{"a controller that fetches no more", staleController, "quorum"},
		{"a broker that is down", checked([]int32{2}), "quorum broker_down"},
		{"a broker that answers the cluster alone", silent, "broker_unreachable"},
		{"a broker that is unknown", checked(nil, detail("t", 0, 1, []int32{1, 9}, []int32{1})), "broker_missing under_replicated two_replicas"},
		{"a partition without a leader", checked([]int32{3}, detail("t", 0, -1, []int32{3}, nil)), "quorum broker_down no_leader"},
		{"too few in sync to write", few, "broker_down under_min_isr under_replicated two_replicas"},
		{"one replica, of which two are wanted", alone, ""},
		{"two voters", two, "two_voters"},
		{"a leader elsewhere", checked(nil, detail("t", 0, 3, all, all)), "leader_elsewhere"},
		{"what is being moved", moving, "moving"},
	} {
		if got := kinds(w.c.findings()); got != w.want {
			t.Errorf("%s: found %q, want %q", w.name, got, w.want)
		}
	}
}

func TestHealthSaysWhatToDo(t *testing.T) {
	var many []kadm.PartitionDetail
	for i := range int32(7) {
		many = append(many, detail("t", i, -1, []int32{3, 2}, nil))
	}
	c := checked([]int32{2, 3}, many...)
	var down, lost finding
	for _, f := range c.findings() {
		switch f.Kind {
		case "broker_down":
			down = f
		case "no_leader":
			lost = f
		}
	}
	if !strings.Contains(down.Remedy, "logctl partition reassign --drain 3, then logctl cluster remove 3") {
		t.Errorf("a broker that is down: %s", down.Remedy)
	}
	if lost.Remedy != "start broker 2,3" || !strings.Contains(lost.What, "7 partitions (t:0, t:1, t:2, t:3, t:4, …)") || len(lost.Partitions) != 7 {
		t.Errorf("no leader: %+v", lost)
	}
}

func TestClusterHealthIsAnExitStatus(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0, 1), &fakePartition{1, []int32{0, 1}, []int32{0, 1}})
	if h := decode[clusterHealth](c.ok("cluster", "health", "-o", "json")); !h.Healthy || kinds(h.Findings) != "two_replicas leader_elsewhere" {
		t.Errorf("health %+v", h)
	}
	c.ok("cluster", "health").says("nothing is wrong", "logctl partition leaders")
	c.mu.Lock()
	c.down = []int32{2}
	c.mu.Unlock()
	c.run("", "cluster", "health").want(statusRefused).says("broker 2", "logctl cluster remove 2").complains("2 problems")
}

func TestClusterMembersTellTheirParts(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0))
	c.down = []int32{2}
	got := decode[[]clusterMember](c.ok("cluster", "members", "-o", "json"))
	if len(got) != 3 || got[0].Role != roleLeader || got[1].Role != roleVoter || got[2].State != "down" || got[1].Address == nil {
		t.Errorf("members %+v", got)
	}
	info := decode[clusterInfo](c.ok("cluster", "info", "-o", "json"))
	if info.Quorum == nil || info.Quorum.LeaderEpoch != 7 || info.Controller != 0 || !info.Brokers[2].Fenced || info.Brokers[0].Leads != 1 {
		t.Errorf("info %+v", info)
	}
	c.ok("cluster", "members").says("leader", "down")
	c.ok("cluster", "info").says("led by 0, voters 0,1,2")
}

func TestClusterRemoveTakesOnlyWhatIsEmptyAndDown(t *testing.T) {
	c := newFakeCluster(t, 3, healthy(0, 1))
	c.run("", "cluster", "remove", "1", "--yes").want(statusRefused).complains("1 replica", "logctl partition reassign --drain 1")
	c.run("", "cluster", "remove", "2", "--yes").want(statusRefused).complains("runs; stop it first")
	c.run("", "cluster", "remove", "x").want(statusUsage).complains(`"x"`)
	c.down = []int32{2}
	c.ok("cluster", "remove", "2", "--dry-run").says("can be removed")
	c.run("", "cluster", "remove", "2").want(statusUsage).complains("--yes")
	if len(c.removed) > 0 {
		t.Errorf("removed %v too early", c.removed)
	}
	c.ok("cluster", "remove", "2", "--yes").says("removed")
	if !slices.Equal(c.removed, []int32{2}) {
		t.Errorf("removed %v", c.removed)
	}
}

func TestMovesOfWhatNobodyLeadsAreNotWaitedFor(t *testing.T) {
	c := newFakeCluster(t, 3, &fakePartition{-1, []int32{2}, nil})
	c.slow = 1000
	r := c.ok("partition", "reassign", "--drain", "2", "--yes", "-o", "json")
	if got := decode[[]plannedMove](r); got[0].State != moveWaiting || !strings.Contains(r.stderr, "1 partition is without a leader") {
		t.Errorf("%+v, said %q", got, r.stderr)
	}
}

func TestClusterJoinShowsTheCommandAndWaits(t *testing.T) {
	c := newFakeCluster(t, 2, healthy(0))
	c.ok("cluster", "join", "--wait", "0").says("brokerd --node-id 2 --join 127.0.0.1:9093")
	c.run("", "cluster", "join", "1").want(statusRefused).complains("broker 1 is there already")
	c.run("", "cluster", "join", "-x").want(statusUsage)
	c.down = []int32{1}
	time.AfterFunc(100*time.Millisecond, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.down = nil
	})
	r := c.ok("cluster", "join", "1").says("broker 1 has joined")
	if !strings.Contains(r.stderr, "--node-id 1") {
		t.Errorf("said %q", r.stderr)
	}
	if r := c.run("", "cluster", "join", "--wait", "1ms").want(statusRefused); !strings.Contains(r.stderr, "has not joined") {
		t.Errorf("said %q", r.stderr)
	}
}
