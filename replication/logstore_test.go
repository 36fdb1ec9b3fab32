package replication

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/hashicorp/raft"

	"quorumlog/log"
	"quorumlog/record"
)

// testStore is a store on a log in a temporary directory; current accepts any mark while valid.
func testStore(t *testing.T, valid *bool) (*logStore, *[]error) {
	t.Helper()
	l, _, err := log.Open(t.TempDir(), log.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	failures := &[]error{}
	s := &logStore{
		log: l, current: func([]byte, uint64) bool { return *valid }, applied: func() uint64 { return 1 },
		leads:  func() bool { return false },
		failed: func(err error) { *failures = append(*failures, err) },
	}
	s.durable = newDurability(l.LastIndex, l.Sync, s.failed, func(uint64) {})
	return s, failures
}

func proposal(index, term uint64, b record.Batch) *raft.Log {
	b.SetBaseOffset(-1)
	return &raft.Log{Index: index, Term: term, Data: b, Extensions: newMark(term, 1)}
}

func TestStoreAssignsOffsetsInLogOrder(t *testing.T) {
	valid := true
	s, _ := testStore(t, &valid)
	one, two := proposal(2, 3, batchOf("a", "b")), proposal(3, 3, batchOf("c"))
	if err := s.StoreLogs([]*raft.Log{{Index: 1, Term: 3, Type: raft.LogNoop}, one, two}); err != nil {
		t.Fatal(err)
	}
	if o := record.Batch(one.Data).BaseOffset(); o != 0 {
		t.Errorf("first batch at %d", o)
	}
	if b := record.Batch(two.Data); b.BaseOffset() != 2 || b.LeaderEpoch() != 3 || !b.ValidCRC() {
		t.Errorf("second batch at %d, epoch %d", b.BaseOffset(), b.LeaderEpoch())
	}
	var got raft.Log
	if err := s.GetLog(2, &got); err != nil || got.Term != 3 || got.Type != raft.LogCommand || got.Data != nil {
		t.Errorf("read back %+v, %v", got, err)
	}
	release, err := s.load(&got)
	if err != nil || string(got.Data) != string(one.Data) {
		t.Fatalf("loaded %x, %v", got.Data, err)
	}
	release()
	got.Term = 2
	if _, err := s.load(&got); !errors.Is(err, log.ErrNotFound) {
		t.Errorf("an entry that was replaced: %v", err)
	}
	if err := s.GetLog(9, &got); !errors.Is(err, raft.ErrLogNotFound) {
		t.Errorf("beyond the end: %v", err)
	}
}

func TestProposalThatOutlivedItsLeadershipIsVoided(t *testing.T) {
	valid := false
	s, _ := testStore(t, &valid)
	stale, fresh := proposal(1, 2, batchOf("stale")), proposal(2, 2, batchOf("fresh"))
	fresh.Extensions = nil
	if err := s.StoreLogs([]*raft.Log{stale, fresh}); err != nil {
		t.Fatal(err)
	}
	if stale.Type != raft.LogNoop || s.log.NextOffset() != 1 || record.Batch(fresh.Data).BaseOffset() != 0 {
		t.Errorf("stale entry of type %v, log ends at %d", stale.Type, s.log.NextOffset())
	}
}

func TestBatchesOfALeaderAreChecked(t *testing.T) {
	valid := true
	s, failures := testStore(t, &valid)
	batch := func(offset int64) *raft.Log {
		l := proposal(1, 1, batchOf("a"))
		record.Batch(l.Data).SetBaseOffset(offset)
		record.Batch(l.Data).SetLeaderEpoch(1)
		return l
	}
	if err := s.StoreLog(batch(7)); !errors.Is(err, log.ErrMismatch) {
		t.Errorf("a batch that does not continue the log: %v", err)
	}
	garbled := batch(0)
	garbled.Data[len(garbled.Data)-1] ^= 1
	if err := s.StoreLog(garbled); !errors.Is(err, errBadCRC) {
		t.Errorf("a garbled batch: %v", err)
	}
	if len(*failures) != 2 {
		t.Errorf("told of %v", *failures)
	}
	if err := s.StoreLog(batch(0)); err != nil {
		t.Errorf("the right one: %v", err)
	}
}

func TestCommittedEntriesAreNeverDeleted(t *testing.T) {
	valid := true
	s, failures := testStore(t, &valid)
	if err := s.StoreLogs([]*raft.Log{proposal(1, 1, batchOf("a")), proposal(2, 1, batchOf("b")), proposal(3, 1, batchOf("c"))}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteRange(1, 3); !errors.Is(err, log.ErrMismatch) || len(*failures) != 1 {
		t.Errorf("deleting what is applied: %v", err)
	}
	if err := s.DeleteRange(2, 3); err != nil || s.log.NextOffset() != 1 || s.durable.index.Load() != 1 {
		t.Errorf("deleting the rest: %v, log ends at %d", err, s.log.NextOffset())
	}
}

func TestReplicaThatLacksCommittedEntriesIsNotOpened(t *testing.T) {
	p := alone(t)
	for range 10 {
		mustAppend(t, p, batchOf("x"))
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(p.Dir(), "*.log"))
	if err := os.Truncate(files[0], 300); err != nil {
		t.Fatal(err)
	}
	if _, err := p.node.OpenPartition(p.config); !errors.Is(err, log.ErrCorrupt) {
		t.Errorf("opened: %v", err)
	}
}
