package broker

import (
	"errors"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/cluster"
)

func fetchRequest(version int16, id, epoch int32) *kmsg.FetchRequest {
	r := kmsg.NewPtrFetchRequest()
	r.Version, r.SessionID, r.SessionEpoch = version, id, epoch
	return r
}

func part(topic string, n int32, offset int64) *fetchPartition {
	return &fetchPartition{topic: topic, partition: n, offset: offset, highMark: -1, logStart: -1}
}

func TestSessionRemembersPartitionsAndTakesChanges(t *testing.T) {
	c := newFetchSessions(10)
	plan, err := c.plan(fetchRequest(11, 0, 0), []*fetchPartition{part("a", 0, 5), part("a", 1, 6)}, nil)
	if err != nil || plan.session == nil || plan.incremental {
		t.Fatalf("first request: %+v, %v; want a new session, answered in full", plan, err)
	}
	id := plan.sessionID()
	plan, err = c.plan(fetchRequest(11, id, 1), []*fetchPartition{part("a", 1, 60), part("b", 0, 7)},
		[]partitionKey{{topic: "a", partition: 0}})
	if err != nil || !plan.incremental || len(plan.parts) != 2 {
		t.Fatalf("second request: %+v, %v; want two partitions, incremental", plan, err)
	}
	if p := plan.parts[0]; p.topic != "a" || p.partition != 1 || p.offset != 60 {
		t.Errorf("a-1 is %+v; want offset 60", p)
	}
	if p := plan.parts[1]; p.topic != "b" {
		t.Errorf("second partition is %+v; want b-0", p)
	}
}

func TestSessionRefusesWrongEpochUnknownIDAndMixedNaming(t *testing.T) {
	c := newFetchSessions(10)
	plan, _ := c.plan(fetchRequest(11, 0, 0), []*fetchPartition{part("a", 0, 0)}, nil)
	id := plan.sessionID()
	for _, tc := range []struct {
		req  *kmsg.FetchRequest
		want error
	}{
		{fetchRequest(11, id, 2), kerr.InvalidFetchSessionEpoch},
		{fetchRequest(11, id+1, 1), kerr.FetchSessionIDNotFound},
		{fetchRequest(13, id, 1), kerr.FetchSessionTopicIDError},
	} {
		if _, err := c.plan(tc.req, nil, nil); !errors.Is(err, tc.want) {
			t.Errorf("id %d epoch %d version %d: %v; want %v", tc.req.SessionID, tc.req.SessionEpoch, tc.req.Version, err, tc.want)
		}
	}
	if _, err := c.plan(fetchRequest(11, id, 1), nil, nil); err != nil {
		t.Errorf("the right epoch after refused ones: %v", err)
	}
}

func TestClosingASessionAndFetchingWithoutOne(t *testing.T) {
	c := newFetchSessions(10)
	plan, _ := c.plan(fetchRequest(11, 0, 0), []*fetchPartition{part("a", 0, 0)}, nil)
	id := plan.sessionID()
	plan, err := c.plan(fetchRequest(11, id, -1), []*fetchPartition{part("a", 0, 0)}, nil)
	if err != nil || plan.sessionID() != 0 || plan.incremental {
		t.Fatalf("%+v, %v; want a full answer without a session", plan, err)
	}
	if _, err := c.plan(fetchRequest(11, id, 1), nil, nil); !errors.Is(err, kerr.FetchSessionIDNotFound) {
		t.Errorf("closed session: %v", err)
	}
}

func TestFullCacheOfBusySessionsMeansFetchingWithoutOne(t *testing.T) {
	now := time.Unix(0, 0)
	c := newFetchSessions(2)
	c.now = func() time.Time { return now }
	var ids []int32
	for range 2 {
		plan, _ := c.plan(fetchRequest(11, 0, 0), []*fetchPartition{part("a", 0, 0)}, nil)
		ids = append(ids, plan.sessionID())
		now = now.Add(time.Second)
	}
	if plan, _ := c.plan(fetchRequest(11, 0, 0), []*fetchPartition{part("a", 0, 0)}, nil); plan.sessionID() != 0 {
		t.Fatal("a third session was made while two are in use")
	}
	now = now.Add(sessionIdle)
	if plan, _ := c.plan(fetchRequest(11, 0, 0), []*fetchPartition{part("a", 0, 0)}, nil); plan.sessionID() == 0 {
		t.Fatal("no idle session was evicted")
	}
	if c.touch(ids[0]) != nil || c.touch(ids[1]) == nil {
		t.Error("the wrong session was evicted: the one that is idle longest must go")
	}
}

func TestPartitionWithoutNewsIsLeftOut(t *testing.T) {
	p := part("a", 0, 0)
	r := &fetchResult{preferred: -1, highMark: 10, logStart: 0}
	if !p.news(r) {
		t.Error("the first result is news")
	}
	if p.news(r) {
		t.Error("the same result again is no news")
	}
	for name, r := range map[string]*fetchResult{
		"high watermark": {preferred: -1, highMark: 11}, "log start": {preferred: -1, highMark: 11, logStart: 3}, "error": {preferred: -1, highMark: 11, logStart: 3, err: kerr.NotLeaderForPartition},
	} {
		q := *p
		if !q.news(r) {
			t.Errorf("a new %s is news", name)
		}
	}
	failed := &fetchResult{preferred: -1, highMark: -1, logStart: -1, err: kerr.NotLeaderForPartition}
	p.news(failed)
	if !p.news(failed) {
		t.Error("an error is told again and again")
	}
}

func TestServedPartitionsGoToTheEnd(t *testing.T) {
	c := newFetchSessions(1)
	plan, _ := c.plan(fetchRequest(11, 0, 0), []*fetchPartition{part("a", 0, 0), part("a", 1, 0), part("a", 2, 0)}, nil)
	s := plan.session
	s.rotate(map[*fetchPartition]bool{s.order[0]: true})
	var order []int32
	for _, p := range s.order {
		order = append(order, p.partition)
	}
	if order[0] != 1 || order[1] != 2 || order[2] != 0 {
		t.Errorf("order %v; want [1 2 0]", order)
	}
}

func TestSessionByIDKeysTopicsByID(t *testing.T) {
	c := newFetchSessions(1)
	one, two := part("", 0, 1), part("", 0, 2)
	one.id, two.id = cluster.TopicID{1}, cluster.TopicID{2}
	plan, _ := c.plan(fetchRequest(13, 0, 0), []*fetchPartition{one, two}, nil)
	if len(plan.parts) != 2 {
		t.Fatalf("%d partitions; want both unknown topics", len(plan.parts))
	}
}
