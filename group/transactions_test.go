package group

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/shards"
	"quorumlog/internal/shards/shardstest"
	"quorumlog/record"
)

// ledger is a coordinator of one offsets partition, for transactions.
type ledger struct {
	t *testing.T
	c *Coordinator
	l *shardstest.Log

	metadata string // of plain commits
}

func transactions(t *testing.T, f func(x *ledger)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l := &shardstest.Log{}
		f(&ledger{t: t, c: newLocal(t, testOptions(), l).c, l: l})
	})
}

// commit commits an offset of orders/partition for a transaction of a producer, epoch 0.
func (x *ledger) commit(producer int64, partition int32, offset int64, more ...func(*kmsg.TxnOffsetCommitRequest)) int16 {
	x.t.Helper()
	req, resp := kmsg.NewPtrTxnOffsetCommitRequest(), kmsg.NewPtrTxnOffsetCommitResponse()
	req.Version = 5
	req.Group, req.ProducerID = "g", producer
	p := kmsg.NewTxnOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset = partition, offset
	req.Topics = []kmsg.TxnOffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.TxnOffsetCommitRequestTopicPartition{p}}}
	for _, f := range more {
		f(req)
	}
	if wait := x.c.TxnOffsetCommit(req, resp, x.l.Append); wait != nil {
		wait(x.t.Context())
	}
	return resp.Topics[0].Partitions[0].ErrorCode
}

// end writes a transaction's marker into the log, as its coordinator has it done.
func (x *ledger) end(producer int64, commit bool) {
	x.l.Append(record.AppendMarker(nil, record.Marker{ProducerID: producer, Commit: commit}, nowMs()))
	x.c.TransactionEnded(x.t.Context(), 0)
}

// plain commits an offset without a transaction, or with -1 deletes it.
func (x *ledger) plain(partition int32, offset int64) {
	x.t.Helper()
	if offset < 0 {
		req, resp := kmsg.NewPtrOffsetDeleteRequest(), kmsg.NewPtrOffsetDeleteResponse()
		req.Group = "g"
		req.Topics = []kmsg.OffsetDeleteRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetDeleteRequestTopicPartition{{Partition: partition}}}}
		if wait := x.c.OffsetDelete(req, resp); wait != nil {
			wait(x.t.Context())
		}
		return
	}
	req, resp := kmsg.NewPtrOffsetCommitRequest(), kmsg.NewPtrOffsetCommitResponse()
	req.Version, req.Group, req.Generation = 8, "g", -1
	p := kmsg.NewOffsetCommitRequestTopicPartition()
	p.Partition, p.Offset, p.Metadata = partition, offset, &x.metadata
	req.Topics = []kmsg.OffsetCommitRequestTopic{{Topic: "orders", Partitions: []kmsg.OffsetCommitRequestTopicPartition{p}}}
	if wait := x.c.OffsetCommit(req, resp); wait != nil {
		wait(x.t.Context())
	}
	if code := resp.Topics[0].Partitions[0].ErrorCode; code != none {
		x.t.Fatalf("commit: %d", code)
	}
}

// fetch is the offset of orders/partition, and an error.
func (x *ledger) fetch(partition int32, stable bool) (int64, int16) {
	req, resp := kmsg.NewPtrOffsetFetchRequest(), kmsg.NewPtrOffsetFetchResponse()
	req.Version, req.RequireStable = 8, stable
	req.Groups = []kmsg.OffsetFetchRequestGroup{{Group: "g", Topics: []kmsg.OffsetFetchRequestGroupTopic{{Topic: "orders", Partitions: []int32{partition}}}}}
	x.c.OffsetFetch(req, resp)
	p := resp.Groups[0].Topics[0].Partitions[0]
	return p.Offset, p.ErrorCode
}

func (x *ledger) wants(partition int32, offset int64, unstable bool) {
	x.t.Helper()
	if got, code := x.fetch(partition, false); got != offset || code != none {
		x.t.Errorf("orders/%d: %d, error %d; want %d", partition, got, code, offset)
	}
	got, code := x.fetch(partition, true)
	switch {
	case unstable && (code != unstableOffsetCommit || got != -1):
		x.t.Errorf("orders/%d is unstable: %d, error %d", partition, got, code)
	case !unstable && (code != none || got != offset):
		x.t.Errorf("orders/%d is stable: %d, error %d; want %d", partition, got, code, offset)
	}
}

// elect makes a new leader of the same log.
func (x *ledger) elect() {
	x.c.Lead(0, 2, x.l)
	synctest.Wait()
}

