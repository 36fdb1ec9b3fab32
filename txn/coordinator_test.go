package txn

import (
	"errors"
	"quorumlog/internal/shards"
	"quorumlog/internal/shards/shardstest"
	"testing"
	"testing/synctest"
	"time"
)

func TestATransactionOfEitherVersion(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		run(t, func(n *node) {
			p := n.producer("a", v2)
			n.wantState("a", "Empty")
			first := p.identity
			n.want("add", p.add(0, 1), none)
			n.want("add the same", p.add(1), none)
			n.want("add another", p.add(7), none)
			n.wantState("a", "Ongoing t[0 1 7]")
			n.want("verify", p.ask(true, 7), none)
			n.want("verify a stranger", p.ask(true, 8), transactionAbortable)
			n.markers.hold()
			n.want("commit", p.finish(true), none)
			n.wantState("a", "PrepareCommit t[0 1 7]")
			n.want("add while markers are written", p.add(2), concurrentTransactions)
			n.markers.release()
			n.wantState("a", "CompleteCommit")
			e := n.markers.written[0]
			want := first.epoch
			if v2 {
				want++
			}
			if len(e.Partitions) != 3 || !e.Marker.Commit || e.Marker.CoordinatorEpoch != n.term || e.Marker.ProducerEpoch != want || (e.Version == V2) != v2 {
				t.Errorf("markers %+v", e)
			}
			if p.identity != (identity{first.producerID, want}) {
				t.Errorf("v2 %v: the producer is %v, was %v", v2, p.identity, first)
			}
			n.want("the next one", p.add(3), none)
			n.want("abort", p.finish(false), none)
			n.wantState("a", "CompleteAbort")
		})
	}
}

func TestAnEndIsAnsweredAgain(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		run(t, func(n *node) {
			p := n.producer("a", v2)
			was := p.identity
			n.want("commit of nothing", p.finish(true), invalidTxnState)
			p.add(0)
			n.markers.hold()
			n.want("commit", p.finish(true), none)
			now := p.identity
			again := func(commit bool, want int16) {
				t.Helper()
				code, _ := p.finishAs(was, v2, commit)
				n.want("again", code, want)
				if p.identity != now {
					t.Errorf("again: the producer is %v, was %v", p.identity, now)
				}
			}
			again(true, concurrentTransactions)
			again(false, invalidTxnState)
			n.elect()
			n.markers.release()
			synctest.Wait()
			again(true, none)
			again(false, invalidTxnState)
			n.elect()
			again(true, none)
			if v2 {
				n.want("commit of nothing", p.finish(true), invalidTxnState)
				n.want("abort of nothing", p.finish(false), none)
				if p.epoch != now.epoch+1 {
					t.Errorf("the epoch after an abort of nothing: %d, was %d", p.epoch, now.epoch)
				}
			}
		})
	}
}

func TestAProducerThatIsReplacedIsFenced(t *testing.T) {
	for _, v2 := range []bool{false, true} {
		run(t, func(n *node) {
			zombie := n.producer("a", v2)
			zombie.add(0)
			heir := n.producer("a", v2)
			n.wantState("a", "Empty")
			if len(n.markers.written) != 1 || n.markers.written[0].Marker.Commit || n.markers.written[0].Marker.ProducerEpoch != zombie.epoch+1 {
				t.Errorf("the transaction left behind: %+v", n.markers.written)
			}
			if heir.producerID != zombie.producerID || heir.epoch != zombie.epoch+2 {
				t.Errorf("the heir is %v after %v", heir.identity, zombie.identity)
			}
			for what, code := range map[string]int16{
				"add": zombie.add(1), "verify": zombie.ask(true, 0), "commit": zombie.finish(true), "abort": zombie.finish(false),
				"init": zombie.initAs(zombie.identity),
			} {
				n.want("the zombie's "+what, code, producerFenced)
			}
			n.want("the heir's add", heir.add(0), none)
			n.want("the zombie's commit", zombie.finish(true), producerFenced)
			n.want("the zombie's init", zombie.initAs(zombie.identity), producerFenced)
			n.wantState("a", "Ongoing t[0]")
			n.want("the heir's commit", heir.finish(true), none)
		})
	}
}

func TestAZombieIsFencedWhileItsTransactionIsAborted(t *testing.T) {
	run(t, func(n *node) {
		zombie := n.producer("a", true)
		zombie.add(0)
		n.markers.hold()
		heir := &producer{node: n, id: "a", v2: true, sender: n.sender}
		n.want("init", heir.init(), concurrentTransactions)
		n.want("the zombie's abort", zombie.finish(false), producerFenced)
		n.want("the zombie's add", zombie.add(1), producerFenced)
		n.markers.release()
		synctest.Wait()
		n.want("the zombie's abort", zombie.finish(false), producerFenced)
		n.want("init", heir.init(), none)
	})
}

