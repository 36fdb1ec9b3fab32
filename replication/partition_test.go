package replication

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"quorumlog/record"
)

// newNode returns a node of its own in dir, with quick timers.
func newNode(t testing.TB, dir string, id int32) *Node {
	t.Helper()
	stable, err := OpenStableStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	n := &Node{
		ID: id, Identity: fmt.Sprintf("disk-%d", id), Stable: stable, Transport: NewTransport(id),
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})).With("node", id),
		Timing: Timing{Heartbeat: 200 * time.Millisecond, Lease: 100 * time.Millisecond, Commit: 20 * time.Millisecond, Campaign: time.Millisecond},
	}
	t.Cleanup(func() {
		n.Close()
		stable.Close()
	})
	return n
}

// open opens a group of one and closes it with the test.
func open(t testing.TB, n *Node, dir string) *Partition {
	t.Helper()
	p, err := n.OpenPartition(PartitionConfig{Group: "g-0", Dir: dir, Voters: disks(n.ID)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// eventually waits for a condition that nothing announces.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited for %s in vain", what)
		}
	}
}

// await waits for a condition that a change of the partition brings about.
func await(t testing.TB, p *Partition, what string, ok func() bool) {
	t.Helper()
	wake := make(chan struct{}, 1)
	defer p.Watch(wake)()
	limit := time.After(10 * time.Second)
	for !ok() {
		select {
		case <-wake:
		case <-limit:
			t.Fatalf("waited for %s in vain; state %+v", what, p.State())
		}
	}
}

func awaitLeading(t testing.TB, p *Partition) {
	t.Helper()
	await(t, p, "leadership", func() bool { return p.State().Leading })
}

func batchOf(values ...string) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{})
	for _, v := range values {
		b.Add(record.Record{Timestamp: 1000, Value: []byte(v)})
	}
	return b.Build()
}

func idempotentBatch(id int64, epoch int16, seq int32, values ...string) record.Batch {
	b := record.NewBuilder(record.BuilderOptions{Producer: &record.Producer{ID: id, Epoch: epoch, Sequence: seq}})
	for _, v := range values {
		b.Add(record.Record{Timestamp: 1000, Value: []byte(v)})
	}
	return b.Build()
}

func mustAppend(t testing.TB, p *Partition, b record.Batch) AppendResult {
	t.Helper()
	a := p.Append(b)
	select {
	case <-a.Done():
	case <-time.After(10 * time.Second):
		t.Fatal("append does not end")
	}
	r, err := a.Result()
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return r
}

// values reads all committed records.
func values(t testing.TB, p *Partition) (out []string) {
	t.Helper()
	err := p.Batches(p.StartOffset(), p.HighWatermark(), func(b record.Batch) bool {
		if b.BaseOffset() != p.StartOffset()+int64(len(out)) {
			t.Fatalf("batch at %d, %d was due", b.BaseOffset(), len(out))
		}
		records, errf := b.Records(1 << 20)
		for r := range records {
			out = append(out, string(r.Value))
		}
		if err := errf(); err != nil {
			t.Fatal(err)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestGroupOfOneLeadsAtOnceAndKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	n := newNode(t, dir, 1)
	p := open(t, n, filepath.Join(dir, "p"))
	start := time.Now()
	awaitLeading(t, p)
	if d := time.Since(start); d > n.Timing.Heartbeat/2 {
		t.Errorf("leads after %v: it waited for a timer", d)
	}
	for i := range 100 {
		if r := mustAppend(t, p, batchOf(fmt.Sprint(i))); r.BaseOffset != int64(i) {
			t.Fatalf("append %d got offset %d", i, r.BaseOffset)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal("closing twice:", err)
	}
	if _, err := p.Append(batchOf("late")).Result(); err == nil {
		t.Error("a closed partition acknowledged")
	}
	p = open(t, n, filepath.Join(dir, "p"))
	awaitLeading(t, p)
	if got := values(t, p); len(got) != 100 {
		t.Errorf("%d records after the restart", len(got))
	}
	if p.HighWatermark() != 100 || p.EndOffset() != 100 {
		t.Errorf("high watermark %d, end %d", p.HighWatermark(), p.EndOffset())
	}
}
