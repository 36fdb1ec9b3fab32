package cluster

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
)

// golden are the bytes of each record as they are on disk: type, version, length, body. They
// change only with the version.
var golden = []struct {
	record Record
	hex    string
}{
	{ClusterRecord{"abc"}, "01 01 04 03 616263"},
	{FeatureRecord{"f", 300}, "02 01 04 01 66 d804"},
	{BrokerRecord{Broker{ID: 7, Incarnation: "i", Identity: "d", Host: "h", Port: 9092, RaftAddress: "h:1", Rack: "r", Fenced: true}},
		"03 01 11 0e 0169 0164 0168 888e01 03683a31 0172 01"},
	{BrokerFenceRecord{ID: 7, Fenced: true}, "04 01 02 0e 01"},
	{BrokerRemovedRecord{7}, "05 01 01 0e"},
	{TopicRecord{Topic{Name: "t", ID: TopicID{0: 0xaa, 15: 0xbb}, Partitions: []Partition{{Replicas: []int32{1, 2}}, {Replicas: []int32{3}}}, Configs: map[string]string{"b": "2", "a": ""}}},
		"06 02 28 0174 aa0000000000000000000000000000bb 02 02 02 04 00 00 00 00 01 06 00 00 00 00 02 0161 00 0162 0132"},
	{TopicRemovedRecord{TopicID{0: 0xaa, 15: 0xbb}}, "07 01 10 aa0000000000000000000000000000bb"},
	{PartitionsRecord{Topic: TopicID{0: 0xaa}, First: 2, Partitions: []Partition{{Replicas: []int32{1}}}},
		"08 02 18 aa000000000000000000000000000000 04 01 01 02 00 00 00 00"},
	{TopicRecord{Topic{Name: "m", ID: TopicID{0: 0xaa}, Partitions: []Partition{{Replicas: []int32{1, 2}, Adding: []int32{1}, Removing: []int32{2}, Epoch: 70, Founders: []Voter{{2, "d"}}}}}},
		"06 02 21 016d aa000000000000000000000000000000 01 02 02 04 01 02 01 04 8c01 01 04 0164 00"},
	{ReplicasRecord{Topic: TopicID{0: 0xaa}, Partition: 1, Replicas: []int32{1, 2}},
		"09 01 16 aa000000000000000000000000000000 02 02 02 04 00 00"},
	{ReplicasRecord{Topic: TopicID{0: 0xaa}, Partition: 1, Replicas: []int32{1, 2}, Adding: []int32{1}, Removing: []int32{2}},
		"09 01 18 aa000000000000000000000000000000 02 02 02 04 01 02 01 04"},
	{ConfigRecord{Resource: Resource{TopicResource, "t"}, Name: "n", Value: ptr("v")}, "0a 01 08 04 0174 016e 01 0176"},
	{ConfigRecord{Resource: Resource{GroupResource, "g"}, Name: "n"}, "0a 01 06 40 0167 016e 00"},
	{ProducerIDsRecord{1000}, "0b 01 02 d00f"},
}

func ptr[T any](v T) *T { return &v }

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	return must(hex.DecodeString(strings.ReplaceAll(s, " ", "")))(t)
}

func TestRecordBytes(t *testing.T) {
	seen := map[recordKind]bool{}
	for _, g := range golden {
		seen[g.record.kind()] = true
		var w writer
		w.frame(g.record)
		if want := unhex(t, g.hex); !bytes.Equal(w.b, want) {
			t.Errorf("%T:\n got %x\nwant %x", g.record, w.b, want)
		}
		r := reader{b: unhex(t, g.hex)}
		if got := r.frame(); r.err != nil || !reflect.DeepEqual(got, g.record) {
			t.Errorf("%T: decoded %+v, %v", g.record, got, r.err)
		}
	}
	for kind, f := range recordFormats {
		if !seen[kind] {
			t.Errorf("no golden bytes for the %s record", f.name)
		}
	}
}

// What was written before there were founders is read.
func TestPartitionsOfVersionOneAreRead(t *testing.T) {
	r := reader{b: unhex(t, "08 01 17 aa000000000000000000000000000000 04 01 01 02 00 00 00")}
	want := PartitionsRecord{Topic: TopicID{0: 0xaa}, First: 2, Partitions: []Partition{{Replicas: []int32{1}}}}
	if got := r.frame(); r.err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, r.err)
	}
}

