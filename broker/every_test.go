package broker

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestEveryCallsAtEachInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		var calls atomic.Int32
		done := make(chan struct{})
		go func() {
			defer close(done)
			every(ctx, time.Second, func() { calls.Add(1) })
		}()
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		if n := calls.Load(); n != 2 {
			t.Errorf("%d calls", n)
		}
		cancel()
		<-done
	})
}

func TestATurnWakesAllWhoWaited(t *testing.T) {
	var x turning
	x.turn() // nobody waits
	first, second := x.next(), x.next()
	x.turn()
	<-first
	<-second
	select {
	case <-x.next():
		t.Error("woken by a turn of before")
	default:
	}
}

func TestTasksAreWaitedForAndNoneBeginsAfterwards(t *testing.T) {
	var x tasks
	var ran atomic.Int32
	begin := make(chan struct{})
	x.run(func() { <-begin; ran.Add(1) })
	go close(begin)
	x.close()
	x.run(func() { ran.Add(1) })
	if n := ran.Load(); n != 1 {
		t.Errorf("%d have run", n)
	}
}
