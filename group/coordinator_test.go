package group

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/shards"
	"quorumlog/internal/shards/shardstest"
	"quorumlog/record"
)

// steps runs script lines in a bubble and returns the talk, to go on with.
func steps(t *testing.T, b backend, text string) *talk {
	k := &talk{
		t: t, b: b, group: "g",
		ids: map[string]string{}, current: map[string]string{}, gens: map[string]int32{},
		parked: map[string]<-chan kmsg.Response{}, protos: map[string]string{},
	}
	k.more(text)
	return k
}

func (k *talk) more(text string) {
	k.t.Helper()
	for line := range strings.Lines(text) {
		if k.line = strings.TrimSpace(line); k.line != "" {
			k.step()
		}
	}
}

// slowLog is a log whose replay waits.
type slowLog struct {
	shardstest.Log
	ready chan struct{}
	errs  int
}

func (l *slowLog) Replay(from int64, yield func(record.Batch) bool) error {
	<-l.ready
	if l.errs > 0 {
		l.errs--
		return errors.New("disk trouble")
	}
	return l.Log.Replay(from, yield)
}

func TestAGroupIsNotServedBeforeItsLogHasBeenRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &slowLog{ready: make(chan struct{}), errs: 2}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `
			A join v=3 => COORDINATOR_LOAD_IN_PROGRESS
			A sync id=A gen=1 proto=range => COORDINATOR_LOAD_IN_PROGRESS
			A heartbeat id=A gen=1 => ok
			A leave id=A => COORDINATOR_LOAD_IN_PROGRESS
			A commit orders/0=1 => 0=COORDINATOR_LOAD_IN_PROGRESS
			A fetch orders/0 => COORDINATOR_LOAD_IN_PROGRESS
			A fetch v=1 orders/0 => ok 0=-1!COORDINATOR_LOAD_IN_PROGRESS
			A offsetdelete orders/0 => COORDINATOR_LOAD_IN_PROGRESS
			A delete => COORDINATOR_LOAD_IN_PROGRESS
			A list => COORDINATOR_LOAD_IN_PROGRESS not listed
			A describe => COORDINATOR_LOAD_IN_PROGRESS  type= proto=
		`)
		close(l.ready)
		k.more(`
			sleep 1s
			A join v=3 => ok gen=1 proto=range leader=A members=A
		`)
	})
}

func TestAnotherNodesGroupsAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLocal(t, testOptions(), &shardstest.Log{})
		b.c.Resign(0)
		steps(t, b, `
			A join v=3 => NOT_COORDINATOR
			A heartbeat id=A gen=1 => NOT_COORDINATOR
			A commit orders/0=1 => 0=NOT_COORDINATOR
			A fetch orders/0 => NOT_COORDINATOR
			A fetch v=1 orders/0 => ok 0=-1!NOT_COORDINATOR
			A delete => NOT_COORDINATOR
			A list => ok not listed
		`)
	})
}

func TestResigningWakesEverybodyWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `
			A join v=3 => ok gen=1 proto=range leader=A members=A
			B join v=3
			A join v=3 => ok gen=2 proto=range leader=A members=?,A
			B gets ok gen=2 proto=range leader=A
			B sync
		`)
		l.Hold()
		k.more(`
			A sync assign=A:a
			C commit group=other orders/0=1
			D delete group=other
			E join group=third v=3 => ok gen=1 proto=range leader=E members=E
			F join group=third v=3
			B waits
			C waits
		`)
		b.c.Resign(0)
		k.more(`
			A gets NOT_COORDINATOR
			B gets NOT_COORDINATOR
			C gets 0=NOT_COORDINATOR
			D gets NOT_COORDINATOR
			F gets NOT_COORDINATOR
		`)
	})
}

func TestMembersSurviveAChangeOfLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `
			A join v=5 instance=i1 session=6000 => ok gen=1 proto=range leader=A members=A@i1
			B join v=3
			A join v=5 instance=i1 => ok gen=2 proto=range leader=A members=?,A@i1
			B gets ok gen=2 proto=range leader=A
			A sync instance=i1 assign=A:a,B:b => ok a
			B sync => ok b
			A commit instance=i1 orders/0=5 => 0=ok
		`)
		b.c.Lead(0, 2, l)
		k.more(`
			sleep 1ms
			B describe => ok Stable type=consumer proto=range A@i1:19:a B:19:b
			B heartbeat => ok
			B sync => ok b
			B fetch orders/0 => ok 0=5
			A commit instance=i1 orders/0=6 => 0=ok
			sleep 9s
			B heartbeat => ok
			sleep 2s
			B heartbeat => REBALANCE_IN_PROGRESS
			B join v=3 => ok gen=3 proto=range leader=B members=B
		`)
	})
}

func TestOffsetsAreSeenOnlyOnceCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `A commit orders/0=1 => 0=ok`)
		l.Hold()
		k.more(`
			A commit orders/0=2
			A waits
			B fetch orders/0 => ok 0=1
		`)
		l.Release(true)
		k.more(`
			A gets 0=ok
			B fetch orders/0 => ok 0=2
		`)
	})
}

func TestTheLastMemberHasLeftOnceTheEmptyGroupIsCommitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `
			A join v=3 => ok gen=1 proto=range leader=A members=A
			A sync assign=A:a => ok a
		`)
		l.Hold()
		k.more(`
			A leave
			A waits
		`)
		l.Release(true)
		k.more(`A gets ok A=ok`)
		b.c.Resign(0)
		b.c.Lead(0, 2, l)
		synctest.Wait()
		k.more(`B join v=3 => ok gen=3 proto=range leader=B members=B`)
	})
}

func TestACommitThatFailsChangesNothing(t *testing.T) {
	for want, err := range map[string]error{
		"COORDINATOR_NOT_AVAILABLE": errors.New("no quorum"),
		"NOT_COORDINATOR":           fmt.Errorf("replication: %w", shards.ErrNotLeader),
		"UNKNOWN_SERVER_ERROR":      shards.ErrTooLarge,
	} {
		synctest.Test(t, func(t *testing.T) {
			l := &shardstest.Log{Fail: func(n int) error {
				if n == 2 || n == 3 {
					return err
				}
				return nil
			}}
			b := newLocal(t, testOptions(), l)
			steps(t, b, `
				A commit orders/0=1 => 0=ok
				A commit orders/0=2 => 0=`+want+`
				B fetch orders/0 => ok 0=1
				X delete => `+want+`
				B describe => ok Empty type= proto=
				A commit orders/0=3 => 0=ok
				X delete => ok
			`)
		})
	}
}

func TestAWriteThatSucceededAfterAllIsFoundByReadingTheLogAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{Fail: func(n int) error {
			if n == 2 {
				return shardstest.ErrOutcomeUnknown
			}
			return nil
		}}
		b := newLocal(t, testOptions(), l)
		steps(t, b, `
			A commit orders/0=1 => 0=ok
			A commit orders/0=2 => 0=COORDINATOR_NOT_AVAILABLE
			A fetch orders/0 => ok 0=1
			A commit orders/1=3 => 1=NOT_COORDINATOR
			A fetch orders/0 orders/1 => ok 0=2 1=3
			A commit orders/1=4 => 1=ok
			A fetch orders/0 orders/1 => ok 0=2 1=4
		`)
		s := b.c.shards.All()[0]
		s.mu.Lock()
		defer s.mu.Unlock()
		diff(t, "log", durable(s.image), durable(replayed(t, l)))
	})
}

func TestACommitThatTakesTooLongIsAnsweredRetriably(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		l.Hold()
		k := steps(t, b, `
			A commit orders/0=1
			B delete
			sleep 4900ms
			A waits
			sleep 200ms
			A gets 0=COORDINATOR_NOT_AVAILABLE
			B gets COORDINATOR_NOT_AVAILABLE
			A fetch orders/0 => ok 0=-1
		`)
		l.Release(true)
		k.more(`sleep 1ms`)
	})
}

