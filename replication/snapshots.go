package replication

import (
	"errors"
	"io"

	"github.com/hashicorp/raft"
)

// snapshots presents the applied state to Raft as a snapshot without bytes, so that a start
// replays only what came after it. The log's own segments are the data, and they travel
// outside Raft.
type snapshots struct{ machine *machine }

// List returns the applied state.
func (s snapshots) List() ([]*raft.SnapshotMeta, error) {
	if meta := s.machine.meta(); meta != nil {
		return []*raft.SnapshotMeta{meta}, nil
	}
	return nil, nil
}

// Create is never called: the snapshot threshold is out of reach.
func (snapshots) Create(raft.SnapshotVersion, uint64, uint64, raft.Configuration, uint64, raft.Transport) (raft.SnapshotSink, error) {
	return nil, errNoSnapshots
}

// Open returns the applied state, and a shipment in the place of bytes. Raft asks when a follower
// is behind what AppendEntries still sends.
func (s snapshots) Open(string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	meta, sh := s.machine.shipment()
	if meta == nil {
		return nil, nil, errors.Join(errNoSnapshots, sh.Close())
	}
	return meta, sh, nil
}
