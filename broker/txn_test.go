package broker

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"github.com/twmb/franz-go/pkg/kversion"
)

// v1 makes a client one of transaction version 1, as before Kafka 4.
func v1() kgo.Opt { return kgo.MaxVersions(kversion.V3_9_0()) }

func newTxnBroker(t testing.TB) *testBroker {
	b := startBroker(t, map[string]string{"transaction.state.log.num.partitions": "3"})
	b.makeTopic("t", 3)
	return b
}

func (b *testBroker) makeTopic(name string, partitions int32) {
	b.t.Helper()
	if _, err := kadm.NewClient(b.client()).CreateTopic(b.t.Context(), partitions, 1, nil, name); err != nil {
		b.t.Fatal(err)
	}
}

// stateOf is what DescribeTransactions says of an id, once it is not on its way any more.
func (b *testBroker) stateOf(id string) string {
	b.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		d, err := kadm.NewClient(b.client()).DescribeTransactions(b.t.Context(), id)
		if err != nil {
			b.t.Fatal(err)
		}
		s := d[id].State
		if s != "PrepareCommit" && s != "PrepareAbort" || time.Now().After(deadline) {
			return s
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestTransactionsOfBothVersionsCommitAndAbort(t *testing.T) {
	b := newTxnBroker(t)
	for name, opts := range map[string][]kgo.Opt{"new": nil, "old": {v1()}} {
		b.makeTopic(name, 3)
		c := b.client(append(opts, kgo.TransactionalID(name), kgo.DefaultProduceTopic(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		var want []string
		for i := range 6 {
			if err := c.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			value := fmt.Sprint(name, i)
			for p := range 3 {
				if err := c.ProduceSync(t.Context(), &kgo.Record{Partition: int32(p), Value: []byte(value)}).FirstErr(); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
			}
			commit := i%2 == 0
			if err := c.EndTransaction(t.Context(), kgo.TransactionEndTry(commit)); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			state := "CompleteAbort"
			if commit {
				state = "CompleteCommit"
				want = append(want, value, value, value)
			}
			if got := b.stateOf(name); got != state {
				t.Errorf("%s: %q, want %q", name, got, state)
			}
		}
		got := b.committed(name, len(want))
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("%s: read %q, want %q", name, got, want)
		}
	}
}

// committed is n values that a reader of committed records finds in a topic, sorted.
func (b *testBroker) committed(topic string, n int) (values []string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.t.Context(), 20*time.Second)
	defer cancel()
	c := b.client(kgo.ConsumeTopics(topic), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	for len(values) < n {
		f := c.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			b.t.Fatalf("%s: %d of %d records: %v", topic, len(values), n, err)
		}
		f.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	slices.Sort(values)
	return values
}

func TestATransactionAcrossManyPartitions(t *testing.T) {
	const partitions = 200
	b := newTxnBroker(t)
	b.makeTopic("wide", partitions)
	for name, opts := range map[string][]kgo.Opt{"new": nil, "old": {v1()}} {
		c := b.client(append(opts, kgo.TransactionalID(name), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		var failed kgo.FirstErrPromise
		for p := range partitions {
			c.Produce(t.Context(), &kgo.Record{Topic: "wide", Partition: int32(p), Value: fmt.Append(nil, p)}, failed.Promise())
		}
		if err := failed.Err(); err != nil {
			t.Fatal(err)
		}
		if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
			t.Fatal(err)
		}
		if got := b.stateOf(name); got != "CompleteCommit" {
			t.Error(got)
		}
	}
	if got := b.committed("wide", 2*partitions); len(got) != 2*partitions {
		t.Errorf("%d records", len(got))
	}
}

func TestAProducerThatTakesOverFencesTheOther(t *testing.T) {
	b := newTxnBroker(t)
	begin := func() *kgo.Client {
		c := b.client(kgo.TransactionalID("id"), kgo.DefaultProduceTopic("t"))
		if err := c.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		if err := c.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
			t.Fatal(err)
		}
		return c
	}
	old := begin()
	heir := begin()
	if err := old.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("a fenced producer commits")
	}
	if err := heir.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Error(err)
	}
	if got := b.stateOf("id"); got != "CompleteCommit" {
		t.Error(got)
	}
}

func TestThePartitionsOfADeletedTopicDoNotHoldATransactionUp(t *testing.T) {
	b := newTxnBroker(t)
	b.makeTopic("gone", 2)
	c := b.client(kgo.TransactionalID("id"))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	for _, topic := range []string{"t", "gone"} {
		if err := c.ProduceSync(t.Context(), &kgo.Record{Topic: topic, Value: []byte("x")}).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := kadm.NewClient(b.client()).DeleteTopic(t.Context(), "gone"); err != nil {
		t.Fatal(err)
	}
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	if got := b.stateOf("id"); got != "CompleteCommit" {
		t.Error(got)
	}
}

func TestFeaturesAreFinalizedAndCanBeChanged(t *testing.T) {
	b := newTxnBroker(t)
	level := func() int16 {
		req := kmsg.NewPtrApiVersionsRequest()
		req.ClientSoftwareName, req.ClientSoftwareVersion = "test", "1"
		resp, err := req.RequestWith(t.Context(), b.client())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range resp.FinalizedFeatures {
			if f.Name == "transaction.version" {
				return f.MaxVersionLevel
			}
		}
		return 0
	}
	set := func(to int16, kind int8) int16 {
		req := kmsg.NewPtrUpdateFeaturesRequest()
		u := kmsg.NewUpdateFeaturesRequestFeatureUpdate()
		u.Feature, u.MaxVersionLevel, u.UpgradeType = "transaction.version", to, kind
		req.FeatureUpdates = append(req.FeatureUpdates, u)
		resp, err := req.RequestWith(t.Context(), b.client())
		if err != nil {
			t.Fatal(err)
		}
		return resp.ErrorCode
	}
	if got := level(); got != 2 {
		t.Fatalf("a new cluster has transaction.version %d", got)
	}
	for _, c := range []struct {
		to, level int16
		kind      int8
		refused   bool
	}{{3, 2, 1, true}, {1, 2, 1, true}, {1, 1, 2, false}, {0, 0, 2, false}, {2, 2, 1, false}} {
		if code := set(c.to, c.kind); (code != 0) != c.refused || level() != c.level {
			t.Errorf("to %d: answered %d, the level is %d", c.to, code, level())
		}
	}
}

func TestAnAbandonedTransactionIsAborted(t *testing.T) {
	b := startBroker(t, map[string]string{
		"transaction.state.log.num.partitions":                        "3",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "50",
	})
	b.makeTopic("t", 1)
	c := b.client(kgo.TransactionalID("id"), kgo.DefaultProduceTopic("t"), kgo.TransactionTimeout(300*time.Millisecond))
	if err := c.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := c.ProduceSync(t.Context(), kgo.StringRecord("x")).FirstErr(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for b.stateOf("id") != "CompleteAbort" {
		select {
		case <-ctx.Done():
			t.Fatal(b.stateOf("id"))
		case <-time.After(20 * time.Millisecond):
		}
	}
	if err := c.EndTransaction(t.Context(), kgo.TryCommit); err == nil {
		t.Error("a transaction that was aborted commits")
	}
}

// TestALateEndOverAnOldConnectionIsNotObeyed is KIP-890's first problem: an EndTxn of a client of
// version 1 that its client has given up, and sent again over another connection, arrives within the
// next transaction.
func TestALateEndOverAnOldConnectionIsNotObeyed(t *testing.T) {
	b := newTxnBroker(t)
	find := kmsg.NewPtrFindCoordinatorRequest()
	find.SetVersion(2)
	find.CoordinatorKey, find.CoordinatorType = "id", 1
	raw[*kmsg.FindCoordinatorResponse](b, find)
	begin := kmsg.NewPtrInitProducerIDRequest()
	begin.SetVersion(4)
	begin.TransactionalID, begin.TransactionTimeoutMillis = ptr("id"), 60_000
	who := raw[*kmsg.InitProducerIDResponse](b, begin)
	for who.ErrorCode == kerr.NotCoordinator.Code || who.ErrorCode == kerr.CoordinatorLoadInProgress.Code {
		time.Sleep(10 * time.Millisecond) // its topic has just been made
		who = raw[*kmsg.InitProducerIDResponse](b, begin)
	}
	if who.ErrorCode != 0 {
		t.Fatal(who.ErrorCode)
	}
	dial := func() net.Conn {
		nc, err := net.Dial("tcp", b.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { nc.Close() })
		return nc
	}
	add := func(nc net.Conn) {
		t.Helper()
		q := kmsg.NewPtrAddPartitionsToTxnRequest()
		q.SetVersion(3)
		q.TransactionalID, q.ProducerID, q.ProducerEpoch = "id", who.ProducerID, who.ProducerEpoch
		q.Topics = []kmsg.AddPartitionsToTxnRequestTopic{{Topic: "t", Partitions: []int32{0}}}
		resp, err := exchange[*kmsg.AddPartitionsToTxnResponse](nc, q)
		if err != nil || resp.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Fatal(err, resp)
		}
	}
	end := func(nc net.Conn) error {
		q := kmsg.NewPtrEndTxnRequest()
		q.SetVersion(3)
		q.TransactionalID, q.ProducerID, q.ProducerEpoch, q.Commit = "id", who.ProducerID, who.ProducerEpoch, true
		resp, err := exchange[*kmsg.EndTxnResponse](nc, q)
		if err != nil {
			return err
		}
		return kerr.ErrorForCode(resp.ErrorCode)
	}
	old := dial()
	add(old) // and an EndTxn over it, which is on its way for long
	now := dial()
	if err := end(now); err != nil {
		t.Fatal(err)
	}
	add(now)
	if err := end(old); err == nil {
		t.Error("a late EndTxn was answered")
	}
	if got := b.stateOf("id"); got != "Ongoing" {
		t.Errorf("after a late EndTxn the next transaction is %s", got)
	}
	if err := end(now); err != nil {
		t.Error(err)
	}
	if got := b.stateOf("id"); got != "CompleteCommit" {
		t.Error(got)
	}
}