func TestAnAssignmentThatCannotBeWrittenStartsARebalance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{Fail: func(n int) error {
			if n == 1 {
				return errors.New("no quorum")
			}
			return nil
		}}
		b := newLocal(t, testOptions(), l)
		steps(t, b, `
			A join v=3 => ok gen=1 proto=range leader=A members=A
			A sync assign=A:a => COORDINATOR_NOT_AVAILABLE
			A heartbeat => REBALANCE_IN_PROGRESS
			A join v=3 => ok gen=2 proto=range leader=A members=A
			A sync assign=A:a => ok a
		`)
	})
}

func TestAStaticMemberWhoseReturnCannotBeWrittenStaysWhoItWas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{Fail: func(n int) error {
			if n == 2 {
				return errors.New("no quorum")
			}
			return nil
		}}
		b := newLocal(t, testOptions(), l)
		steps(t, b, `
			A join instance=i1 => ok gen=1 proto=range leader=A members=A@i1
			A sync instance=i1 assign=A:a => ok a
			B join instance=i1 meta=new => COORDINATOR_NOT_AVAILABLE
			A heartbeat instance=i1 => ok
			A describe => ok Stable type=consumer proto=range A@i1:19:a
		`)
	})
}

func TestARebalanceDuringTheLeadersWriteWins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `A join v=3 => ok gen=1 proto=range leader=A members=A`)
		l.Hold()
		k.more(`
			A sync assign=A:a
			A waits
			B join v=3
			A gets REBALANCE_IN_PROGRESS
		`)
		l.Release(true)
		k.more(`
			A heartbeat => REBALANCE_IN_PROGRESS
			A join v=3 => ok gen=2 proto=range leader=A members=?,A
			B gets ok gen=2 proto=range leader=A
		`)
	})
}

func TestNobodyJoinsAGroupThatIsBeingDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `A commit orders/0=1 => 0=ok`)
		l.Hold()
		k.more(`
			X delete
			A join v=3 => COORDINATOR_NOT_AVAILABLE
			A commit orders/0=2 => 0=COORDINATOR_NOT_AVAILABLE
			B delete
		`)
		l.Release(true)
		k.more(`
			X gets ok
			B gets GROUP_ID_NOT_FOUND
			A join v=3 => ok gen=1 proto=range leader=A members=A
			A fetch => ok
		`)
	})
}

func TestADeletionTakesTheCommitsBeforeItWithIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		l.Hold()
		k := steps(t, b, `
			A commit orders/0=1
			B commit orders/1=1
			X delete
			A waits
		`)
		l.Release(true)
		k.more(`
			A gets 0=ok
			B gets 1=ok
			X gets ok
			A fetch => ok
			A list => ok not listed
		`)
		if n := len(replayed(t, l).groups); n != 0 {
			t.Errorf("%d groups are left in the log", n)
		}
	})
}

func TestCommitsThatWaitShareABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		l.Hold()
		var answers []<-chan kmsg.Response
		k := steps(t, b, ``)
		for i := range 101 {
			a := args{"0": fmt.Sprintf("orders/%d=%d", i%3, i)}
			answers = append(answers, call(b.ctx, b.c, "A", k.offsetRequest("commit", a, fmt.Sprint("g", i), "", -1)))
			synctest.Wait()
		}
		l.Release(true)
		synctest.Wait()
		for i, ch := range answers {
			if r := (<-ch).(*kmsg.OffsetCommitResponse); r.Topics[0].Partitions[0].ErrorCode != none {
				t.Errorf("commit %d: %d", i, r.Topics[0].Partitions[0].ErrorCode)
			}
		}
		if len(l.Batches) != 2 {
			t.Errorf("101 commits in %d batches", len(l.Batches))
		}
	})
}

