package group

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"quorumlog/internal/shards"
	"quorumlog/internal/shards/shardstest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// durable is what an image says, for comparison.
func durable(im *image) map[string]string {
	out := map[string]string{}
	for id, g := range im.groups {
		if g.stored != nil {
			out[id] = string(g.stored)
		}
		for topic, parts := range g.offsets {
			for _, o := range parts {
				o.at = 0 // a compaction writes it elsewhere
				out[fmt.Sprintf("%s %s/%d", id, topic, o.partition)] = fmt.Sprintf("%+v", o)
			}
		}
	}
	return out
}

func replayed(t *testing.T, l shards.Log) *image {
	im := newImage(slog.New(slog.DiscardHandler))
	if err := im.replay(l, func() bool { return false }); err != nil {
		t.Fatal(err)
	}
	if im.foreign {
		t.Fatal("the coordinator wrote something that it cannot read")
	}
	return im
}

func diff(t *testing.T, what string, got, want map[string]string) {
	t.Helper()
	for k := range want {
		if got[k] != want[k] {
			t.Errorf("%s: %s\n got %q\nwant %q", what, k, got[k], want[k])
		}
	}
	for k := range got {
		if _, ok := want[k]; !ok {
			t.Errorf("%s: %s should not be there", what, k)
		}
	}
}

// chaos drives a coordinator with random requests.
type chaos struct {
	rnd    *rand.Rand
	c      *Coordinator
	ctx    context.Context
	member map[string]*kmsg.JoinGroupResponse // client → its last answer
	parked map[string]<-chan kmsg.Response
	crowd  bool // others run too: synctest.Wait must not be called
}

func (x *chaos) pick(of ...string) string { return of[x.rnd.IntN(len(of))] }

func (x *chaos) collect() {
	for who, ch := range x.parked {
		select {
		case r := <-ch:
			delete(x.parked, who)
			if j, ok := r.(*kmsg.JoinGroupResponse); ok && (j.ErrorCode == none || j.ErrorCode == memberIDRequired) {
				x.member[who] = j
			}
		default:
		}
	}
}

func (x *chaos) step() {
	group := x.pick("g1", "g2", "g3")
	who := group + x.pick("A", "B", "C", "D")
	x.collect()
	id, gen, proto := "", int32(-1), kmsg.StringPtr("range")
	if m := x.member[who]; m != nil {
		id, gen = m.MemberID, m.Generation
	}
	var instance *string
	if who[2] >= 'C' {
		instance = kmsg.StringPtr(who)
	}
	var req kmsg.Request
	switch x.rnd.IntN(14) {
	case 0, 1, 2:
		r := kmsg.NewPtrJoinGroupRequest()
		r.Version, r.Group, r.InstanceID = 9, group, instance
		if x.rnd.IntN(4) > 0 {
			r.MemberID = id
		}
		r.SessionTimeoutMillis, r.RebalanceTimeoutMillis, r.ProtocolType = 10000, 5000, "consumer"
		p := kmsg.NewJoinGroupRequestProtocol()
		sub := kmsg.NewConsumerMemberMetadata()
		sub.Topics = []string{"orders"}
		p.Name, p.Metadata = "range", sub.AppendTo(nil)
		r.Protocols = append(r.Protocols, p)
		req = r
	case 3, 4, 5:
		r := kmsg.NewPtrSyncGroupRequest()
		r.Version, r.Group, r.MemberID, r.Generation, r.InstanceID = 5, group, id, gen, instance
		r.ProtocolType, r.Protocol = kmsg.StringPtr("consumer"), proto
		a := kmsg.NewSyncGroupRequestGroupAssignment()
		a.MemberID, a.MemberAssignment = id, []byte(fmt.Sprint(x.rnd.IntN(100)))
		r.GroupAssignment = append(r.GroupAssignment, a)
		req = r
	case 6:
		r := kmsg.NewPtrHeartbeatRequest()
		r.Version, r.Group, r.MemberID, r.Generation, r.InstanceID = 4, group, id, gen, instance
		req = r
	case 7:
		r := kmsg.NewPtrLeaveGroupRequest()
		m := kmsg.NewLeaveGroupRequestMember()
		m.MemberID, m.InstanceID = id, instance
		r.Version, r.Group, r.Members = 5, group, []kmsg.LeaveGroupRequestMember{m}
		req = r
	case 8, 9, 10, 11:
		r := kmsg.NewPtrOffsetCommitRequest()
		r.Version, r.Group, r.MemberID, r.Generation, r.InstanceID = 9, group, id, gen, instance
		if x.rnd.IntN(3) == 0 {
			r.MemberID, r.Generation, r.InstanceID = "", -1, nil
		}
		t := kmsg.NewOffsetCommitRequestTopic()
		t.Topic = x.pick("orders", "payments", "audit")
		p := kmsg.NewOffsetCommitRequestTopicPartition()
		p.Partition, p.Offset = int32(x.rnd.IntN(3)), int64(x.rnd.IntN(1000))
		t.Partitions = append(t.Partitions, p)
		r.Topics = append(r.Topics, t)
		req = r
	case 12:
		if x.rnd.IntN(2) == 0 {
			r := kmsg.NewPtrOffsetDeleteRequest()
			r.Group = group
			t := kmsg.NewOffsetDeleteRequestTopic()
			t.Topic, t.Partitions = "payments", []kmsg.OffsetDeleteRequestTopicPartition{{Partition: 0}}
			r.Topics = append(r.Topics, t)
			req = r
			break
		}
		x.c.OnTopicsDeleted(DeletedTopic{Name: "audit"})
		return
	case 13:
		if x.rnd.IntN(3) > 0 {
			time.Sleep(time.Duration(x.rnd.IntN(6000)) * time.Millisecond)
			return
		}
		r := kmsg.NewPtrDeleteGroupsRequest()
		r.Version, r.Groups = 2, []string{group}
		req = r
	}
	if _, ok := x.parked[who]; !ok {
		x.parked[who] = call(x.ctx, x.c, who, req)
	}
	if x.rnd.IntN(2) > 0 {
		return
	}
	if x.crowd {
		time.Sleep(time.Millisecond)
		return
	}
	synctest.Wait()
}

