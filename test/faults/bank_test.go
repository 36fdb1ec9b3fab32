//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/clustertest"
)

// bank is tellers who transfer money, each transfer a transaction, and auditors who read what was
// committed. A transfer takes from one account and gives to another of the same partition, by a record
// each, and does so in one partition or several. Nobody else writes in between there, so in every
// partition the records below a last stable offset always sum up to nothing; and over all partitions a
// transfer is there as a whole or not at all.
type bank struct {
	t     testing.TB
	c     cluster
	adm   *kadm.Client
	topic string

	stop   context.CancelFunc
	close  context.CancelFunc
	work   sync.WaitGroup
	audits sync.WaitGroup

	counters [bankPartitions]sync.Mutex // whose turn it is to write in a partition

	mu        sync.Mutex
	transfers map[string]*transfer
	stable    int // sums that were looked at
}

// fate is what must become of a transfer.
type fate int

const (
	never   fate = iota // it was aborted, or nobody asked for its commit
	perhaps             // nobody knows whether the commit that was asked for has happened
	certain             // the commit was acknowledged
)

type transfer struct {
	fate fate
	legs int // records that it has
}

const (
	bankPartitions = 3
	tellers        = 3
	// bankTimeout is of a transaction whose teller has gone.
	bankTimeout = 6 * time.Second
)

// openBank makes the topic and puts tellers and auditors to work.
func openBank(ctx context.Context, t testing.TB, c cluster, topic string, seed uint64) *bank {
	t.Helper()
	ctx, end := context.WithCancel(ctx)
	working, stop := context.WithCancel(ctx)
	b := &bank{t: t, c: c, topic: topic, stop: stop, close: end, transfers: map[string]*transfer{}}
	b.adm = kadm.NewClient(c.NewClient())
	if _, err := b.adm.CreateTopic(ctx, bankPartitions, 3, nil, topic); err != nil {
		t.Fatal(err)
	}
	for i := range tellers {
		x := &teller{bank: b, id: fmt.Sprint("teller-", i), rnd: rand.New(rand.NewPCG(seed, uint64(50+i)))}
		b.work.Go(func() { x.work(working) })
	}
	for i := range 2 {
		rnd := rand.New(rand.NewPCG(seed, uint64(60+i)))
		b.audits.Go(func() { b.audit(ctx, i, rnd) })
	}
	return b
}

// note says what must become of a transfer.
func (b *bank) note(name string, f fate) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.transfers[name].fate = f
}

// teller transfers money under one transactional id.
type teller struct {
	*bank
	id   string
	rnd  *rand.Rand
	n    int // transfers begun
	cl   *kgo.Client
	held []int // counters
}

func (x *teller) client() *kgo.Client {
	return x.c.NewClient(kgo.TransactionalID(x.id), kgo.TransactionTimeout(bankTimeout), kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), kgo.MetadataMaxAge(time.Second), kgo.RecordDeliveryTimeout(bankTimeout))
}

func (x *teller) work(ctx context.Context) {
	x.cl = x.client()
	for pause(ctx, time.Duration(x.rnd.IntN(20))*time.Millisecond) {
		if !x.transfer(ctx) {
			x.replace(ctx)
		}
		x.leave()
	}
	x.cl.Close()
}

// replace goes on with another client. What is open is aborted by then, and nothing of the one before
// can come in any more.
func (x *teller) replace(ctx context.Context) {
	x.cl.Close()
	for x.cl = x.client(); ctx.Err() == nil; {
		call, cancel := context.WithTimeout(ctx, bankTimeout)
		_, _, err := x.cl.ProducerID(call)
		cancel()
		if err == nil {
			return
		}
		x.cl.Close()
		x.cl = x.client()
	}
}

// leave lets others write.
func (x *teller) leave() {
	for _, p := range x.held {
		x.counters[p].Unlock()
	}
	x.held = nil
}

// transfer reports whether the teller's client can go on.
func (x *teller) transfer(ctx context.Context) bool {
	parts := x.rnd.Perm(bankPartitions)[:1+x.rnd.IntN(bankPartitions)]
	name := fmt.Sprintf("%s/%d", x.id, x.n)
	x.n++
	x.mu.Lock()
	x.transfers[name] = &transfer{legs: 2 * len(parts)}
	x.mu.Unlock()
	if x.cl.BeginTransaction() != nil {
		return false
	}
	for _, p := range slices.Sorted(slices.Values(parts)) {
		x.counters[p].Lock()
		x.held = append(x.held, p)
	}
	if x.write(ctx, name, parts) != nil {
		return false // some of it may be on its way still
	}
	x.leave()
	switch x.rnd.IntN(12) {
	case 0:
		return false // it has died
	case 1:
		x.fenced(ctx, name)
		return false
	case 2, 3:
		return x.abort(ctx)
	}
	x.note(name, perhaps)
	limit, cancel := context.WithTimeout(ctx, 2*bankTimeout)
	defer cancel()
	if err := x.cl.EndTransaction(limit, kgo.TryCommit); err != nil {
		return false
	}
	x.note(name, certain)
	return true
}

