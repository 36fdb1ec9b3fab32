package log

import (
	"errors"
	"math"
	"testing"

	"quorumlog/record"
)

func produced(id int64, epoch int16, seq int32, n int, offset, ts int64) record.Batch {
	w := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id, Epoch: epoch, Sequence: seq}})
	for range n {
		w.Add(record.Record{Timestamp: ts})
	}
	b := w.Build()
	b.SetBaseOffset(offset)
	return b
}

// The rules are those of Kafka 4's ProducerAppendInfo and ProducerStateEntry.
func TestSequencesAreCheckedAsKafkaDoes(t *testing.T) {
	t7 := NewProducers(nil)
	for i := range int32(7) { // batches of two: the last five are remembered
		t7.Apply(produced(1, 3, 2*i, 2, int64(100+2*i), 50))
	}
	wrap := NewProducers(nil)
	wrap.Apply(produced(1, 0, math.MaxInt32-1, 2, 0, 50))
	inside := NewProducers(nil)
	inside.Apply(produced(1, 0, math.MaxInt32, 3, 0, 50)) // ends at 1
	for _, c := range []struct {
		name string
		t    *Producers
		b    record.Batch
		err  error
		dup  int64 // offset of the first append, -1 for none
	}{
		{"unknown producer, first", t7, produced(2, 0, 0, 1, 0, 0), nil, -1},
		{"unknown producer, any sequence", t7, produced(2, 0, 77, 1, 0, 0), nil, -1},
		{"next", t7, produced(1, 3, 14, 1, 0, 0), nil, -1},
		{"gap", t7, produced(1, 3, 15, 1, 0, 0), ErrOutOfOrderSequence, -1},
		{"behind", t7, produced(1, 3, 13, 2, 0, 0), ErrOutOfOrderSequence, -1},
		{"last again", t7, produced(1, 3, 12, 2, 0, 0), nil, 112},
		{"fifth last again", t7, produced(1, 3, 4, 2, 0, 0), nil, 104},
		{"sixth last again", t7, produced(1, 3, 2, 2, 0, 0), ErrOutOfOrderSequence, -1},
		{"last again with fewer records", t7, produced(1, 3, 12, 1, 0, 0), ErrOutOfOrderSequence, -1},
		{"older epoch", t7, produced(1, 2, 14, 1, 0, 0), ErrStaleEpoch, -1},
		{"newer epoch from zero", t7, produced(1, 4, 0, 1, 0, 0), nil, -1},
		{"newer epoch from elsewhere", t7, produced(1, 4, 14, 1, 0, 0), ErrOutOfOrderSequence, -1},
		{"zero follows the largest", wrap, produced(1, 0, 0, 1, 0, 0), nil, -1},
		{"one does not", wrap, produced(1, 0, 1, 1, 0, 0), ErrOutOfOrderSequence, -1},
		{"after a batch across the end", inside, produced(1, 0, 2, 1, 0, 0), nil, -1},
		{"a batch across the end again", inside, produced(1, 0, math.MaxInt32, 3, 0, 0), nil, 0},
		{"no batch known in this epoch", NewProducers([]ProducerState{{ID: 1, TxnStart: -1}}), produced(1, 0, 5, 1, 0, 0), ErrOutOfOrderSequence, -1},
	} {
		dup, err := c.t.Check(c.b)
		if !errors.Is(err, c.err) || (dup == nil) != (c.dup < 0) || dup != nil && dup.Offset != c.dup {
			t.Errorf("%s: %v, %v", c.name, dup, err)
		}
	}
}

func TestProducersSurviveASnapshotAndExpire(t *testing.T) {
	p := NewProducers(nil)
	p.Apply(produced(1, 0, 0, 1, 0, 1000))
	p.Apply(produced(2, 5, 9, 1, 1, 2000))
	p.Apply(produced(-1, -1, -1, 1, 2, 3000))
	p = NewProducers(p.Snapshot())
	if dup, err := p.Check(produced(2, 5, 9, 1, 7, 0)); err != nil || dup == nil || dup.Offset != 1 {
		t.Errorf("%v, %v", dup, err)
	}
	p.Expire(1000)
	if p.Len() != 2 {
		t.Errorf("%d producers", p.Len())
	}
	p.Expire(1001)
	if p.Len() != 1 {
		t.Errorf("%d producers", p.Len())
	}
	if _, err := p.Check(produced(1, 0, 44, 1, 0, 0)); err != nil {
		t.Errorf("an expired producer goes on: %v", err)
	}
	p.Apply(produced(2, 6, 0, 1, 9, 2500))
	if s := p.Snapshot(); len(s) != 1 || s[0].Epoch != 6 || len(s[0].Batches) != 1 || s[0].LastTimestamp != 2500 {
		t.Errorf("%+v", s)
	}
}

func TestEpochHistory(t *testing.T) {
	var e epochs
	for _, x := range []struct {
		term uint64
		next int64
	}{{1, 0}, {1, 5}, {3, 10}, {4, 10}, {6, 20}} {
		e = e.with(x.term, x.next)
	}
	check := func(e epochs, ask, epoch int32, end int64) {
		t.Helper()
		if gotEpoch, gotEnd, _ := e.end(ask, 30); gotEpoch != epoch || gotEnd != end {
			t.Errorf("epoch %d of %v: %d ends at %d, want %d, %d", ask, e, gotEpoch, gotEnd, epoch, end)
		}
	}
	check(e, 1, 1, 10)
	check(e, 2, 1, 10)
	check(e, 4, 4, 20)
	check(e, 5, 4, 20)
	check(e, 6, 6, 30)
	check(e, 7, -1, -1)
	check(e, -1, -1, -1)
	check(e, 0, 0, 0)
	trimmed := e.trimmed(15)
	check(trimmed, 1, 1, 15) // older than the history: where that begins
	if trimmed.at(15) != 4 || trimmed.at(14) != -1 || trimmed.at(25) != 6 {
		t.Errorf("%v", trimmed)
	}
	check(e.truncated(12, 4), 4, 4, 30)
}