func TestEntryAndSnapshotBytes(t *testing.T) {
	if got := encodeCommand(300, []Record{BrokerRemovedRecord{7}}); !bytes.Equal(got, unhex(t, "01 ac02 05 01 01 0e")) {
		t.Errorf("entry %x", got)
	}
	if got := state(t, &Image{index: 300, nextProducerID: 1000}); got != string(unhex(t, "01 ac02 0b 01 02 d00f")) {
		t.Errorf("snapshot %x", got)
	}
}

func TestWhatANewerVersionWroteIsNamed(t *testing.T) {
	for _, c := range []struct {
		hex   string
		words []string
	}{
		{"02 00", []string{"metadata entry", "format 2", "up to 1"}},
		{"01 00 63 05 00", []string{"record type 99 version 5"}},
		{"01 00 05 02 01 0e", []string{"broker removed record", "version 2", "up to 1"}},
	} {
		_, _, err := decodeCommand(unhex(t, c.hex))
		refused(t, err, ErrNewerVersion, append(c.words, "newer version")...)
	}
	_, err := readSnapshot(bytes.NewReader([]byte{2}))
	refused(t, err, ErrNewerVersion, "metadata snapshot", "format 2")
}

func TestCorruptEntriesAreRefused(t *testing.T) {
	for _, h := range []string{
		"", "00", "01", "01 ff", "01 00 05", "01 00 05 01", "01 00 05 01 02 0e", // cut off
		"01 00 05 00 01 0e",           // version 0
		"01 00 05 01 02 0e 00",        // bytes after the last field
		"01 00 04 01 02 0e 02",        // a boolean of 2
		"01 00 05 01 06 ffffffffff7f", // a node id beyond 32 bits
		"01 00 06 01 ffffffff0f",      // a length beyond the end
		"01 00 09 01 16" + strings.Repeat("00", 17) + "ffffffff0f", // a count beyond the end
	} {
		if _, _, err := decodeCommand(unhex(t, h)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%q: %v", h, err)
		}
	}
}

// FuzzDecodeCommand: whatever decodes has one encoding of its own, and applies or is refused.
func FuzzDecodeCommand(f *testing.F) {
	for _, g := range golden {
		f.Add(encodeCommand(7, []Record{g.record, ProducerIDsRecord{5}}))
	}
	f.Add([]byte{2})
	f.Fuzz(func(t *testing.T, b []byte) {
		base, rs, err := decodeCommand(b)
		if err != nil {
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrNewerVersion) {
				t.Fatal(err)
			}
			return
		}
		again := encodeCommand(base, rs)
		base2, rs2, err := decodeCommand(again)
		if err != nil || base2 != base || !reflect.DeepEqual(rs2, rs) {
			t.Fatalf("%+v became %+v, %v", rs, rs2, err)
		}
		if i, err := imageOf(t, 3).Apply(rs...); err == nil {
			checkImage(t, i)
		}
	})
}

// FuzzReadSnapshot: what can be read writes the image that it was read as.
func FuzzReadSnapshot(f *testing.F) {
	f.Add([]byte(state(f, imageOf(f, 3))))
	for _, g := range golden {
		var w writer
		w.frame(g.record)
		f.Add(append([]byte{1, 9}, w.b...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		i, err := readSnapshot(bytes.NewReader(b))
		if err != nil {
			return
		}
		checkImage(t, i)
		again := must(readSnapshot(strings.NewReader(state(t, i))))(t)
		if state(t, again) != state(t, i) {
			t.Fatal("a second reading differs")
		}
	})
}

// FuzzDecodeNode: node.json is refused or whole.
func FuzzDecodeNode(f *testing.F) {
	f.Add([]byte(`{"format":1,"node.id":1,"directory.id":"AQAAAAAAAAAAAAAAAAAAAg","cluster.id":"x"}`))
	f.Add([]byte(`{"format":2}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		n, err := decodeNode(b)
		if err == nil && (n.NodeID == nil || *n.NodeID < 0 || n.Directory.IsZero()) {
			t.Fatalf("%+v", n)
		}
	})
}
