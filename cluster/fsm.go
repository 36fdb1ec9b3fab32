package cluster

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// errStale is the answer to an entry whose decision was made on an image that is not the one it
// meets: its leader had lost the lead in between. Every node answers alike, nothing is changed,
// and the decision is made again.
var errStale = errors.New("decided on an older image")

// fsm is the metadata as Raft's state machine. All its methods run on one goroutine.
type fsm struct{ m *Metadata }

// Apply applies one entry. It returns the image that holds it, or an error.
func (f fsm) Apply(l *raft.Log) any { return f.ApplyBatch([]*raft.Log{l})[0] }

// ApplyBatch applies entries that were committed together and publishes one image.
func (f fsm) ApplyBatch(logs []*raft.Log) []any {
	answers := make([]any, len(logs))
	if err := f.m.Err(); err != nil {
		for n := range answers {
			answers[n] = err
		}
		return answers
	}
	old := f.m.Image()
	d, index := old.delta(), old.index
	for n, l := range logs {
		if l.Type == raft.LogConfiguration {
			f.m.configured.Store(&configured{l.Index, raft.DecodeConfiguration(l.Data).Servers})
		}
		if l.Type != raft.LogCommand {
			continue
		}
		applied, err := applyEntry(d, index, l.Data)
		if err != nil {
			f.m.fail(fmt.Errorf("entry %d: %w", l.Index, err))
			return f.ApplyBatch(logs)
		}
		if !applied {
			answers[n] = errStale
			continue
		}
		index = l.Index
	}
	if index == old.index {
		return answers
	}
	now := d.image(index)
	f.m.publish(now)
	for n := range answers {
		if answers[n] == nil {
			answers[n] = now
		}
	}
	return answers
}

// applyEntry applies the records of one entry; false tells that it was stale.
func applyEntry(d *delta, index uint64, data []byte) (bool, error) {
	base, records, err := decodeCommand(data)
	if err != nil {
		return false, err
	}
	if base != index {
		return false, nil
	}
	for _, r := range records {
		if err := r.apply(d); err != nil {
			return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return true, nil
}

// Snapshot takes the image, which never changes.
func (f fsm) Snapshot() (raft.FSMSnapshot, error) {
	if err := f.m.Err(); err != nil {
		return nil, err
	}
	return snapshot{f.m.Image()}, nil
}

// Restore replaces the image by the leader's snapshot.
func (f fsm) Restore(from io.ReadCloser) error {
	defer from.Close()
	i, err := readSnapshot(from)
	if err != nil {
		f.m.fail(fmt.Errorf("snapshot: %w", err))
		return err
	}
	f.m.publish(i)
	return nil
}

type snapshot struct{ image *Image }

// Persist writes the snapshot.
func (s snapshot) Persist(sink raft.SnapshotSink) error {
	if err := writeSnapshot(sink, s.image); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// Release does nothing: the garbage collector does.
func (s snapshot) Release() {}