// Random requests, expiry and failing appends: at every moment at which nothing is in flight,
// what the coordinator keeps durable is what its log says; and a coordinator that takes over at
// any append, as after a crash, serves exactly the log's state.
func TestWhatIsServedIsWhatTheLogSays(t *testing.T) {
	for range 15 {
		seed := rand.Uint64()
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { chaosRun(t, seed) })
		})
	}
}

func chaosRun(t *testing.T, seed uint64) {
	rnd := rand.New(rand.NewPCG(seed, 1))
	l := &shardstest.Log{}
	failing := rnd.IntN(2) == 0
	failures := rand.New(rand.NewPCG(seed, 2))
	l.Fail = func(int) error {
		if failing && failures.IntN(8) == 0 {
			return errors.New("no quorum")
		}
		return nil
	}
	o := testOptions()
	o.OffsetsRetention, o.RetentionCheck = 60*time.Second, 20*time.Second
	ctx, cancel := context.WithCancel(t.Context())
	c := New(o)
	c.Lead(0, 1, l)
	synctest.Wait()
	x := &chaos{rnd, c, ctx, map[string]*kmsg.JoinGroupResponse{}, map[string]<-chan kmsg.Response{}, false}
	for i := range 400 {
		if rnd.IntN(20) == 0 {
			l.Hold()
		}
		x.step()
		if rnd.IntN(10) == 0 {
			l.Release(true)
			synctest.Wait()
			s := c.shards.All()[0]
			s.mu.Lock()
			diff(t, fmt.Sprint("step ", i), durable(s.image), durable(replayed(t, l)))
			checkGroups(t, s)
			s.mu.Unlock()
		}
		if rnd.IntN(60) == 0 { // the leader is lost with whatever is in flight, and comes back
			c.Resign(0)
			l.Release(false)
			c.Lead(0, 2, l)
			synctest.Wait()
		}
		if t.Failed() {
			t.FailNow()
		}
	}
	l.Release(true)
	c.Close()
	cancel()
	synctest.Wait()
}

func TestConcurrentUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		var wg sync.WaitGroup
		for i := range uint64(6) {
			wg.Go(func() {
				x := &chaos{rand.New(rand.NewPCG(i, 3)), b.c, b.ctx, map[string]*kmsg.JoinGroupResponse{}, map[string]<-chan kmsg.Response{}, true}
				for range 300 {
					x.step()
				}
			})
		}
		wg.Go(func() {
			for i := range int32(10) {
				time.Sleep(3 * time.Second)
				b.c.Lead(0, i+2, l)
				b.c.ListGroups(kmsg.NewPtrListGroupsRequest(), &kmsg.ListGroupsResponse{})
			}
		})
		wg.Wait()
		synctest.Wait()
		s := b.c.shards.All()[0]
		s.mu.Lock()
		defer s.mu.Unlock()
		diff(t, "after", durable(s.image), durable(replayed(t, l)))
		checkGroups(t, s)
	})
}

// checkGroups verifies what the soft state's counters promise.
func checkGroups(t *testing.T, s *shard) {
	for _, g := range s.image.groups {
		joined, unsynced := 0, 0
		support := map[string]int{}
		for _, m := range g.members {
			joined += max(0, sign(m.join != nil))
			unsynced += max(0, sign(m.pendingSync))
			for _, p := range m.protocols {
				support[p.name]++
			}
			if g.byID[m.id] != m {
				t.Errorf("%s: member %s is not found by its id", g.id, m.id)
			}
		}
		if joined != g.joined || unsynced != g.unsynced || len(g.byID) != len(g.members) || !maps.Equal(support, g.supported) {
			t.Errorf("%s: counters are wrong: %d %d, %d %d", g.id, joined, g.joined, unsynced, g.unsynced)
		}
		if (g.state == Empty || g.state == Dead) != (len(g.members) == 0) && g.state != PreparingRebalance {
			t.Errorf("%s: %v with %d members", g.id, g.state, len(g.members))
		}
		if len(g.members) > 0 && !slices.Contains(g.members, g.leader) {
			t.Errorf("%s: the leader is not a member", g.id)
		}
		if g.stored == nil && len(g.offsets) == 0 && g.idle() {
			t.Errorf("%s: nothing is left of it and it is still there", g.id)
		}
	}
}

func TestNothingOfARecordIsKept(t *testing.T) {
	im := newImage(slog.New(slog.DiscardHandler))
	for i := range int32(3) {
		o := committed{metadata: "meta", expireMs: -1}
		k, v := offsetKey("group", "orders", i), o.value()
		im.apply(0, k, v)
		clear(k)
		clear(v)
	}
	k, v := groupKey("group"), (&group{protocolType: "consumer", protocol: "range"}).metadataValue(nil)
	im.apply(0, k, v)
	clear(k)
	clear(v)
	k = offsetKey("group", "orders", 1)
	im.apply(0, k, nil)
	clear(k)
	g := im.groups["group"]
	for topic, parts := range g.offsets {
		if topic != "orders" || len(parts) != 2 || parts[0].metadata != "meta" {
			t.Errorf("%q %+v", topic, parts)
		}
	}
	if v, err := im.dec.group(g.stored); err != nil || v.ProtocolType != "consumer" {
		t.Error(v, err)
	}
}
