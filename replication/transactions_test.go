package replication

import (
	"errors"
	"testing"
	"time"

	"quorumlog/log"
	"quorumlog/record"
)

func transactionalBatch(id int64, epoch int16, seq int32, values ...string) record.Batch {
	w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id, Epoch: epoch, Sequence: seq}, Transactional: true})
	for _, v := range values {
		w.Add(record.Record{Timestamp: 1000, Value: []byte(v)})
	}
	return w.Build()
}

func settle(t *testing.T, a *Append) AppendResult {
	t.Helper()
	r, err := outcome(t, a)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func outcome(t *testing.T, a *Append) (AppendResult, error) {
	t.Helper()
	select {
	case <-a.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("no outcome")
	}
	return a.Result()
}

func TestTheLastStableOffsetWaitsForTheMarker(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, batchOf("before"))
	mustAppend(t, p, transactionalBatch(1, 0, 0, "a", "b"))
	mustAppend(t, p, batchOf("between"))
	mustAppend(t, p, transactionalBatch(2, 0, 0, "c"))
	check := func(stable, hw int64) {
		t.Helper()
		if s, h := p.LastStableOffset(), p.HighWatermark(); s != stable || h != hw {
			t.Errorf("stable below %d of %d, want %d of %d", s, h, stable, hw)
		}
	}
	check(1, 5)
	if !p.OpenTransaction(1, 0) || p.OpenTransaction(1, 1) || p.OpenTransaction(3, 0) {
		t.Error("which transactions are open is not known")
	}
	if r := settle(t, p.EndTransaction(record.Marker{ProducerID: 1, ProducerEpoch: 1, Commit: true}, 2)); r.BaseOffset != 5 {
		t.Errorf("%+v", r)
	}
	check(4, 6)
	settle(t, p.EndTransaction(record.Marker{ProducerID: 2, ProducerEpoch: 1}, 2))
	check(7, 7)
	if p.OpenTransaction(1, 0) || p.OpenTransaction(1, 1) {
		t.Error("a transaction that has ended is open")
	}
}

func TestMarkersAreFenced(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, transactionalBatch(1, 5, 0, "a"))
	for _, c := range []struct {
		name    string
		m       record.Marker
		version int16
		err     error
	}{
		{"an older epoch", record.Marker{ProducerID: 1, ProducerEpoch: 4, CoordinatorEpoch: 3}, 1, log.ErrStaleEpoch},
		{"version 2 with the epoch of the records", record.Marker{ProducerID: 1, ProducerEpoch: 5, CoordinatorEpoch: 3}, 2, log.ErrStaleEpoch},
		{"version 2 with the next epoch", record.Marker{ProducerID: 1, ProducerEpoch: 6, CoordinatorEpoch: 3}, 2, nil},
		{"the same again", record.Marker{ProducerID: 1, ProducerEpoch: 6, CoordinatorEpoch: 3}, 2, nil},
		{"an older coordinator", record.Marker{ProducerID: 1, ProducerEpoch: 7, CoordinatorEpoch: 2}, 2, log.ErrCoordinatorFenced},
		{"version 1 with the same epoch", record.Marker{ProducerID: 1, ProducerEpoch: 6, CoordinatorEpoch: 4}, 1, nil},
	} {
		if _, err := outcome(t, p.EndTransaction(c.m, c.version)); !errors.Is(err, c.err) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	if n := p.EndOffset(); n != 3 {
		t.Errorf("the log ends at %d: a marker in place was appended again", n)
	}
	if _, err := outcome(t, p.Append(transactionalBatch(1, 5, 1, "late"))); !errors.Is(err, log.ErrStaleEpoch) {
		t.Errorf("a batch of a transaction that has ended: %v", err)
	}
	mustAppend(t, p, transactionalBatch(1, 6, 0, "next"))
}