func TestAProducerGoesOnWithItsNextEpoch(t *testing.T) { // KIP-360
	run(t, func(n *node) {
		p := n.producer("a", false)
		was := p.identity
		n.want("init", p.initAs(was), none)
		if now := (identity{was.producerID, was.epoch + 1}); p.identity != now {
			t.Errorf("%v after %v", p.identity, was)
		}
		now := p.identity
		n.elect()
		n.want("init again, the answer was lost", p.initAs(was), none)
		if p.identity != now {
			t.Errorf("again: %v, want %v", p.identity, now)
		}
		n.want("init with a stranger's id", p.initAs(identity{7, 0}), producerFenced)
		n.want("init with a future epoch", p.initAs(identity{now.producerID, now.epoch + 1}), producerFenced)
		n.want("init with half an identity", p.initAs(identity{now.producerID, noEpoch}), invalidRequest)

		p.add(0)
		n.want("init within a transaction", p.initAs(now), none)
		if p.identity != (identity{now.producerID, now.epoch + 1}) {
			t.Errorf("%v after %v", p.identity, now)
		}
		n.wantState("a", "Empty")
		if len(n.markers.written) != 1 || n.markers.written[0].Marker.Commit {
			t.Errorf("markers %+v", n.markers.written)
		}
		heir := n.producer("a", false)
		n.want("init after another producer's", p.initAs(p.identity), producerFenced)
		n.want("the other's", heir.initAs(heir.identity), none)
	})
}

func TestEpochsRunOut(t *testing.T) {
	exhaust := func(n *node, p *producer) {
		n.elect() // with a log in which the epoch is the last one
		im := newImage(n.opts.Logger)
		if err := im.replay(n.log, func() bool { return false }); err != nil {
			n.t.Fatal(err)
		}
		last := *im.all[p.id]
		last.epoch = lastEpoch
		r := last.record()
		n.log.Append(n.buildBatch([]keyValue{r}))
		n.elect()
		p.epoch, p.sender = lastEpoch, n.sender
	}
	run(t, func(n *node) {
		p := n.producer("a", true)
		exhaust(n, p)
		was := p.identity
		p.add(0)
		n.markers.hold()
		n.want("commit", p.finish(true), none)
		now := p.identity
		if now.producerID == was.producerID || now.epoch != 0 {
			t.Errorf("%v after %v", now, was)
		}
		code, _ := p.finishAs(was, true, true)
		n.want("commit again", code, concurrentTransactions)
		n.want("add", p.add(1), concurrentTransactions)
		n.markers.release()
		synctest.Wait()
		if m := n.markers.written[0].Marker; m.ProducerID != was.producerID || m.ProducerEpoch != lastEpoch+1 {
			t.Errorf("marker %+v", m)
		}
		code, _ = p.finishAs(was, true, true)
		n.want("commit again", code, none)
		n.elect()
		code, _ = p.finishAs(was, true, true)
		n.want("commit again", code, none)
		if p.identity != now {
			t.Errorf("again: %v, want %v", p.identity, now)
		}
		n.want("add", p.add(1), none)
		n.want("abort", p.finish(false), none)
	})
	run(t, func(n *node) {
		p := n.producer("a", false)
		exhaust(n, p)
		was := p.identity
		n.want("init", p.initAs(was), none)
		now := p.identity
		if now.producerID == was.producerID || now.epoch != 0 {
			t.Errorf("%v after %v", now, was)
		}
		n.want("init again", p.initAs(was), none)
		if p.identity != now {
			t.Errorf("again: %v, want %v", p.identity, now)
		}
		exhaust(n, p)
		p.add(0)
		heir := n.producer("a", false)
		if heir.producerID == p.producerID || heir.epoch != 0 {
			t.Errorf("the heir is %v after %v", heir.identity, p.identity)
		}
		if m := n.markers.written[0].Marker; m.ProducerEpoch != lastEpoch+1 {
			t.Errorf("marker %+v", m)
		}
	})
}

func TestALateEndDoesNotEndTheNextTransaction(t *testing.T) {
	run(t, func(n *node) {
		p := n.producer("a", false)
		p.add(0)
		old := p.sender
		p.finish(true)
		synctest.Wait()
		time.Sleep(time.Second)
		p.sender = Sender{Conn: 7, Opened: time.Now()}
		time.Sleep(time.Second)
		p.add(1)
		now := p.sender
		late := func() bool {
			t.Helper()
			p.sender = old
			defer func() { p.sender = now }()
			_, ok := p.finishAs(p.identity, false, true)
			return !ok
		}
		if !late() {
			t.Error("a late EndTxn is not told")
		}
		n.wantState("a", "Ongoing t[1]")
		// The client's own connection may break as well.
		p.sender = Sender{Conn: 8, Opened: time.Now().Add(time.Millisecond)}
		n.want("commit over a new connection", p.finish(true), none)

		p.sender = now
		p.add(2)
		n.elect()
		if !late() {
			t.Error("a late EndTxn is not told by the next coordinator")
		}
		p.sender = now // from before the election
		if _, ok := p.finishAs(p.identity, false, true); ok {
			t.Error("an EndTxn over a connection that says nothing is trusted")
		}
		p.add(2)
		n.want("commit", p.finish(true), none)
	})
}