// write writes a transfer's records, every partition's in the order of withdrawal and deposit, and often
// each in a batch of its own.
func (x *teller) write(ctx context.Context, name string, parts []int) error {
	var mu sync.Mutex
	var failed error
	legs := 2 * len(parts)
	for leg := range legs {
		amount := 1 + len(name)
		if leg < len(parts) {
			amount = -amount
		}
		r := &kgo.Record{Topic: x.topic, Partition: int32(parts[leg%len(parts)]), Value: fmt.Appendf(nil, "%s %d %d", name, leg, amount)}
		x.cl.Produce(ctx, r, func(_ *kgo.Record, err error) {
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
		})
		if x.rnd.IntN(3) == 0 {
			if err := x.cl.Flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := x.cl.Flush(ctx); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	return failed
}

func (x *teller) abort(ctx context.Context) bool {
	limit, cancel := context.WithTimeout(ctx, 2*bankTimeout)
	defer cancel()
	return x.cl.EndTransaction(limit, kgo.TryAbort) == nil
}

// fenced has another client take over the transactional id before this one commits, which must be
// refused.
func (x *teller) fenced(ctx context.Context, name string) {
	limit, cancel := context.WithTimeout(ctx, 2*bankTimeout)
	defer cancel()
	next := x.client()
	defer next.Close()
	if _, _, err := next.ProducerID(limit); err != nil {
		return
	}
	if err := x.cl.EndTransaction(limit, kgo.TryCommit); err == nil {
		x.t.Errorf("transfer %s was committed by a teller who had been replaced", name)
	}
}

// audit reads the committed records from the first on, one auditor for ever, the other again and again.
func (b *bank) audit(ctx context.Context, auditor int, rnd *rand.Rand) {
	for round := 0; ctx.Err() == nil; round++ {
		life, cancel := ctx, context.CancelFunc(func() {})
		if auditor > 0 {
			life, cancel = context.WithTimeout(ctx, time.Duration(1+rnd.IntN(6000))*time.Millisecond)
		}
		a := b.newAudit(life, fmt.Sprintf("auditor %d.%d", auditor, round))
		for life.Err() == nil {
			a.look(life)
			call, done := context.WithTimeout(life, 200*time.Millisecond)
			a.read(a.cl.PollFetches(call))
			done()
		}
		cancel()
		a.cl.Close()
	}
}

// audit is what one auditor has read.
type audit struct {
	*bank
	name  string
	cl    *kgo.Client
	books [bankPartitions]book
	legs  map[string]int // by transfer
}

// book is a partition's records as an auditor has read them.
type book struct {
	next int64   // the offset after the last record, markers included
	sum  int     // of all records
	ends []int64 // last stable offsets that are yet to be reached
}

func (b *bank) newAudit(ctx context.Context, name string) *audit {
	from := map[int32]kgo.Offset{}
	for p := range int32(bankPartitions) {
		from[p] = kgo.NewOffset().At(0)
	}
	cl := newReader(ctx, b.c, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{b.topic: from}), kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(), kgo.MetadataMaxAge(time.Second), kgo.FetchMaxWait(100*time.Millisecond))
	return &audit{bank: b, name: name, cl: cl, legs: map[string]int{}}
}

// look notes the last stable offsets of this moment.
func (a *audit) look(ctx context.Context) {
	call, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	listed, err := a.adm.ListCommittedOffsets(call, a.topic)
	if err != nil {
		return
	}
	listed.Each(func(o kadm.ListedOffset) {
		if o.Err != nil {
			return
		}
		if x := &a.books[o.Partition]; len(x.ends) == 0 || x.ends[len(x.ends)-1] < o.Offset {
			x.ends = append(x.ends, o.Offset)
		}
	})
	for p := range a.books {
		a.balance(int32(p))
	}
}

// balance looks at the sum where a last stable offset has been reached.
func (a *audit) balance(p int32) {
	x := &a.books[p]
	for len(x.ends) > 0 && x.ends[0] <= x.next {
		// An older one says nothing: more has been read since.
		if x.ends[0] == x.next {
			if x.sum != 0 {
				a.t.Errorf("%s: partition %d holds %d where it was stable below %d", a.name, p, x.sum, x.next)
			}
			a.mu.Lock()
			a.stable++
			a.mu.Unlock()
		}
		x.ends = x.ends[1:]
	}
}

func (a *audit) read(f kgo.Fetches) {
	f.EachPartition(func(x kgo.FetchTopicPartition) {
		var lost *kgo.ErrDataLoss
		if errors.As(x.Err, &lost) {
			a.t.Errorf("%s: %v", a.name, x.Err)
		}
		if x.Partition < 0 {
			return // the poll has ended
		}
		b := &a.books[x.Partition]
		for _, r := range x.Records {
			for len(b.ends) > 0 && b.ends[0] <= r.Offset {
				b.next = max(b.next, b.ends[0]) // what lies between are records of aborted transfers
				a.balance(x.Partition)
			}
			if !r.Attrs.IsControl() {
				b.sum += a.leg(r)
			}
			b.next = r.Offset + 1
			a.balance(x.Partition)
		}
	})
}

// leg takes in a record and returns its amount.
func (a *audit) leg(r *kgo.Record) int {
	var name string
	var leg, amount int
	if _, err := fmt.Sscan(string(r.Value), &name, &leg, &amount); err != nil {
		a.t.Errorf("%s: offset %d of partition %d holds %q", a.name, r.Offset, r.Partition, r.Value)
		return 0
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if seen := a.legs[name]; seen&(1<<leg) != 0 {
		a.t.Errorf("%s: leg %d of transfer %s is there twice", a.name, leg, name)
	}
	a.legs[name] |= 1 << leg
	if t := a.transfers[name]; t == nil || t.fate == never {
		a.t.Errorf("%s: transfer %s, which was not to be committed, is at offset %d of partition %d", a.name, name, r.Offset, r.Partition)
	}
	return amount
}

// settle waits until the tellers work again, sends them home, waits until no transaction is open, and
// looks at every transfer.
func (b *bank) settle(ctx context.Context) {
	b.t.Helper()
	for before := b.committed(); b.committed() == before; {
		if !pause(ctx, 20*time.Millisecond) {
			b.t.Fatal("nothing is committed any more")
		}
	}
	b.stop()
	b.work.Wait()
	ends := b.awaitStable(ctx)
	b.close()
	b.audits.Wait()
	life, cancel := context.WithCancel(ctx)
	last := b.newAudit(life, "the last auditor")
	defer last.cl.Close()
	defer cancel()
	for p := range last.books {
		for last.books[p].next < ends[int32(p)] {
			f := last.cl.PollFetches(ctx)
			if err := f.Err0(); err != nil {
				b.t.Fatalf("after %d of %d records: %v", last.books[p].next, ends[int32(p)], err)
			}
			last.read(f)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	counts := map[fate]int{}
	for p, x := range last.books {
		if x.sum != 0 {
			b.t.Errorf("in the end partition %d holds %d", p, x.sum)
		}
	}
	for name, t := range b.transfers {
		counts[t.fate]++
		switch seen := last.legs[name]; {
		case seen == 1<<t.legs-1 && t.fate != never:
		case seen != 0:
			b.t.Errorf("of transfer %s there are legs %b of %d", name, seen, t.legs)
		case t.fate == certain:
			b.t.Errorf("transfer %s was committed, and is not there", name)
		}
	}
	b.t.Logf("%d transfers committed, %d aborted, of %d it was not told; %d sums at last stable offsets", counts[certain], counts[never], counts[perhaps], b.stable)
	b.adm.Close()
}

// committed is how many commits have been acknowledged.
func (b *bank) committed() (n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.transfers {
		if t.fate == certain {
			n++
		}
	}
	return n
}

// awaitStable waits until every transaction has ended, and returns where the partitions end.
func (b *bank) awaitStable(ctx context.Context) map[int32]int64 {
	b.t.Helper()
	for {
		ends, err := endsOf(ctx, b.adm, b.topic)
		var stable kadm.ListedOffsets
		if err == nil {
			stable, err = b.adm.ListCommittedOffsets(ctx, b.topic)
		}
		open := []string{fmt.Sprint(err)}
		out := map[int32]int64{}
		if err == nil {
			open = nil
			for p, end := range ends {
				if o, ok := stable.Lookup(p.topic, p.partition); !ok || o.Err != nil || o.Offset != end {
					open = append(open, fmt.Sprintf("partition %d is stable below %d of %d", p.partition, o.Offset, end))
				}
				out[p.partition] = end
			}
		}
		if len(open) == 0 {
			return out
		}
		if !pause(ctx, 100*time.Millisecond) {
			b.t.Fatalf("transactions do not end: %s", strings.Join(open, ", "))
		}
	}
}

// TestTransfersKeepTheirSum injects faults at random while money is transferred; see TestFaultsLoseNothing.
func TestTransfersKeepTheirSum(t *testing.T) {
	seed, length := chosen(t)
	c := clustertest.Start(t, 3, map[string]string{
		"group.initial.rebalance.delay.ms": "0", "offsets.topic.num.partitions": "2", "log.segment.bytes": "1048576",
		"leader.imbalance.check.interval.seconds": "5", "transaction.state.log.num.partitions": "3",
		"transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
	})
	cl := c.NewClient()
	t.Cleanup(cl.Close)
	w := &world{ctx: t.Context(), c: c, adm: kadm.NewClient(cl), rnd: rand.New(rand.NewPCG(seed, 100))}
	b := openBank(t.Context(), t, c, "one", seed)
	happened := w.suffer(t, length)
	ctx, cancel := context.WithTimeout(t.Context(), recovery)
	defer cancel()
	b.settle(ctx)
	t.Logf("%d faults", happened)
}
