package cluster

import (
	"context"
	"io"
	"log/slog"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
)

// memTransport is an in-memory transport that can campaign.
type memTransport struct{ *raft.InmemTransport }

func newTransport(id int32) memTransport {
	_, t := raft.NewInmemTransport(raft.ServerAddress(strconv.Itoa(int(id))))
	t.Connect(t.LocalAddr(), t)
	return memTransport{t}
}

func (t memTransport) Campaign() {
	var resp raft.TimeoutNowResponse
	_ = t.TimeoutNow("", t.LocalAddr(), &raft.TimeoutNowRequest{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}}, &resp)
}

// member is one Metadata and what it needs.
type member struct {
	*Metadata
	t      testing.TB
	dir    string
	stable *raftboltdb.BoltStore
}

func options(t testing.TB, dir string) (Options, *raftboltdb.BoltStore) {
	t.Helper()
	stable, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	if err != nil {
		t.Fatal(err)
	}
	return Options{
		Dir: filepath.Join(dir, "cluster"), NodeID: 1, Identity: "A", Voters: []Voter{{1, "A"}}, Transport: newTransport(1), Stable: stable,
		Logger: slog.New(slog.DiscardHandler),
	}, stable
}

// open opens the member of a node alone in a data directory.
func open(t testing.TB, dir string, change ...func(*Options)) *member {
	t.Helper()
	o, stable := options(t, dir)
	for _, f := range change {
		f(&o)
	}
	m, err := Open(o)
	if err != nil {
		stable.Close()
		t.Fatal(err)
	}
	x := &member{Metadata: m, t: t, dir: dir, stable: stable}
	t.Cleanup(x.close)
	return x
}

func (m *member) close() {
	m.Metadata.Close()
	m.stable.Close()
}

func (m *member) change(decide func(*Image) ([]Record, error)) *Image {
	m.t.Helper()
	i, err := m.Change(m.t.Context(), decide)
	if err != nil {
		m.t.Fatal(err)
	}
	return i
}

// records makes a decision of given records.
func records(rs ...Record) func(*Image) ([]Record, error) {
	return func(*Image) ([]Record, error) { return rs, nil }
}

// create makes a decision on one topic, automatically placed.
func create(name string, partitions int32) func(*Image) ([]Record, error) {
	return func(i *Image) ([]Record, error) {
		return CreateTopic(i, NewTopic{Name: name, Partitions: partitions, ReplicationFactor: 1}, nil)
	}
}

// topicOn makes a topic with these replicas.
func topicOn(name string, replicas ...[]int32) TopicRecord {
	t := Topic{Name: name, ID: NewTopicID(nil)}
	for _, r := range replicas {
		t.Partitions = append(t.Partitions, Partition{Replicas: r})
	}
	return TopicRecord{t}
}

func stringReader(s string) io.Reader { return strings.NewReader(s) }

func register(b Broker) func(*Image) ([]Record, error) {
	return func(i *Image) ([]Record, error) { return RegisterBroker(i, b) }
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func timeout(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
