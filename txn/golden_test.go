package txn

import (
	"bytes"
	"context"
	"encoding/hex"
	"log/slog"
	"os"
	"reflect"
	"strings"
	"testing"

	"quorumlog/internal/shards/shardstest"
	"quorumlog/record"
)

func goldenRecords(t testing.TB) (out []keyValue) {
	text, err := os.ReadFile("testdata/kafka-4.3.1.records")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(f) != 3 {
			continue
		}
		var r keyValue
		for i, b := range []*[]byte{&r.key, &r.value} {
			if *b, err = hex.DecodeString(f[1+i]); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, r)
	}
	return out
}

// Kafka writes the partitions of a transaction in the order of a hash map; apart from that all bytes
// are the same.
func TestRecordsAreWrittenAsKafkaWritesThem(t *testing.T) {
	seen, equal := map[State]int{}, 0
	for _, want := range goldenRecords(t) {
		id, err := parseKey(want.key)
		if err != nil {
			t.Fatal(err)
		}
		read, err := parseValue(id, want.value)
		if err != nil {
			t.Fatalf("%x: %v", want.value, err)
		}
		seen[read.state]++
		ours := read.record()
		if !bytes.Equal(ours.key, want.key) || len(ours.value) != len(want.value) {
			t.Errorf("%s\n got %x\nwant %x", id, ours.value, want.value)
		}
		if bytes.Equal(ours.value, want.value) {
			equal++
		}
		if again, err := parseValue(id, ours.value); err != nil || !reflect.DeepEqual(again, read) {
			t.Errorf("%s: read again: %+v, %v; want %+v", id, again, err, read)
		}
	}
	for s := Empty; s <= CompleteAbort; s++ {
		if seen[s] == 0 {
			t.Errorf("no record in state %s", s)
		}
	}
	if equal < len(seen) {
		t.Errorf("%d records are the same in every byte", equal)
	}
}

func TestTheRecordInTheDocumentation(t *testing.T) {
	tx := transaction{
		id: "a", producerID: 1001, epoch: 3, previousID: 1001, nextID: noID, version: V2, timeoutMs: 60_000,
		state: PrepareCommit, partitions: []TopicPartition{{"t", 0}, {"t", 7}}, updateMs: 0x1a210c81323, startMs: 0x1a210c80f3b,
	}
	r := tx.record()
	for _, c := range []struct {
		got  []byte
		want string
	}{
		{r.key, "0000 0001 61"},
		{r.value, "0001 00000000000003e9 0003 0000ea60 02 02 02 74 03 00000000 00000007 00" +
			"000001a210c81323 000001a210c80f3b 02 00 08 00000000000003e9 02 02 0002"},
	} {
		if want := strings.ReplaceAll(c.want, " ", ""); hex.EncodeToString(c.got) != want {
			t.Errorf("got  %x\nwant %s", c.got, want)
		}
	}
}

func FuzzReplay(f *testing.F) {
	c := New(Options{
		PartitionFor: func(string) int32 { return 0 }, ProducerID: func(context.Context) (int64, error) { return 1, nil },
		Markers: &memMarkers{}, Logger: slog.New(slog.DiscardHandler),
	})
	for _, r := range goldenRecords(f) {
		f.Add([]byte(c.buildBatch([]keyValue{r})))
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		batch, _, err := record.Split(b)
		if err != nil {
			return
		}
		s := newShard(c, 0, 1, &shardstest.Log{Batches: []record.Batch{batch}})
		s.Load()
		s.Resign()
	})
}

// FuzzValue reads a value, and what it has read again from its own record.
func FuzzValue(f *testing.F) {
	for _, r := range goldenRecords(f) {
		f.Add(r.value)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		read, err := parseValue("id", b)
		if err != nil {
			return
		}
		again, err := parseValue("id", read.record().value)
		if err != nil || read.state != Empty && !reflect.DeepEqual(again, read) {
			t.Errorf("%+v, read again: %+v, %v", read, again, err)
		}
	})
}
