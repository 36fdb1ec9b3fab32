package record

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// stored reads a segment of Apache Kafka 4.3.1: what kgo or the Java producer sent it, as it
// stands on disk. The file holds hexadecimal digits.
func stored(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name+".hex"))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func oneBatch(t testing.TB, name string) Batch {
	t.Helper()
	b, rest, err := Split(stored(t, name))
	if err != nil || len(rest) > 0 {
		t.Fatalf("%s: %v, %d bytes left", name, err, len(rest))
	}
	return b
}

func records(t testing.TB, b Batch) []Record {
	t.Helper()
	var out []Record
	seq, errf := b.Records(1 << 20)
	for r := range seq {
		out = append(out, r)
	}
	if err := errf(); err != nil {
		t.Fatal(err)
	}
	return out
}

const t0 = 1700000000123

// sent is what the kgo-*.hex files hold.
func sent() []Record {
	return []Record{
		{Offset: 0, Timestamp: t0, Key: []byte("key-0"), Value: []byte("value-0")},
		{Offset: 1, Timestamp: t0 - 5, Value: []byte("an earlier timestamp and no key")},
		{Offset: 2, Timestamp: t0 + 3600_000, Key: []byte("tombstone")},
		{Offset: 3, Timestamp: t0 + 2000, Key: []byte{}, Value: []byte{}, Headers: []Header{{"h1", []byte("v1")}, {"", nil}, {"h1", []byte{}}}},
		{Offset: 4, Timestamp: t0 + 3000, Key: []byte("long"), Value: make([]byte, 300)},
	}
}

var allCodecs = []Codec{None, Gzip, Snappy, LZ4, Zstd}