func TestALogThatStandsStillHoldsABoundedNumberOfCommits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		l.Hold()
		s := b.c.shards.All()[0]
		refused := 0
		for range maxWrites + 10 {
			s.mu.Lock()
			s.submit(&write{records: []keyValue{{offsetKey("g", "orders", 0), nil}}, done: func(err error) {
				if errors.Is(err, errBusy) {
					refused++
				}
			}})
			s.mu.Unlock()
			if refused == 0 {
				synctest.Wait()
			}
		}
		if refused != 9 { // one is on its way
			t.Errorf("%d refused", refused)
		}
		l.Release(true)
		synctest.Wait()
		steps(t, b, `A commit orders/0=1 => 0=ok`)
	})
}

func TestAGroupDoesNotGrowBeyondItsMaximum(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := testOptions(), &shardstest.Log{}
		o.MaxSize = 2
		b := newLocal(t, o, l)
		k := steps(t, b, `
			A join v=3 => ok gen=1 proto=range leader=A members=A
			B join v=3
			C join v=3
			C waits
			D join v=3 => GROUP_MAX_SIZE_REACHED
			A join v=3 => GROUP_MAX_SIZE_REACHED
			B gets ok gen=2 proto=range leader=B members=?,B
			C gets ok gen=2 proto=range leader=B
			D join v=4 => GROUP_MAX_SIZE_REACHED
			B sync assign=B:b,C:c => ok b
			C sync => ok c
		`)
		b.c.opts.MaxSize = 1
		b.c.Lead(0, 2, l)
		k.more(`
			sleep 1ms
			B heartbeat => REBALANCE_IN_PROGRESS
			B join v=3
			C join v=3 => GROUP_MAX_SIZE_REACHED
			B gets ok gen=3 proto=range leader=B members=B
		`)
	})
}

func TestOffsetsExpire(t *testing.T) {
	retention := func() Options {
		o := testOptions()
		o.OffsetsRetention, o.RetentionCheck = time.Hour, time.Minute
		return o
	}
	for claim, text := range map[string]string{
		"an hour after its last commit, without group management": `
			A commit orders/0=1 => 0=ok
			sleep 40m
			A commit orders/1=1 => 1=ok
			sleep 19m
			A fetch => ok 0=1 1=1
			sleep 2m
			A fetch => ok 1=1
			sleep 40m
			A list => ok not listed
		`,
		"at the time that the client chose": `
			A commit v=2 orders/0=1 retention=120000 => 0=ok
			A commit v=2 orders/1=1 retention=36000000 => 1=ok
			sleep 4m
			A fetch => ok 1=1
			sleep 2h
			A fetch => ok 1=1
		`,
		"an hour after the group became empty": `
			A join v=3 session=600000 => ok gen=1 proto=range leader=A members=A
			A sync assign=A:a => ok a
			A commit orders/0=1 => 0=ok
			sleep 9m
			A heartbeat => ok
			sleep 9m
			A leave => ok A=ok
			sleep 59m
			A fetch => ok 0=1
			sleep 3m
			A fetch => ok
			A list => ok not listed
		`,
		"not while the group consumes the topic, but if it does not": `
			A join v=3 session=1800000 topics=orders => ok gen=1 proto=range leader=A members=A
			A sync assign=A:a => ok a
			A commit orders/0=1 payments/1=1 => 0=ok 1=ok
			sleep 29m
			A heartbeat => ok
			sleep 29m
			A heartbeat => ok
			A fetch => ok 0=1 1=1
			sleep 4m
			A fetch => ok 0=1
		`,
	} {
		t.Run(claim, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &shardstest.Log{}
				k := steps(t, newLocal(t, retention(), l), text)
				s := k.b.(local).c.shards.All()[0]
				s.mu.Lock()
				defer s.mu.Unlock()
				diff(t, "log", durable(replayed(t, l)), durable(s.image))
			})
		})
	}
}

