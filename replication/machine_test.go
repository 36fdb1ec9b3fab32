package replication

import (
	"reflect"
	"testing"

	"github.com/hashicorp/raft"

	"quorumlog/log"
)

// testMachine is a machine on a log in a temporary directory, without Raft.
func testMachine(t *testing.T) (*machine, *[]effects) {
	t.Helper()
	l, c, err := log.Open(t.TempDir(), log.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	m, seen := newMachine(c), &[]effects{}
	m.applied = func(_ []*raft.Log, e effects) { *seen = append(*seen, e) }
	if err := m.attach(l, onDisk); err != nil {
		t.Fatal(err)
	}
	return m, seen
}

func store(t *testing.T, m *machine, entries ...log.Entry) {
	t.Helper()
	if err := m.log.Append(entries); err != nil {
		t.Fatal(err)
	}
}

func TestMachineAppliesBatchesFromMemoryAndFromTheLogAlike(t *testing.T) {
	m, seen := testMachine(t)
	one, two := idempotentBatch(5, 0, 0, "a", "b"), idempotentBatch(5, 0, 2, "c")
	one.SetBaseOffset(-1)
	two.SetBaseOffset(-1)
	store(t, m, log.Entry{Index: 1, Term: 1, Kind: log.KindData, Data: one}, log.Entry{Index: 2, Term: 1, Kind: log.KindData, Data: two})
	m.ApplyBatch([]*raft.Log{{Index: 1, Term: 1, Data: one}, {Index: 2, Term: 1}})
	if m.highWatermark != 3 || m.index != 2 || m.term != 1 {
		t.Errorf("high watermark %d at entry %d of term %d", m.highWatermark, m.index, m.term)
	}
	if p := m.producers.Snapshot(); len(p) != 1 || p[0].LastSeq() != 2 || p[0].Batches[1].Offset != 2 {
		t.Errorf("producers %+v", p)
	}
	if got := (*seen)[0].bytes; len(*seen) != 1 || got != int64(len(one)+len(two)) {
		t.Errorf("effects %+v", *seen)
	}
	m.ApplyBatch([]*raft.Log{{Index: 1, Term: 1, Data: one}})
	if p := m.producers.Snapshot(); len(p[0].Batches) != 2 {
		t.Error("an entry was applied twice")
	}
}

func TestMachineStopsAtAnEntryItCannotApply(t *testing.T) {
	m, seen := testMachine(t)
	store(t, m, log.Entry{Index: 1, Term: 1, Kind: log.KindNoop})
	m.ApplyBatch([]*raft.Log{{Index: 1, Term: 1, Data: []byte{99}}, {Index: 2, Term: 1, Data: command{commandLead, 0}.encode()}})
	if m.index != 0 || (*seen)[0].err == nil {
		t.Errorf("stands at %d, effects %+v", m.index, *seen)
	}
	m.ApplyBatch([]*raft.Log{{Index: 3, Term: 1, Data: command{commandLead, 0}.encode()}})
	if m.index != 0 {
		t.Error("went on after a gap")
	}
}

func TestMachineMovesTheStartOffsetNoFurtherThanTheHighWatermark(t *testing.T) {
	m, _ := testMachine(t)
	b, more := batchOf("a", "b"), batchOf("c")
	b.SetBaseOffset(-1)
	more.SetBaseOffset(-1)
	store(t, m, log.Entry{Index: 1, Term: 1, Kind: log.KindData, Data: b}, log.Entry{Index: 2, Term: 1, Kind: log.KindData, Data: more})
	m.ApplyBatch([]*raft.Log{{Index: 1, Term: 1}, {Index: 3, Term: 1, Data: command{commandStartAt, 100}.encode()}})
	if got := m.log.StartOffset(); got != 2 {
		t.Errorf("start offset %d", got)
	}
}

func TestMachineContinuesFromItsCheckpoint(t *testing.T) {
	m, _ := testMachine(t)
	c := raft.Configuration{Servers: []raft.Server{{ID: "1/x", Address: "1"}}}
	b := idempotentBatch(5, 3, 0, "a", "b")
	b.SetBaseOffset(-1)
	store(t, m, log.Entry{Index: 1, Term: 1, Kind: log.KindConfiguration}, log.Entry{Index: 2, Term: 1, Kind: log.KindData, Data: b}, log.Entry{Index: 3, Term: 2, Kind: log.KindNoop})
	m.ApplyBatch([]*raft.Log{{Index: 1, Term: 1, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}, {Index: 2, Term: 1}})
	cp := m.checkpoint()
	again := newMachine(&cp)
	if err := again.attach(m.log, onDisk); err != nil {
		t.Fatal(err)
	}
	if again.highWatermark != 2 || !reflect.DeepEqual(again.producers.Snapshot(), m.producers.Snapshot()) {
		t.Errorf("high watermark %d, producers %+v", again.highWatermark, again.producers.Snapshot())
	}
	if meta := again.meta(); meta == nil || meta.Index != 2 || meta.ConfigurationIndex != 1 || !reflect.DeepEqual(meta.Configuration, c) {
		t.Errorf("as a snapshot %+v", meta)
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add(command{commandLead, 0}.encode())
	f.Add(command{commandStartAt, 1 << 40}.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCommand(b)
		if err != nil {
			return
		}
		if again, err := parseCommand(c.encode()); err != nil || again != c {
			t.Fatalf("%+v became %+v, %v", c, again, err)
		}
	})
}

func TestCommandBytes(t *testing.T) {
	for c, want := range map[command]string{
		{commandLead, 0}:      "\x01\x01",
		{commandStartAt, 258}: "\x01\x02\x00\x00\x00\x00\x00\x00\x01\x02",
	} {
		if got := string(c.encode()); got != want {
			t.Errorf("%+v is %x, want %x", c, got, want)
		}
	}
}

// onDisk is a disk that has every entry.
func onDisk(uint64) error { return nil }
