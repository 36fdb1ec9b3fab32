package cluster

import (
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"quorumlog/replication"
)

// node1 opens the metadata of a node alone over the transport and store that a broker uses.
func node1(t testing.TB, dir string) func() {
	stable, err := replication.OpenStableStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := Open(Options{
		Dir: filepath.Join(dir, "cluster"), NodeID: 1, Identity: "A", Voters: []Voter{{1, "A"}}, Stable: stable.Group("cluster"),
		Transport: replication.NewTransport(1).Group("cluster"),
		Logger:    slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		m.Close()
		stable.Close()
	}
}

func TestABrokersNodeLeadsWithoutWaitingForTimers(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		began := time.Now()
		closed := node1(t, dir)
		if took := time.Since(began); took >= heartbeatTimeout {
			t.Fatalf("took %s, as if an election timer had run out", took)
		}
		closed()
	}
}

func BenchmarkNodeFirstStart(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		dir := b.TempDir()
		b.StartTimer()
		closed := node1(b, dir)
		b.StopTimer()
		closed()
		b.StartTimer()
	}
}
