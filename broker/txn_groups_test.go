package broker

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// TestRecordsGoFromTopicToTopicExactlyOnce consumes, produces and commits offsets in transactions, of
// which some are aborted, by members that come and go.
func TestRecordsGoFromTopicToTopicExactlyOnce(t *testing.T) {
	for name, opts := range map[string][]kgo.Opt{"new": nil, "old": {v1()}} {
		t.Run(name, func(t *testing.T) {
			b := newTxnBroker(t)
			b.makeTopic("from", 3)
			b.makeTopic("to", 2)
			const total = 600
			in := b.client(kgo.DefaultProduceTopic("from"))
			for i := range total {
				in.Produce(t.Context(), kgo.StringRecord(fmt.Sprint(i)), nil)
			}
			if err := in.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
			defer cancel()
			for life := 0; ; life++ {
				if b.pump(ctx, life, opts) {
					break
				}
			}
			got := map[string]int{}
			out := b.client(kgo.ConsumeTopics("to"), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
			for n := 0; n < total; {
				f := out.PollFetches(ctx)
				if err := f.Err0(); err != nil {
					t.Fatalf("after %d of %d records: %v", len(got), total, err)
				}
				f.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++; n++ })
			}
			for i := range total {
				if got[fmt.Sprint(i)] != 1 {
					t.Fatalf("record %d came %d times", i, got[fmt.Sprint(i)])
				}
			}
		})
	}
}

// pump moves records in a few transactions, and reports whether all have been moved.
func (b *testBroker) pump(ctx context.Context, life int, opts []kgo.Opt) (all bool) {
	s, err := kgo.NewGroupTransactSession(append(opts,
		kgo.SeedBrokers(b.Addr().String()), kgo.TransactionalID("pump"), kgo.ConsumerGroup("pump"), kgo.ConsumeTopics("from"),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(100*time.Millisecond),
		kgo.DefaultProduceTopic("to"), kgo.FetchMaxBytes(2000), kgo.SessionTimeout(6*time.Second))...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer s.Close()
	for i := range 6 {
		poll, cancel := context.WithTimeout(ctx, 2*time.Second)
		fetches := s.PollRecords(poll, 40)
		cancel()
		if ctx.Err() != nil {
			b.t.Fatal("too slow")
		}
		if err := fetches.Err(); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			b.t.Fatal(err)
		}
		if fetches.Empty() {
			return b.moved()
		}
		if err := s.Begin(); err != nil {
			b.t.Fatal(err)
		}
		var failed kgo.FirstErrPromise
		fetches.EachRecord(func(r *kgo.Record) { s.Produce(ctx, &kgo.Record{Value: r.Value}, failed.Promise()) })
		commit := (life+i)%3 != 0
		if err := failed.Err(); err != nil && commit {
			b.t.Errorf("produce: %v", err)
		}
		if _, err := s.End(ctx, kgo.TransactionEndTry(commit)); err != nil {
			b.t.Fatal(err)
		}
	}
	return false
}

// moved says whether the group has committed up to the end of "from".
func (b *testBroker) moved() bool {
	a := kadm.NewClient(b.client())
	lags, err := a.Lag(b.t.Context(), "pump")
	if err != nil {
		b.t.Fatal(err)
	}
	l := lags["pump"]
	return l.Error() == nil && l.Lag.Total() == 0
}