func TestReadsWhatKgoWrote(t *testing.T) {
	for _, c := range allCodecs {
		b := oneBatch(t, "kgo-"+c.String())
		if b.Codec() != c || !b.ValidCRC() {
			t.Errorf("%v: codec %v, CRC valid %v", c, b.Codec(), b.ValidCRC())
		}
		if got := records(t, b); !sameRecords(got, sent()) {
			t.Errorf("%v: %v", c, got)
		}
		if err := Validate(b, Limits{}); err != nil {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func sameRecords(a, b []Record) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		x, y := a[i], b[i]
		if x.Offset != y.Offset || x.Timestamp != y.Timestamp || !same(x.Key, y.Key) || !same(x.Value, y.Value) || len(x.Headers) != len(y.Headers) {
			return false
		}
		for k := range x.Headers {
			if x.Headers[k].Key != y.Headers[k].Key || !same(x.Headers[k].Value, y.Headers[k].Value) {
				return false
			}
		}
	}
	return true
}

// same tells null from empty.
func same(a, b []byte) bool { return (a == nil) == (b == nil) && bytes.Equal(a, b) }

func TestReadsWhatTheJavaProducerWrote(t *testing.T) {
	for _, c := range allCodecs {
		b := oneBatch(t, "java-"+c.String())
		if err := Validate(b, Limits{RequireKey: true}); err != nil {
			t.Errorf("%v: %v", c, err)
		}
		got := records(t, b)
		if len(got) != 2 || string(got[0].Key) != "key-1" || string(got[1].Value) != "second value second value second value" ||
			!reflect.DeepEqual(got[0].Headers, []Header{{"h1", []byte("v1")}, {"h2", []byte("v2")}}) {
			t.Errorf("%v: %v", c, got)
		}
	}
}

func TestHeaderFieldsOfAKafkaBatch(t *testing.T) {
	b := oneBatch(t, "kgo-none")
	type fields struct {
		base, last, next, baseTime, maxTime, producer int64
		epoch, lastDelta, seq, lastSeq, n             int32
		producerEpoch                                 int16
		crc                                           uint32
	}
	got := fields{b.BaseOffset(), b.LastOffset(), b.NextOffset(), b.BaseTimestamp(), b.MaxTimestamp(), b.ProducerID(),
		b.LeaderEpoch(), b.LastOffsetDelta(), b.BaseSequence(), b.LastSequence(), b.NumRecords(), b.ProducerEpoch(), b.CRC()}
	want := fields{0, 4, 5, t0, t0 + 3600_000, 2, 0, 4, 0, 4, 5, 0, 43832682}
	if got != want {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestBuilderWritesTheBytesThatKgoWrites(t *testing.T) {
	want := oneBatch(t, "kgo-none")
	w := NewBuilder(BuilderOptions{Producer: &Producer{ID: 2}})
	for _, r := range sent() {
		w.Add(r)
	}
	b := w.Build()
	if b.BaseOffset() != -1 || b.LeaderEpoch() != -1 {
		t.Errorf("base offset %d, leader epoch %d", b.BaseOffset(), b.LeaderEpoch())
	}
	b.SetBaseOffset(0)
	b.SetLeaderEpoch(0)
	if !bytes.Equal(b, want) {
		t.Errorf("got  %x\nwant %x", b, want)
	}
}

func TestTransactionMarkersAreKafkas(t *testing.T) {
	rest := stored(t, "kgo-txn")
	var markers []Marker
	for len(rest) > 0 {
		var b Batch
		var err error
		if b, rest, err = Split(rest); err != nil {
			t.Fatal(err)
		}
		if !b.IsTransactional() {
			t.Error("a batch outside a transaction")
		}
		if !b.IsControl() {
			if _, err := ParseMarker(b); !errors.Is(err, ErrInvalid) {
				t.Errorf("data was taken for a marker: %v", err)
			}
			continue
		}
		m, err := ParseMarker(b)
		if err != nil {
			t.Fatal(err)
		}
		markers = append(markers, m)
		ours := Batch(AppendMarker(nil, m, b.MaxTimestamp()))
		ours.SetBaseOffset(b.BaseOffset())
		ours.SetLeaderEpoch(b.LeaderEpoch())
		if !bytes.Equal(ours, b) {
			t.Errorf("got  %x\nwant %x", []byte(ours), []byte(b))
		}
	}
	if want := []Marker{{ProducerID: 5, ProducerEpoch: 1, Commit: true}, {ProducerID: 6, ProducerEpoch: 1}}; !reflect.DeepEqual(markers, want) {
		t.Errorf("markers %v, want %v", markers, want)
	}
}

func TestSplitRefusesWhatIsNotABatch(t *testing.T) {
	whole := stored(t, "kgo-none")
	for n := range whole {
		if _, _, err := Split(whole[:n]); !errors.Is(err, ErrShort) {
			t.Fatalf("%d bytes: %v", n, err)
		}
	}
	with := func(i int, v ...byte) []byte { b := bytes.Clone(whole); copy(b[i:], v); return b }
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"message format 1": {with(posMagic, 1), ErrMagic},
		"negative length":  {with(posLength, 0xff), ErrCorrupt},
		"length of 48":     {with(posLength, 0, 0, 0, 48), ErrCorrupt},
		"largest length":   {with(posLength, 0x7f, 0xff, 0xff, 0xff), ErrShort},
	} {
		if b, rest, err := Split(c.b); !errors.Is(err, c.want) || b != nil || len(rest) != len(c.b) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if b, rest, err := Split(append(bytes.Clone(whole), 1, 2)); err != nil || len(b) != len(whole) || cap(b) != len(b) || len(rest) != 2 {
		t.Errorf("two bytes after a batch: %d and %d bytes, %v", len(b), len(rest), err)
	}
}

func TestLogAppendTimeStampsEveryRecord(t *testing.T) {
	b := oneBatch(t, "kgo-gzip")
	b.SetLogAppendTime(42)
	if !b.ValidCRC() || !b.IsLogAppendTime() || b.MaxTimestamp() != 42 {
		t.Fatalf("CRC valid %v, log append time %v, max timestamp %d", b.ValidCRC(), b.IsLogAppendTime(), b.MaxTimestamp())
	}
	for _, r := range records(t, b) {
		if r.Timestamp != 42 {
			t.Errorf("record %d has timestamp %d", r.Offset, r.Timestamp)
		}
	}
}

func TestSequencesWrapAround(t *testing.T) {
	for _, c := range []struct{ first, n, last int32 }{{0, 1, 0}, {5, 3, 7}, {math.MaxInt32, 1, math.MaxInt32}, {math.MaxInt32, 2, 0}, {math.MaxInt32 - 1, 4, 1}} {
		w := NewBuilder(BuilderOptions{Producer: &Producer{ID: 1, Sequence: c.first}})
		for range c.n {
			w.Add(Record{})
		}
		if b := w.Build(); b.LastSequence() != c.last {
			t.Errorf("%d records from %d end at %d, want %d", c.n, c.first, b.LastSequence(), c.last)
		}
	}
}

func TestRecordsStopsAtTheBoundAndAtTheFirstBadRecord(t *testing.T) {
	b := oneBatch(t, "kgo-zstd")
	seq, errf := b.Records(10)
	for range seq {
		t.Error("a record beyond the bound")
	}
	if err := errf(); !errors.Is(err, ErrUnpacked) {
		t.Error(err)
	}
	b = oneBatch(t, "kgo-none")
	b[len(b)-1] = 7 // the last record's number of headers
	n := 0
	seq, errf = b.Records(0)
	for range seq {
		n++
	}
	if err := errf(); n != 4 || !errors.Is(err, ErrInvalid) {
		t.Errorf("%d records, %v", n, err)
	}
}
