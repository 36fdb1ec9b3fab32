package group

import (
	"encoding/hex"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/internal/shards/shardstest"
	"quorumlog/record"
)

type goldenRecord struct {
	partition  int32
	key, value []byte
}

func goldenRecords(t testing.TB) []goldenRecord {
	text, err := os.ReadFile("testdata/kafka-4.3.1.records")
	if err != nil {
		t.Fatal(err)
	}
	var out []goldenRecord
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if strings.HasPrefix(line, "#") || len(f) != 3 {
			continue
		}
		p, _ := strconv.Atoi(f[0])
		r := goldenRecord{partition: int32(p)}
		if r.key, err = hex.DecodeString(f[1]); err != nil {
			t.Fatal(err)
		}
		if f[2] != "null" {
			if r.value, err = hex.DecodeString(f[2]); err != nil {
				t.Fatal(err)
			}
		}
		out = append(out, r)
	}
	return out
}

func TestRecordsAreWrittenByteForByteAsKafkaWritesThem(t *testing.T) {
	for _, want := range goldenRecords(t) {
		im := newImage(slog.New(slog.DiscardHandler))
		im.apply(0, want.key, want.value)
		if im.foreign {
			t.Fatalf("cannot read %x %x", want.key, want.value)
		}
		k, err := new(decoder).key(want.key)
		if err != nil {
			t.Fatal(err)
		}
		if p := PartitionFor(k.group, 5); p != want.partition {
			t.Errorf("group %s is in partition %d, Kafka says %d", k.group, p, want.partition)
		}
		if want.value == nil {
			continue
		}
		g := im.groups[k.group]
		var got []keyValue
		g.records(func(r keyValue) { got = append(got, r) })
		if !k.isOffset { // made anew from the group's members, not from the bytes that were read
			g.s = &shard{c: New(Options{}), image: im, logger: slog.New(slog.DiscardHandler)}
			g.s.clock = nil
			got = []keyValue{{groupKey(g.id), remake(t, im, g)}}
		}
		if len(got) != 1 || string(got[0].key) != string(want.key) || string(got[0].value) != string(want.value) {
			t.Errorf("got  %x\nwant %x %x", got, want.key, want.value)
		}
	}
}

// remake encodes the group that a record describes.
func remake(t *testing.T, im *image, g *group) []byte {
	v, err := im.dec.group(g.stored)
	if err != nil {
		t.Fatal(err)
	}
	g.generation, g.stateMs, g.protocolType = v.Generation, v.CurrentStateTimestamp, v.ProtocolType
	if v.Protocol != nil {
		g.protocol = *v.Protocol
	}
	for i := range v.Members {
		g.add(restoreMember(&v.Members[i], g.protocol), nil)
	}
	return g.metadataValue(g.assignments())
}

func TestOldVersionsOfRecordsAreRead(t *testing.T) {
	im := newImage(slog.New(slog.DiscardHandler))
	for version := int16(0); version <= 4; version++ {
		k := kmsg.OffsetCommitKey{Version: min(version, 1), Group: "g", Topic: "orders", Partition: int32(version)}
		v := kmsg.OffsetCommitValue{Version: version, Offset: 7, LeaderEpoch: 3, Metadata: "m", CommitTimestamp: 1, ExpireTimestamp: 9}
		im.apply(0, k.AppendTo(nil), v.AppendTo(nil))
		o := *im.groups["g"].offsets["orders"].get(int32(version))
		want := committed{partition: int32(version), offset: 7, commitMs: 1, expireMs: -1, metadata: "m", leaderEpoch: -1}
		if version == 1 {
			want.expireMs = 9
		}
		if version >= 3 {
			want.leaderEpoch = 3
		}
		if o != want {
			t.Errorf("version %d: %+v", version, o)
		}
	}
	for version := int16(0); version <= 4; version++ {
		v := kmsg.GroupMetadataValue{Version: version, ProtocolType: "consumer", Generation: 4, Protocol: kmsg.StringPtr("range")}
		v.Members = append(v.Members, kmsg.GroupMetadataValueMember{MemberID: "m", SessionTimeoutMillis: 5, RebalanceTimeoutMillis: -1})
		im.apply(0, groupKey("v"), v.AppendTo(nil))
		got, err := im.dec.group(im.groups["v"].stored)
		if err != nil || got.Generation != 4 {
			t.Errorf("version %d: %v %v", version, got, err)
		}
	}
	if im.foreign {
		t.Error("something was skipped")
	}
}

func TestUnknownRecordsAreSkippedAndKeepTheLogFromBeingRewritten(t *testing.T) {
	for name, r := range map[string]keyValue{
		"a key of a later version":         {[]byte{0, 3, 0, 0}, nil},
		"a key that is cut":                {[]byte{0, 1, 0, 9, 'x'}, []byte{}},
		"an empty key":                     {nil, []byte{1}},
		"an offset of a later version":     {offsetKey("g", "t", 0), []byte{0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
		"an offset that is cut":            {offsetKey("g", "t", 0), []byte{0, 4}},
		"a group with too many members":    {groupKey("g"), []byte{0, 3, 0, 0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}},
		"a group value of a later version": {groupKey("g"), []byte{0, 9, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}},
	} {
		im := newImage(slog.New(slog.DiscardHandler))
		im.apply(0, r.key, r.value)
		if !im.foreign || len(im.groups) != 0 {
			t.Errorf("%s: foreign=%v groups=%d", name, im.foreign, len(im.groups))
		}
	}
}

func FuzzApply(f *testing.F) {
	for _, r := range goldenRecords(f) {
		f.Add(r.key, r.value)
	}
	f.Fuzz(func(t *testing.T, key, value []byte) {
		im := newImage(slog.New(slog.DiscardHandler))
		im.apply(0, key, value)
		im.apply(0, key, nil)
		if len(im.groups) != 0 {
			t.Fatalf("a tombstone leaves %d groups", len(im.groups))
		}
	})
}

func FuzzReplay(f *testing.F) {
	for _, r := range goldenRecords(f) {
		f.Add([]byte(buildBatch([]keyValue{{r.key, r.value}}, nil)))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		batch, _, err := record.Split(b)
		if err != nil {
			return
		}
		c := New(testOptions())
		s := newShard(c, 0, 1, &shardstest.Log{Batches: []record.Batch{batch}})
		s.Load()
		s.Resign()
	})
}

func FuzzSubscription(f *testing.F) {
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 1, 't'})
	f.Fuzz(func(t *testing.T, b []byte) {
		topics := map[string]struct{}{}
		subscription(b, topics)
		if len(topics) > len(b) {
			t.Fatal("more topics than bytes")
		}
	})
}

// records yields the group's durable state.
func (g *group) records(add func(keyValue)) {
	if g.stored != nil {
		add(keyValue{groupKey(g.id), g.stored})
	}
	for topic, parts := range g.offsets {
		for i := range parts {
			add(keyValue{offsetKey(g.id, topic, parts[i].partition), parts[i].value()})
		}
	}
}