func TestAnExpiredOffsetThatIsCommittedAgainStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, l := testOptions(), &shardstest.Log{}
		o.OffsetsRetention, o.RetentionCheck = time.Hour, 61*time.Minute
		b := newLocal(t, o, l)
		k := steps(t, b, `
			A commit orders/0=1 => 0=ok
			sleep 3659s
		`)
		l.Hold()
		k.more(`
			A commit orders/0=2
			sleep 2s
		`)
		l.Release(true)
		k.more(`
			A gets 0=ok
			A fetch => ok 0=2
		`)
	})
}

func TestDeletedTopicsTakeTheirOffsetsWithThem(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `
			A commit orders/0=1 payments/1=1 audit/2=3 => 0=ok 1=ok 2=ok
			B commit group=other orders/0=1 => 0=ok
		`)
		b.c.OnTopicsDeleted(DeletedTopic{Name: "orders"}, DeletedTopic{"payments", TopicID{1}}, DeletedTopic{"audit", testID("audit")})
		k.more(`
			sleep 1ms
			A fetch => ok 1=1
			A fetch group=other => ok
			A list => ok type= Empty classic
		`)
		if n := len(replayed(t, l).groups); n != 1 {
			t.Errorf("%d groups in the log", n)
		}
	})
}

// recreated is topics of which one has been made anew.
type recreated struct {
	testTopics
	anew bool
}

func (r *recreated) Topic(name string) (TopicID, int32, bool) {
	id, n, ok := r.testTopics.Topic(name)
	if r.anew && name == "orders" {
		id[15]++
	}
	return id, n, ok
}

func TestATopicMadeAnewHasNoOldOffsets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topics := &recreated{testTopics: someTopics}
		o := testOptions()
		o.Topics = topics
		b := newLocal(t, o, &shardstest.Log{})
		k := steps(t, b, `A commit orders/0=1 => 0=ok`)
		topics.anew = true
		k.more(`
			A fetch orders/0 => ok 0=-1
			A fetch => ok
			A commit orders/0=2 => 0=ok
			A fetch orders/0 => ok 0=2
		`)
		b.c.OnTopicsDeleted(DeletedTopic{"orders", testID("orders")})
		synctest.Wait()
		k.more(`A fetch orders/0 => ok 0=2`)
	})
}

func TestAClientThatLeavesDoesNotLeaveItsRequestBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newLocal(t, testOptions(), &shardstest.Log{})
		k := steps(t, b, `A join v=3 => ok gen=1 proto=range leader=A members=A`)
		ctx, cancel := context.WithCancel(t.Context())
		ch := call(ctx, b.c, "B", k.joinRequest("B", args{"v": "3"}, "g", ""))
		synctest.Wait()
		cancel()
		synctest.Wait()
		k.more(`A join v=3 => ok gen=2 proto=range leader=A members=?,A`)
		select {
		case r := <-ch:
			t.Errorf("answered %v", r)
		default:
		}
	})
}

func TestAGroupThatNobodyJoinsLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		b := newLocal(t, testOptions(), l)
		k := steps(t, b, `
			A join => MEMBER_ID_REQUIRED
			B join group=other proto= => INCONSISTENT_GROUP_PROTOCOL
			A list => ok type= Empty classic
			sleep 11s
			A list => ok not listed
		`)
		s := k.b.(local).c.shards.All()[0]
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.image.groups) != 0 || l.Size() != 0 || len(s.timers) != 1 {
			t.Errorf("%d groups, %d bytes, %d timers", len(s.image.groups), l.Size(), len(s.timers))
		}
	})
}

func TestJavaHashOfAnyText(t *testing.T) {
	for s, want := range map[string]int32{"": 0, "a": 97, "group": 98629247, "polygenelubricants": -2147483648, "é": 233, "😀": 1772899} {
		if got := javaHash(s); got != want {
			t.Errorf("%q: %d, want %d", s, got, want)
		}
	}
	if p := PartitionFor("polygenelubricants", 50); p != 0 {
		t.Errorf("the smallest hash is in partition %d", p)
	}
}
