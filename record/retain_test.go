package record

import (
	"bytes"
	"slices"
	"testing"
)

// retainable is a batch at offset 100 of which every third record is a tombstone.
func retainable(c Codec) (Batch, []Record) {
	w := NewBuilder(BuilderOptions{Codec: c, Producer: &Producer{ID: 7, Epoch: 2, Sequence: 40}})
	var all []Record
	for i := range 10 {
		r := Record{Offset: 100 + int64(i), Timestamp: 5000 + 300*int64(i%4), Key: []byte{byte(i)}, Headers: []Header{{"h", []byte("v")}}}
		if i%3 != 0 {
			r.Value = bytes.Repeat([]byte{byte(i)}, 50)
		}
		w.Add(r)
		all = append(all, r)
	}
	b := w.Build()
	b.SetBaseOffset(100)
	b.SetLeaderEpoch(4)
	return b, all
}

func TestRetainedRecordsAreAsTheyWere(t *testing.T) {
	var r Retainer
	for _, c := range []Codec{None, Gzip, Snappy, LZ4, Zstd} {
		for _, horizon := range []int64{0, 1_000_000} {
			for mask := range 1 << 10 {
				if mask%7 != 3 {
					continue
				}
				b, all := retainable(c)
				before := bytes.Clone(b)
				left, err := r.Retain(b, 1<<20, horizon, func(offset int64, key []byte, tombstone bool) bool {
					if i := int(offset - 100); !bytes.Equal(key, all[i].Key) || tombstone != (all[i].Value == nil) {
						t.Fatalf("asked about %d %x %v", offset, key, tombstone)
					}
					return mask>>(offset-100)&1 == 1
				})
				if err != nil {
					t.Fatal(err)
				}
				var want []Record
				newest, tombstones := int64(-1), false
				for i, x := range all {
					if mask>>i&1 == 1 {
						want = append(want, x)
						newest, tombstones = max(newest, x.Timestamp), tombstones || x.Value == nil
					}
				}
				got := left.Batch
				records, errf := got.Records(1 << 20)
				if have := slices.Collect(records); errf() != nil || !equalRecords(have, want) {
					t.Fatalf("%v, mask %x: %v, %v; want %v", c, mask, have, errf(), want)
				}
				if !bytes.Equal(b, before) || left.Records != len(want) || left.Tombstones != tombstones || got.NumRecords() != int32(len(want)) || !got.ValidCRC() ||
					got.BaseOffset() != 100 || got.LastOffset() != 109 || got.LeaderEpoch() != 4 || got.BaseSequence() != 40 || got.LastSequence() != 49 {
					t.Fatalf("%v, mask %x: %+v, %d records, offsets %d to %d", c, mask, left, got.NumRecords(), got.BaseOffset(), got.LastOffset())
				}
				if len(want) > 0 && got.MaxTimestamp() != newest {
					t.Errorf("max timestamp %d, want %d", got.MaxTimestamp(), newest)
				}
				if stamped := tombstones && horizon > 0; got.HasDeleteHorizon() != stamped || stamped && got.BaseTimestamp() != horizon {
					t.Errorf("delete horizon %v, %d", got.HasDeleteHorizon(), got.BaseTimestamp())
				}
			}
		}
	}
}

func equalRecords(a, b []Record) bool {
	return slices.EqualFunc(a, b, func(x, y Record) bool {
		return x.Offset == y.Offset && x.Timestamp == y.Timestamp && bytes.Equal(x.Key, y.Key) && bytes.Equal(x.Value, y.Value) && (x.Value == nil) == (y.Value == nil) &&
			len(x.Headers) == len(y.Headers)
	})
}

func TestADeleteHorizonIsNotMoved(t *testing.T) {
	var r Retainer
	b, _ := retainable(None)
	all := func(int64, []byte, bool) bool { return true }
	left, err := r.Retain(b, 1<<20, 77, all)
	if err != nil {
		t.Fatal(err)
	}
	first := Batch(bytes.Clone(left.Batch))
	again, err := r.Retain(first, 1<<20, 99, all)
	if err != nil || !bytes.Equal(again.Batch, first) || first.BaseTimestamp() != 77 {
		t.Errorf("horizon %d, then %d, %v", first.BaseTimestamp(), again.Batch.BaseTimestamp(), err)
	}
}

func TestHeadKeepsOffsetsAndSequence(t *testing.T) {
	var r Retainer
	b, _ := retainable(Zstd)
	h := r.Head(b)
	if len(h) != HeaderSize || !h.ValidCRC() || h.NumRecords() != 0 || h.Codec() != None || h.NextOffset() != 110 || h.LastSequence() != 49 ||
		h.ProducerID() != 7 || h.MaxTimestamp() != b.MaxTimestamp() {
		t.Errorf("head %x of %d bytes", []byte(h), len(h))
	}
	if got, rest, err := Split(h); err != nil || len(rest) > 0 || len(got) != len(h) {
		t.Errorf("%v", err)
	}
}

func TestAStampedMarkerSaysTheSame(t *testing.T) {
	var r Retainer
	w := NewBuilder(BuilderOptions{Producer: &Producer{ID: 3, Epoch: 1, Sequence: -1}, Transactional: true, Control: true})
	w.Add(Record{Timestamp: 500, Key: []byte{0, 0, 0, 1}, Value: []byte{0, 0, 0, 0, 0, 9}})
	b, err := r.WithDeleteHorizon(w.Build(), 9000)
	if err != nil {
		t.Fatal(err)
	}
	typ, value, err := b.ControlRecord()
	if err != nil || typ != ControlCommit || value[5] != 9 || !b.IsTransactional() || !b.HasDeleteHorizon() || b.BaseTimestamp() != 9000 || b.MaxTimestamp() != 500 || !b.ValidCRC() {
		t.Errorf("%v %x %v, %d %d", typ, value, err, b.BaseTimestamp(), b.MaxTimestamp())
	}
}

func TestRetainRefusesDamage(t *testing.T) {
	var r Retainer
	b, _ := retainable(None)
	for _, bad := range []Batch{append(bytes.Clone(b), 1), b[:len(b)-3]} {
		if _, err := r.Retain(bad, 1<<20, 0, func(int64, []byte, bool) bool { return true }); err == nil {
			t.Errorf("%d bytes of %d were taken", len(bad), len(b))
		}
	}
}
