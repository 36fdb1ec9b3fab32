package txn

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is the partitions of topic "t", which know of each transaction's records how they ended.
type world struct {
	mu    sync.Mutex
	rnd   *rand.Rand // of the test's own goroutine
	coins *rand.Rand // of the others, under mu
	parts map[int32]*part
	holds []func() // markers that are held up
	held  bool
	wrong []string
}

// part is one partition.
type part struct {
	epochs      map[int64]int16 // of producers, the newest seen
	coordinator map[int64]int32 // of markers, by producer
	open        []*written
}

// written is the records of one transaction in a partition.
type written struct {
	identity
	tx *attempt
}

// attempt is one transaction as its client sees it.
type attempt struct {
	commit, told bool         // what its end was answered
	ends         map[bool]int // partitions by the kind of their marker
	parts        int          // partitions with records
}

func (w *world) fail(format string, args ...any) {
	w.wrong = append(w.wrong, fmt.Sprintf(format, args...))
}

// Write implements Markers: it writes at once, or when it is let.
func (w *world) Write(ctx context.Context, e Ended, written func()) {
	do := func() {
		if ctx.Err() == nil || w.coin() { // a coordinator that is gone may have sent it already
			w.mark(e)
		}
		if ctx.Err() == nil {
			written()
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.held {
		w.holds = append(w.holds, do)
		return
	}
	go do()
}

func (w *world) coin() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.coins.IntN(2) == 0
}

// mark writes one transaction's markers, with a partition's own fences.
func (w *world) mark(e Ended) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, tp := range e.Partitions {
		p := w.part(tp.Partition)
		m := e.Marker
		if m.CoordinatorEpoch < p.coordinator[m.ProducerID] || m.ProducerEpoch < p.epochs[m.ProducerID] {
			continue
		}
		p.coordinator[m.ProducerID], p.epochs[m.ProducerID] = m.CoordinatorEpoch, m.ProducerEpoch
		p.open = slices.DeleteFunc(p.open, func(o *written) bool {
			if o.producerID != m.ProducerID {
				return false
			}
			o.tx.ends[m.Commit]++
			return true
		})
	}
}

func (w *world) part(n int32) *part {
	p := w.parts[n]
	if p == nil {
		p = &part{epochs: map[int64]int16{}, coordinator: map[int64]int32{}}
		w.parts[n] = p
	}
	return p
}

// produce writes a record of a transaction whose partition has been added.
func (w *world) produce(i identity, n int32, tx *attempt) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.part(n)
	if e, ok := p.epochs[i.producerID]; ok && i.epoch < e {
		return false
	}
	p.epochs[i.producerID] = i.epoch
	for _, o := range p.open {
		if o.identity == i && o.tx == tx {
			return true
		}
		if o.producerID == i.producerID {
			w.fail("partition %d has two transactions of producer %d open: %v and %v", n, i.producerID, o.identity, i)
		}
	}
	p.open = append(p.open, &written{i, tx})
	tx.parts++
	return true
}

func (w *world) let() {
	w.mu.Lock()
	holds := w.holds
	w.held, w.holds = false, nil
	w.mu.Unlock()
	for _, do := range holds {
		do()
	}
}

// client is a producer that begins, writes and ends at random.
type client struct {
	*producer
	dead bool // fenced
	tx   *attempt
}

