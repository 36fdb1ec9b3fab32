package integration

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kversion"

	"quorumlog/internal/brokertest"
)

// transfersFor is how long money is moved while brokers are killed.
const transfersFor = 12 * time.Second

// TestTransfersAreWholeWhileBrokersAreKilled moves money between accounts, each transfer a transaction
// of a debit in one topic and a credit in another, by producers of both transaction versions, which
// abort some, while one of three brokers after the other is killed: leaders of partitions,
// coordinators of transactions, or both. A reader of committed records must find both sides of every
// transfer that was committed, once, and none of the others.
func TestTransfersAreWholeWhileBrokersAreKilled(t *testing.T) {
	c := brokertest.StartCluster(t, 3)
	x := newTransfers(t, c)
	var clients sync.WaitGroup
	for i, opts := range [][]kgo.Opt{nil, {kgo.MaxVersions(kversion.V3_9_0())}, nil} {
		clients.Go(func() { x.transfer(fmt.Sprint("bank-", i), opts) })
	}
	rnd := rand.New(rand.NewPCG(1, 1))
	for end := time.Now().Add(transfersFor); time.Now().Before(end); {
		time.Sleep(time.Second)
		n := c.Nodes[rnd.IntN(len(c.Nodes))]
		n.Kill()
		n.Restart()
	}
	x.stop.Store(true)
	clients.Wait()
	x.check()
}

// transfers is what was tried and what became of it.
type transfers struct {
	t     *testing.T
	seeds kgo.Opt
	stop  atomic.Bool

	mu   sync.Mutex
	told map[string]outcome // by the transfer's name
}

// outcome is how a transfer ended, as its client was told.
type outcome int

const (
	committed outcome = iota + 1
	aborted
	unknown // the client was not told: either, but whole
)

var sides = []string{"debits", "credits"}

func newTransfers(t *testing.T, c *brokertest.Cluster) *transfers {
	x := &transfers{t: t, told: map[string]outcome{}}
	var addrs []string
	for _, n := range c.Nodes {
		addrs = append(addrs, n.Addr)
	}
	x.seeds = kgo.SeedBrokers(addrs...)
	a := kadm.NewClient(x.client())
	for _, topic := range sides {
		if _, err := a.CreateTopic(t.Context(), 3, 3, nil, topic); err != nil {
			t.Fatal(err)
		}
	}
	return x
}

func (x *transfers) client(opts ...kgo.Opt) *kgo.Client {
	x.t.Helper()
	c, err := kgo.NewClient(append(append(quick(), x.seeds), opts...)...)
	if err != nil {
		x.t.Fatal(err)
	}
	x.t.Cleanup(c.Close)
	return c
}

// transfer makes transfers until it is told to stop. A client that cannot go on is replaced.
func (x *transfers) transfer(id string, opts []kgo.Opt) {
	for life := 0; !x.stop.Load(); life++ {
		c := x.client(append(opts, kgo.TransactionalID(id), kgo.TransactionTimeout(20*time.Second))...)
		for n := 0; !x.stop.Load(); n++ {
			name := fmt.Sprintf("%s/%d/%d", id, life, n)
			how, err := x.one(c, name, n%4 != 3)
			x.mu.Lock()
			x.told[name] = how
			x.mu.Unlock()
			if err != nil {
				x.t.Logf("%s: %v", name, err)
				break
			}
		}
		c.Close()
	}
}

// one makes one transfer.
func (x *transfers) one(c *kgo.Client, name string, commit bool) (outcome, error) {
	ctx, cancel := context.WithTimeout(x.t.Context(), 30*time.Second)
	defer cancel()
	if err := c.BeginTransaction(); err != nil {
		return aborted, err
	}
	var failed kgo.FirstErrPromise
	for _, topic := range sides {
		c.Produce(ctx, &kgo.Record{Topic: topic, Key: []byte(topic + name), Value: []byte(name)}, failed.Promise())
	}
	if err := failed.Err(); err != nil {
		commit = false
	}
	err := c.EndTransaction(ctx, kgo.TransactionEndTry(commit))
	switch {
	case err == nil && commit:
		return committed, nil
	case err == nil, !commit:
		return aborted, err
	case errors.Is(err, kerr.InvalidTxnState), errors.Is(err, kerr.ProducerFenced), errors.Is(err, kerr.InvalidProducerEpoch):
		return aborted, err
	}
	return unknown, err
}

// check reads both topics to the end.
func (x *transfers) check() {
	x.t.Helper()
	found := map[string][]string{}
	for _, topic := range sides {
		for _, name := range x.committedIn(topic) {
			found[name] = append(found[name], topic)
		}
	}
	count := map[outcome]int{}
	for name, how := range x.told {
		count[how]++
		got := strings.Join(found[name], " ")
		both := got == strings.Join(sides, " ")
		switch {
		case how == committed && !both, how == aborted && got != "", how == unknown && !both && got != "":
			x.t.Errorf("%s, %v: found in %q", name, how, got)
		}
	}
	x.t.Logf("%d committed, %d aborted, %d unknown", count[committed], count[aborted], count[unknown])
	if count[committed] < 50 || count[aborted] < 10 {
		x.t.Error("hardly anything was transferred")
	}
}

// committedIn is what a reader of committed records finds in a topic, once no transaction is open.
func (x *transfers) committedIn(topic string) (values []string) {
	x.t.Helper()
	ctx, cancel := context.WithTimeout(x.t.Context(), time.Minute)
	defer cancel()
	a := kadm.NewClient(x.client())
	for {
		// A partition whose leader was killed last may be without one; kadm does not wait for that.
		ends, err := a.ListEndOffsets(ctx, topic)
		stable, err2 := a.ListCommittedOffsets(ctx, topic)
		err = errors.Join(err, err2)
		open := 0
		ends.Each(func(o kadm.ListedOffset) {
			if s, _ := stable.Lookup(topic, o.Partition); s.Offset != o.Offset || o.Err != nil || s.Err != nil {
				open++
			}
		})
		if err == nil && open == 0 {
			return x.read(ctx, topic, ends)
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			x.t.Fatalf("%s: %d partitions have a transaction open, or are not known: %v", topic, open, err)
		}
	}
}

func (x *transfers) read(ctx context.Context, topic string, ends kadm.ListedOffsets) (values []string) {
	c := x.client(kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords())
	left := map[int32]bool{}
	ends.Each(func(o kadm.ListedOffset) { left[o.Partition] = o.Offset > 0 })
	for {
		n := 0
		for _, more := range left {
			if more {
				n++
			}
		}
		if n == 0 {
			return values
		}
		f := c.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			x.t.Fatalf("%s: %v; partitions left: %v", topic, err, left)
		}
		f.EachRecord(func(r *kgo.Record) {
			if !r.Attrs.IsControl() {
				values = append(values, string(r.Value))
			}
			if o, _ := ends.Lookup(topic, r.Partition); r.Offset+1 >= o.Offset {
				left[r.Partition] = false // a transactional topic ends with a marker
			}
		})
	}
}