func TestABatchThatBeginsATransactionIsVerified(t *testing.T) {
	p := alone(t)
	add := func(g *Guard) error {
		t.Helper()
		_, err := outcome(t, g.Append())
		return err
	}
	first := p.Guard(transactionalBatch(1, 0, 0, "a"), false)
	if !first.Ask() {
		t.Fatal("the coordinator is not asked about a new transaction")
	}
	if err := add(first); err != nil {
		t.Fatal(err)
	}
	next := p.Guard(transactionalBatch(1, 0, 1, "b"), false)
	if next.Ask() {
		t.Error("the coordinator is asked about a transaction that is open")
	}
	settle(t, p.EndTransaction(record.Marker{ProducerID: 1, Commit: true}, 1))
	if err := add(next); !errors.Is(err, log.ErrTransactionState) {
		t.Errorf("a batch that was looked at before the marker: %v", err)
	}
	if err := add(p.Guard(transactionalBatch(1, 0, 0, "a"), false)); err != nil {
		t.Errorf("a batch of before, repeated: %v", err)
	}
	void := p.Guard(transactionalBatch(1, 0, 1, "b"), false)
	settle(t, p.EndTransaction(record.Marker{ProducerID: 1, Commit: true}, 1))
	if err := add(void); !errors.Is(err, log.ErrTransactionState) {
		t.Errorf("the coordinator was asked, and then the transaction ended: %v", err)
	}
	if _, err := outcome(t, p.Append(idempotentBatch(1, 0, 1, "outside"))); err != nil {
		t.Errorf("a batch outside of any transaction: %v", err)
	}
	if err := add(p.Guard(transactionalBatch(1, 0, 2, "c"), false)); err != nil {
		t.Error(err)
	}
	if _, err := outcome(t, p.Append(idempotentBatch(1, 0, 3, "outside"))); !errors.Is(err, log.ErrTransactionState) {
		t.Errorf("a batch outside of the transaction that is open: %v", err)
	}
}

func TestALaterBatchDoesNotOvertakeOneThatCouldNotBeVerified(t *testing.T) {
	p := alone(t)
	p.Guard(transactionalBatch(1, 0, 0, "a"), false) // its coordinator does not answer
	second := p.Guard(transactionalBatch(1, 0, 1, "b"), false)
	if _, err := outcome(t, second.Append()); !errors.Is(err, log.ErrOutOfOrderSequence) {
		t.Errorf("the second batch first: %v", err)
	}
	if _, err := outcome(t, p.Guard(transactionalBatch(1, 0, 0, "a"), false).Append()); err != nil {
		t.Error(err)
	}
	if _, err := outcome(t, p.Guard(transactionalBatch(1, 0, 1, "b"), false).Append()); err != nil {
		t.Error(err)
	}
	if _, err := outcome(t, p.Guard(transactionalBatch(2, 0, 7, "a"), true).Append()); !errors.Is(err, log.ErrOutOfOrderSequence) {
		t.Errorf("a transaction with an epoch of its own that begins in the middle: %v", err)
	}
}

func TestTheNextTransactionMayComeBeforeTheMarkerOfTheLast(t *testing.T) {
	p := alone(t)
	mustAppend(t, p, transactionalBatch(1, 4, 0, "a"))
	next := p.Guard(transactionalBatch(1, 5, 0, "b"), true)
	if !next.Ask() {
		t.Fatal("the coordinator is not asked about a transaction with another epoch")
	}
	settle(t, p.EndTransaction(record.Marker{ProducerID: 1, ProducerEpoch: 5, Commit: true}, 2))
	if _, err := outcome(t, next.Append()); err != nil {
		t.Errorf("the next transaction: %v", err)
	}
	late := p.Guard(transactionalBatch(2, 4, 0, "a"), true)
	settle(t, p.EndTransaction(record.Marker{ProducerID: 2, ProducerEpoch: 5}, 2))
	if _, err := outcome(t, late.Append()); err == nil {
		t.Error("a batch came in after the marker of its transaction")
	}
}