func TestATransactionsOffsetsAreSeenWhenItIsCommitted(t *testing.T) {
	transactions(t, func(x *ledger) {
		x.plain(0, 5)
		if code := x.commit(1, 0, 10) + x.commit(1, 1, 11) + x.commit(1, 0, 12); code != none {
			t.Fatal(code)
		}
		for range 2 {
			x.wants(0, 5, true)
			x.wants(1, -1, true)
			x.wants(2, -1, false)
			x.elect()
		}
		x.end(1, true)
		x.wants(0, 12, false)
		x.wants(1, 11, false)
		x.commit(1, 0, 20)
		x.end(1, false)
		x.wants(0, 12, false)
		x.elect()
		x.wants(0, 12, false)
		x.wants(1, 11, false)
	})
}

func TestOffsetsOfSeveralTransactions(t *testing.T) {
	transactions(t, func(x *ledger) {
		x.commit(1, 0, 10)
		x.commit(2, 0, 20)
		x.end(2, true)
		x.wants(0, 20, true)
		x.end(1, true) // written before the other's: it does not count any more
		x.wants(0, 20, false)

		x.commit(1, 0, 30)
		x.plain(0, 31)
		x.end(1, true)
		x.wants(0, 31, false)

		x.commit(1, 0, 40)
		x.plain(0, -1) // deleted with what was about to be committed
		x.wants(0, -1, false)
		x.end(1, true)
		x.wants(0, -1, false)
	})
}

func TestAnotherMarkerBetweenTwoBatchesIsRead(t *testing.T) {
	transactions(t, func(x *ledger) {
		x.commit(1, 0, 10)
		x.l.Append(record.AppendMarker(nil, record.Marker{ProducerID: 1, Commit: true}, nowMs()))
		x.plain(1, 7) // before anybody has told of the marker
		x.wants(0, 10, false)
		x.wants(1, 7, false)
	})
}

func TestWhoMayCommitOffsetsOfATransaction(t *testing.T) {
	transactions(t, func(x *ledger) {
		with := func(generation int32, member string, instance *string) func(*kmsg.TxnOffsetCommitRequest) {
			return func(r *kmsg.TxnOffsetCommitRequest) {
				r.Generation, r.MemberID, r.InstanceID = generation, member, instance
			}
		}
		if code := x.commit(1, 0, 1, with(3, "m", nil)); code != illegalGeneration {
			t.Errorf("a generation of no group: %d", code)
		}
		k := steps(t, local{x.t.Context(), x.c}, `
			A join v=3 => ok gen=1 proto=range leader=A members=A
			A sync assign=A:a => ok a
		`)
		a := k.current["A"]
		other := "other"
		for _, c := range []struct {
			what string
			with func(*kmsg.TxnOffsetCommitRequest)
			want int16
		}{
			{"the member", with(1, a, nil), none},
			{"nobody in particular", with(-1, "", nil), none},
			{"another generation", with(2, a, nil), illegalGeneration},
			{"no generation", with(-1, a, nil), illegalGeneration},
			{"a stranger", with(1, "stranger", nil), unknownMemberID},
			{"an unknown instance", with(1, a, &other), unknownMemberID},
			{"an unknown topic", func(r *kmsg.TxnOffsetCommitRequest) { r.Topics[0].Topic = "nowhere" }, unknownTopicOrPartition},
			{"an unknown partition", func(r *kmsg.TxnOffsetCommitRequest) { r.Topics[0].Partitions[0].Partition = 99 }, unknownTopicOrPartition},
		} {
			if got := x.commit(1, 0, 1, c.with); got != c.want {
				t.Errorf("%s: %d, want %d", c.what, got, c.want)
			}
		}
		// A rebalance does not keep it from being committed.
		k.more("B join v=3")
		if code := x.commit(1, 0, 9, with(1, a, nil)); code != none {
			t.Errorf("during a rebalance: %d", code)
		}
		x.end(1, true)
		x.wants(0, 9, false)
	})
}