func TestATransactionThatTakesTooLongIsAborted(t *testing.T) {
	run(t, func(n *node) {
		p := n.producer("a", true)
		p.add(0)
		time.Sleep(30 * time.Second)
		n.elect() // time goes on
		time.Sleep(29 * time.Second)
		n.AbortTimedOut()
		n.wantState("a", "Ongoing t[0]")
		time.Sleep(2 * time.Second)
		n.AbortTimedOut()
		n.wantState("a", "CompleteAbort")
		n.want("its commit", p.finish(true), producerFenced)
		n.want("its abort", p.finish(false), producerFenced)
		n.want("its add", p.add(1), producerFenced)
		n.want("its init", p.initAs(p.identity), producerFenced)
		n.want("init", p.init(), none)
		n.want("add", p.add(1), none)
		n.want("commit", p.finish(true), none)
	})
}

func TestIdleIDsExpire(t *testing.T) {
	run(t, func(n *node) {
		n.producer("empty", true)
		ongoing, done := n.producer("ongoing", true), n.producer("done", true)
		ongoing.add(0)
		done.add(0)
		done.finish(true)
		time.Sleep(7*24*time.Hour - time.Minute)
		n.Expire()
		n.wantState("empty", "Empty")
		n.wantState("done", "CompleteCommit")
		time.Sleep(time.Minute)
		n.Expire()
		n.wantState("empty", "error 105")
		n.wantState("done", "error 105")
		n.wantState("ongoing", "Ongoing t[0]")
		n.elect()
		n.wantState("done", "error 105")
		n.want("add", done.add(0), invalidProducerIDMapping)
		n.want("verify", done.ask(true, 0), invalidProducerIDMapping)
		n.want("commit", done.finish(true), invalidProducerIDMapping)
	})
}

func TestWhatIsDecidedIsFinishedByTheNextCoordinator(t *testing.T) {
	run(t, func(n *node) {
		p := n.producer("a", true)
		p.add(0, 1)
		n.markers.hold()
		n.want("commit", p.finish(true), none)
		n.Resign(0)
		n.want("add", p.add(1), notCoordinator)
		n.markers.release() // too late: the node leads no more
		synctest.Wait()
		if len(n.markers.written) != 0 {
			t.Errorf("markers of a coordinator that has resigned: %+v", n.markers.written)
		}
		n.elect()
		n.wantState("a", "CompleteCommit")
		if m := n.markers.written[0].Marker; m.CoordinatorEpoch != n.term {
			t.Errorf("marker %+v", m)
		}
	})
}

func TestNothingIsDoneBeforeItIsCommitted(t *testing.T) {
	run(t, func(n *node) {
		p := n.producer("a", true)
		p.add(0)
		n.log.Hold()
		answer := make(chan int16, 1)
		go func() { answer <- p.finish(true) }()
		synctest.Wait()
		if n.wantState("a", "Ongoing t[0]"); len(n.markers.written)+len(answer) > 0 {
			t.Error("a commit was told or carried out before it was in the log")
		}
		n.Resign(0)
		n.log.Release(false)
		n.want("commit", <-answer, notCoordinator)
		n.elect()
		n.wantState("a", "Ongoing t[0]")
		n.want("abort", p.finish(false), none)
	})
}

func TestARecordWhoseFateIsUnknownIsReadAgain(t *testing.T) {
	run(t, func(n *node) {
		p := n.producer("a", true)
		p.add(0)
		n.log.Fail = func(int) error { return shardstest.ErrOutcomeUnknown }
		n.want("commit", p.finish(true), coordinatorNotAvailable)
		n.log.Fail = nil
		// It stands in the log; the next record finds it there.
		n.want("add", p.add(1), notCoordinator)
		synctest.Wait()
		n.elect()
		if got := n.describe("a"); got == "PrepareCommit t[0]" {
			t.Error("a transaction is stuck")
		}
	})
	run(t, func(n *node) {
		n.log.Fail = func(int) error { return errors.New("no") }
		p := &producer{node: n, id: "a", v2: true, sender: n.sender}
		n.want("init", p.init(), coordinatorNotAvailable)
		n.log.Fail = func(int) error { return shards.ErrTooLarge }
		n.want("init", p.init(), unknownServerError)
	})
}

func TestTimeoutsAreBounded(t *testing.T) {
	run(t, func(n *node) {
		p := n.producer("a", true)
		n.opts.MaxTimeout = 59 * time.Second
		n.want("init", p.init(), invalidTransactionTimeout)
	})
}
