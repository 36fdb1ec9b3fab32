package protocol

import (
	"context"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func TestTheBudgetServesInOrder(t *testing.T) {
	b := &budget{total: 100}
	take := func(n int64) chan int64 {
		waited, got := b.waits.Load(), make(chan int64, 1)
		go func() {
			n, _ := b.acquire(n, nil, nil)
			got <- n
		}()
		eventually(t, func() bool { return b.waits.Load() > waited })
		return got
	}
	if n, ok := b.acquire(70, nil, nil); n != 70 || !ok {
		t.Fatal(n, ok)
	}
	first := take(50)
	second := take(10) // would fit, but came later
	b.release(30)
	if n := <-first; n != 50 {
		t.Fatalf("took %d", n)
	}
	if n := <-second; n != 10 {
		t.Fatalf("took %d", n)
	}
	if b.inUse() != 100 {
		t.Fatalf("%d in use", b.inUse())
	}
	third := take(1000) // more than there is: everything
	b.release(99)
	select {
	case <-third:
		t.Fatal("the whole budget was given away while some was in use")
	default:
	}
	b.release(1)
	if n := <-third; n != 100 {
		t.Fatalf("took %d", n)
	}
}

func TestWhoGivesUpWaitingHoldsNothingAndBlocksNobody(t *testing.T) {
	b := &budget{total: 100}
	b.acquire(60, nil, nil)
	done, gaveUp := make(chan struct{}), make(chan bool)
	go func() {
		_, ok := b.acquire(80, done, nil)
		gaveUp <- !ok
	}()
	eventually(t, func() bool { return b.waits.Load() == 1 })
	behind := make(chan int64, 1)
	go func() {
		n, _ := b.acquire(40, nil, nil)
		behind <- n
	}()
	eventually(t, func() bool { return b.waits.Load() == 2 })
	close(done)
	if !<-gaveUp {
		t.Error("it did not give up")
	}
	if n := <-behind; n != 40 || b.inUse() != 100 {
		t.Errorf("took %d, %d in use", n, b.inUse())
	}
}

// heapInUse returns the bytes of live and not yet collected objects after a collection.
func heapInUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestAnnouncedBytesCostNothing(t *testing.T) {
	s, addr := startServer(t, Config{Table: NewTable(append(echoAPIs()[1:], acceptProduce())...)})
	before := heapInUse()
	head := binary.BigEndian.AppendUint32(nil, 100<<20)
	head = append(head, headerOf(0, 9, true)[:10]...)
	for range 400 {
		dial(t, addr).write(head)
	}
	eventually(t, func() bool { return s.Stats().Queued == 400 })
	if cost := heapInUse() - before; cost > 400*(24<<10) {
		t.Errorf("400 connections cost %d KiB", cost>>10)
	}
	if n := s.Stats().FrameBytes; n != 0 {
		t.Errorf("%d bytes of the budget held", n)
	}
	dial(t, addr).ask(heartbeat(1))
}

// acceptProduce serves Produce without looking at it.
func acceptProduce() API {
	return Serve(3, 13, func(_ context.Context, _ *kmsg.ProduceRequest, _ *kmsg.ProduceResponse) error { return nil })
}

func TestSlowBigRequestsStayWithinTheBudget(t *testing.T) {
	const budget = 2 << 20
	s, addr := startServer(t, Config{
		Table: NewTable(append(echoAPIs()[1:], acceptProduce())...), MaxRequestBytes: 512 << 10, FrameBudget: budget, DecodeBudget: budget,
	})
	before := heapInUse()
	big := kmsg.NewPtrProduceRequest()
	big.Version = 9
	big.Topics = []kmsg.ProduceRequestTopic{{Topic: "t", Partitions: []kmsg.ProduceRequestTopicPartition{{Records: make([]byte, 400<<10)}}}}
	frame := formatter.AppendRequest(nil, big, 0)
	const part = 100 << 10
	var clients []*testClient
	for range 400 {
		c := dial(t, addr)
		c.write(frame[:part])
		clients = append(clients, c)
	}
	// Five requests of 400 KiB fit; the others wait with what has arrived.
	eventually(t, func() bool { return s.Stats().BudgetWaits == 395 })
	if n := s.Stats().FrameBytes; n > budget {
		t.Errorf("%d of %d bytes held", n, budget)
	}
	if cost := heapInUse() - before; cost > 2*budget+400*(96<<10) {
		t.Errorf("400 connections cost %d MiB", cost>>20)
	}
	for range 10 {
		dial(t, addr).ask(heartbeat(1)) // small requests pass
	}
	// Whoever holds memory finishes, and passes it on.
	for _, c := range clients {
		go c.Write(frame[part:])
	}
	for _, c := range clients {
		c.receiveInto(0, big.ResponseKind())
	}
	eventually(t, func() bool { return s.Stats().FrameBytes == 0 && s.Stats().Queued == 0 })
	if n := s.Stats().DecodedBytes; n != 0 {
		t.Errorf("%d decoded bytes held after the last answer", n)
	}
}