func TestGroupsWithOffsetsOfOpenTransactionsStay(t *testing.T) {
	transactions(t, func(x *ledger) {
		x.plain(0, 5)
		x.commit(1, 0, 10)
		time.Sleep(8 * 24 * time.Hour)
		x.wants(0, 5, true)
		x.end(1, false)
		time.Sleep(time.Hour)
		x.wants(0, -1, false)

		x.commit(1, 1, 11)
		req, resp := kmsg.NewPtrDeleteGroupsRequest(), kmsg.NewPtrDeleteGroupsResponse()
		req.Groups = []string{"g"}
		if wait := x.c.DeleteGroups(req, resp); wait != nil {
			wait(x.t.Context())
		}
		if code := resp.Groups[0].ErrorCode; code != none {
			t.Errorf("delete: %d", code)
		}
		x.end(1, true)
		x.wants(0, -1, false)
		x.wants(1, -1, false)
		x.elect()
		x.wants(1, -1, false)
	})
}

func TestOffsetsOfATransactionThatTheLogRefuses(t *testing.T) {
	transactions(t, func(x *ledger) {
		for err, want := range map[error]int16{ErrFenced: invalidProducerEpoch, ErrEnded: invalidTxnState, shards.ErrNotLeader: notCoordinator} {
			x.l.Fail = func(int) error { return err }
			if got := x.commit(1, 0, 10); got != want {
				t.Errorf("%v: %d, want %d", err, got, want)
			}
		}
		x.l.Fail = nil
		x.wants(0, -1, false)
	})
}

// TestOffsetsOfTransactionsAreTheSameAfterAReplay commits at random, in transactions and without,
// and compares what a leader knows with what its successor reads, and with the log rewritten.
func TestOffsetsOfTransactionsAreTheSameAfterAReplay(t *testing.T) {
	for seed := range uint64(40) {
		transactions(t, func(x *ledger) {
			rnd := rand.New(rand.NewPCG(seed, 1))
			for step := range 200 {
				producer, partition := 1+rnd.Int64N(3), rnd.Int32N(3)
				switch rnd.IntN(8) {
				case 0, 1, 2:
					x.commit(producer, partition, int64(step))
				case 3, 4:
					x.end(producer, rnd.IntN(2) == 0)
				case 5:
					x.l.Append(record.AppendMarker(nil, record.Marker{ProducerID: producer, Commit: true}, nowMs()))
				case 6:
					x.plain(partition, int64(step))
				case 7:
					x.plain(partition, -1)
				}
			}
			x.c.TransactionEnded(x.t.Context(), 0)
			s := x.c.shards.Get(0)
			im := replayed(t, x.l)
			diff(t, fmt.Sprint("seed ", seed), durable(im), durable(s.image))
			diff(t, fmt.Sprint("open, seed ", seed), openOffsets(im), openOffsets(s.image))

			// Compaction keeps the last record of each key, and what transactions have not settled.
			diff(t, fmt.Sprint("compacted, seed ", seed), durable(replayed(t, compacted(x.l))), durable(s.image))
		})
	}
}

func openOffsets(im *image) map[string]string {
	out := map[string]string{}
	for id, t := range im.open {
		for name, o := range t.offsets {
			out[fmt.Sprint(id, name)] = fmt.Sprintf("%+v", o)
		}
	}
	return out
}

// compacted is a log as compaction leaves it: of each key the last record that is not of an aborted
// transaction.
func compacted(l *shardstest.Log) *shardstest.Log {
	type place struct{ batch, record int }
	last := map[string]place{}
	ends := map[int64][]struct {
		at     int
		commit bool
	}{}
	for i, b := range l.Batches {
		if m, err := record.ParseMarker(b); b.IsControl() && err == nil {
			ends[m.ProducerID] = append(ends[m.ProducerID], struct {
				at     int
				commit bool
			}{i, m.Commit})
		}
	}
	kept := func(i int, b record.Batch) (committed, open bool) {
		for _, e := range ends[b.ProducerID()] {
			if e.at > i {
				return e.commit, false
			}
		}
		return false, true
	}
	for i, b := range l.Batches {
		if b.IsControl() {
			continue
		}
		if committed, _ := kept(i, b); b.IsTransactional() && !committed {
			continue
		}
		records, _ := b.Records(maxUnpacked)
		n := 0
		for r := range records {
			last[string(r.Key)] = place{i, n}
			n++
		}
	}
	out := &shardstest.Log{Next: l.Next}
	for i, b := range l.Batches {
		if b.IsControl() {
			out.Batches = append(out.Batches, b)
			continue
		}
		_, open := kept(i, b)
		keep, n := b.IsTransactional() && open, 0
		records, _ := b.Records(maxUnpacked)
		for r := range records {
			keep = keep || last[string(r.Key)] == place{i, n}
			n++
		}
		if keep {
			out.Batches = append(out.Batches, b)
		}
	}
	return out
}