// TestEveryTransactionEndsOneWay has producers of both versions, several of one id, work with a
// coordinator that dies between any two steps, whose log loses what was not committed, and whose
// markers are held up. In the end no partition has a transaction open, each has ended one way in all
// its partitions, and as its client was told.
func TestEveryTransactionEndsOneWay(t *testing.T) {
	for seed := range uint64(150) {
		run(t, func(n *node) {
			w := &world{rnd: rand.New(rand.NewPCG(seed, 3)), coins: rand.New(rand.NewPCG(seed, 4)), parts: map[int32]*part{}}
			n.opts.Markers = w
			n.elect()
			var all []*attempt
			var clients []*client
			for range 150 {
				x := w.rnd.IntN(20)
				switch {
				case x < 2 && len(clients) < 12:
					v2 := w.rnd.IntN(2) == 0
					c := &client{producer: &producer{node: n, id: fmt.Sprint("id", w.rnd.IntN(2)), identity: identity{noID, noEpoch}, v2: v2, sender: n.sender}}
					if c.init() == none {
						clients = append(clients, c)
					}
				case x < 3:
					w.mu.Lock()
					w.held = true
					w.mu.Unlock()
				case x < 5:
					w.let()
				case x < 7: // the coordinator dies
					n.Resign(0)
					n.log.Release(w.rnd.IntN(2) == 0)
					if w.rnd.IntN(2) == 0 {
						w.let()
					}
					n.elect()
				case x < 8:
					time.Sleep(time.Duration(w.rnd.IntN(40)) * time.Second)
					n.AbortTimedOut()
				case len(clients) > 0:
					c := clients[w.rnd.IntN(len(clients))]
					if tx := c.step(w); tx != nil {
						all = append(all, tx)
					}
				}
			}
			w.let()
			n.elect()
			time.Sleep(2 * time.Minute)
			n.AbortTimedOut()
			synctest.Wait()
			w.check(all)
			if len(w.wrong) > 0 {
				n.t.Fatalf("seed %d: %v", seed, w.wrong)
			}
		})
	}
}

// step does one thing, and returns the transaction that it has begun, if any.
func (c *client) step(w *world) (begun *attempt) {
	if c.dead {
		return nil
	}
	c.sender = c.node.sender
	if c.tx == nil {
		c.tx = &attempt{ends: map[bool]int{}}
		begun = c.tx
	}
	n := w.rnd.Int32N(4)
	switch w.rnd.IntN(4) {
	case 0, 1:
		c.write(w, n)
	default:
		c.end(w, w.rnd.IntN(2) == 0)
	}
	return begun
}

func (c *client) write(w *world, n int32) {
	switch code := c.add(n); code {
	case none:
		w.produce(c.identity, n, c.tx)
	case producerFenced, invalidProducerEpoch, invalidProducerIDMapping:
		c.give()
	}
}

// end ends the transaction, if need be over and over; the coordinator may die meanwhile.
func (c *client) end(w *world, commit bool) {
	tx, i := c.tx, c.identity
	for attempt := range 20 {
		code := c.finishThrough(w, i, commit)
		time.Sleep(10 * time.Millisecond)
		c.sender = c.node.sender
		switch code {
		case none:
			tx.told, tx.commit, c.tx = true, commit, nil
			return
		case producerFenced, invalidProducerEpoch, invalidProducerIDMapping:
			c.give()
			return
		case invalidTxnState:
			if tx.parts > 0 && attempt == 0 {
				w.fail("%s: a transaction with records cannot be ended", c.id)
			}
			c.tx = nil
			return
		}
		if attempt > 5 {
			w.let()
		}
	}
	c.give() // its client ends without an answer
}

// finishThrough sends an EndTxn while whose decision is on its way into the log the coordinator may
// die: the decision may stand there then.
func (c *client) finishThrough(w *world, i identity, commit bool) (code int16) {
	dies, keep := w.rnd.IntN(5) == 0, w.rnd.IntN(2) == 0
	if dies {
		c.log.Hold()
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		code, _ = c.finishAs(i, c.v2, commit)
	}()
	if dies {
		synctest.Wait()
		c.Resign(0)
		c.log.Release(keep)
		c.elect()
	}
	<-done
	return code
}

// give gives up: a fatal error.
func (c *client) give() { c.dead, c.tx = true, nil }

func (w *world) check(all []*attempt) {
	for n, p := range w.parts {
		if len(p.open) > 0 {
			w.fail("partition %d has transactions open", n)
		}
	}
	for i, tx := range all {
		switch {
		case tx.ends[true] > 0 && tx.ends[false] > 0:
			w.fail("transaction %d was committed and aborted: %v", i, tx.ends)
		case tx.told && tx.ends[!tx.commit] > 0:
			w.fail("transaction %d was told the opposite of commit=%v", i, tx.commit)
		case tx.ends[true]+tx.ends[false] != tx.parts:
			w.fail("transaction %d ended in %v of %d partitions", i, tx.ends, tx.parts)
		}
	}
}
