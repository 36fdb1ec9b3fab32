package replication

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"quorumlog/log"
)

func alone(t testing.TB) *Partition {
	t.Helper()
	dir := t.TempDir()
	p := open(t, newNode(t, dir, 1), filepath.Join(dir, "p"))
	awaitLeading(t, p)
	return p
}

func TestRepeatedBatchGetsItsFirstOffset(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, idempotentBatch(9, 0, 0, "a", "b"))
	mustAppend(t, p, idempotentBatch(9, 0, 2, "c"))
	r := mustAppend(t, p, idempotentBatch(9, 0, 0, "a", "b"))
	if r.BaseOffset != 0 || !r.Duplicate {
		t.Errorf("repeated: %+v", r)
	}
	if _, err := p.Append(idempotentBatch(9, 0, 7, "x")).Result(); !errors.Is(err, log.ErrOutOfOrderSequence) {
		t.Errorf("gap: %v", err)
	}
	if p.HighWatermark() != 3 {
		t.Errorf("high watermark %d", p.HighWatermark())
	}
}

func TestConcurrentProducersGetDenseOffsets(t *testing.T) {
	p := alone(t)
	const producers, each = 8, 100
	var wg sync.WaitGroup
	for id := range producers {
		wg.Go(func() {
			var window []*Append
			for i := range each {
				// Every batch twice: the second is in flight, or applied.
				window = append(window, p.Append(idempotentBatch(int64(id), 0, int32(i), "v")), p.Append(idempotentBatch(int64(id), 0, int32(i), "v")))
			}
			for i := 0; i < len(window); i += 2 {
				<-window[i].Done()
				<-window[i+1].Done()
				a, errA := window[i].Result()
				b, errB := window[i+1].Result()
				if errA != nil || errB != nil || a.BaseOffset != b.BaseOffset {
					t.Errorf("producer %d batch %d: %+v %v, repeated %+v %v", id, i/2, a, errA, b, errB)
				}
			}
		})
	}
	wg.Wait()
	if got := len(values(t, p)); got != producers*each {
		t.Errorf("%d records, want %d", got, producers*each)
	}
}

func TestAppendWaitsForRoomAndGivesUp(t *testing.T) {
	p := alone(t)
	p.node.Limits.AppendWait = 20 * time.Millisecond
	p.mu.Lock()
	stuck := batchOf("never applied")
	p.proposals.push(&Append{data: stuck})
	p.proposals.maxBytes = len(stuck)
	p.mu.Unlock()
	if _, err := p.Append(batchOf("x")).Result(); !errors.Is(err, ErrUnavailable) {
		t.Errorf("without room: %v", err)
	}
	p.node.Limits.AppendWait = 10 * time.Second
	go func() {
		p.mu.Lock()
		p.proposals.pop(stuck)
		p.wakeAppends()
		p.mu.Unlock()
	}()
	mustAppend(t, p, batchOf("x"))
}

func TestClosingFailsWhatIsInFlight(t *testing.T) {
	p := alone(t)
	var all []*Append
	for range 50 {
		all = append(all, p.Append(batchOf("x")))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	for i, a := range all {
		select {
		case <-a.Done():
		case <-time.After(time.Second):
			t.Fatalf("append %d has no outcome after Close", i)
		}
		if _, err := a.Result(); err != nil && !errors.Is(err, ErrUnavailable) {
			t.Errorf("append %d: %v", i, err)
		}
	}
	if p.State().Leading {
		t.Error("leads after Close")
	}
}

func TestDeleteRecordsMovesTheStartAndSurvivesARestart(t *testing.T) {
	p := alone(t)
	for range 10 {
		mustAppend(t, p, batchOf("x"))
	}
	ctx := context.Background()
	if low, err := p.DeleteRecords(ctx, 4); err != nil || low != 4 {
		t.Fatalf("low watermark %d, %v", low, err)
	}
	if low, err := p.DeleteRecords(ctx, 2); err != nil || low != 4 {
		t.Errorf("backwards: %d, %v", low, err)
	}
	if _, err := p.DeleteRecords(ctx, 11); !errors.Is(err, log.ErrOutOfRange) {
		t.Errorf("beyond the end: %v", err)
	}
	if _, err := p.Read(3, 10, 1<<20, true); !errors.Is(err, log.ErrOutOfRange) {
		t.Errorf("read below the start: %v", err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	p = open(t, p.node, p.Dir())
	awaitLeading(t, p)
	if p.StartOffset() != 4 {
		t.Errorf("starts at %d after the restart", p.StartOffset())
	}
	if low, err := p.DeleteRecords(ctx, -1); err != nil || low != 10 {
		t.Errorf("everything: %d, %v", low, err)
	}
}

func TestWatchersAreWokenByAppendAndStopAfterCancel(t *testing.T) {
	p := alone(t)
	wake := make(chan struct{}, 1)
	cancel := p.Watch(wake)
	mustAppend(t, p, batchOf("x"))
	select {
	case <-wake:
	case <-time.After(5 * time.Second):
		t.Fatal("not woken")
	}
	cancel()
	cancel()
	// The wake-up of the first append may still be on its way: the second must bring none.
	for p.watchers.n.Load() != 0 {
		t.Fatal("still watched")
	}
}

func TestFullDiskIsAStorageErrorUntilThereIsSpace(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, batchOf("x"))
	large := make([]byte, 256<<10)
	restore := limitFileSize(t, 200<<10)
	a := p.Append(batchOf(string(large)))
	<-a.Done()
	if _, err := a.Result(); !errors.Is(err, ErrStorage) {
		t.Errorf("append to a full disk: %v", err)
	}
	if got := len(values(t, p)); got != 1 {
		t.Errorf("%d records can be read", got)
	}
	restore()
	awaitLeading(t, p)
	if r := mustAppend(t, p, batchOf(string(large))); r.BaseOffset != 1 {
		t.Errorf("after space returned: %+v", r)
	}
}

// limitFileSize stands in for a full disk: files cannot grow beyond n bytes until restore.
func limitFileSize(t *testing.T, n uint64) (restore func()) {
	t.Helper()
	var old syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &old); err != nil {
		t.Skip(err)
	}
	if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: n, Max: old.Max}); err != nil {
		t.Skip(err)
	}
	restore = func() { syscall.Setrlimit(syscall.RLIMIT_FSIZE, &old) }
	t.Cleanup(restore)
	return restore
}

func TestRemoveLeavesNothing(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, batchOf("x"))
	if err := p.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(p.Dir()); !os.IsNotExist(err) {
		t.Errorf("directory: %v", err)
	}
	if _, err := p.node.Stable.Group(p.Group()).GetUint64([]byte(keyTerm)); err == nil {
		t.Error("the stable store still knows the group")
	}
	again := open(t, p.node, p.Dir())
	awaitLeading(t, again)
	if again.HighWatermark() != 0 {
		t.Error("records of the removed partition came back")
	}
}

func TestRolesAreToldInOrder(t *testing.T) {
	dir := t.TempDir()
	n := newNode(t, dir, 1)
	var mu sync.Mutex
	var told []State
	p, err := n.OpenPartition(PartitionConfig{Group: "g-0", Dir: filepath.Join(dir, "p"), Voters: disks(1), OnRole: func(_ *Partition, s State) {
		mu.Lock()
		told = append(told, s)
		mu.Unlock()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	await(t, p, "the callback", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(told) > 0 && told[len(told)-1].Leading
	})
	mu.Lock()
	defer mu.Unlock()
	for i := 1; i < len(told); i++ {
		if told[i].Epoch < told[i-1].Epoch {
			t.Errorf("epochs went back: %+v", told)
		}
	}
}
