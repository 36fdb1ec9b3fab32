package replication

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/hashicorp/raft"

	"quorumlog/log"
	"quorumlog/record"
)

// machine is a partition's applied state: what committed entries have made of it. Raft's FSM
// goroutine alone changes it, through ApplyBatch; it outlives the Raft instance, so that a
// reopened log continues where this one stood.
type machine struct {
	// applied is called after each batch, on the FSM goroutine, without the lock.
	applied func(logs []*raft.Log, e effects)

	mu            sync.Mutex
	log           *log.Log                 // of the current instance
	durable       func(index uint64) error // returns once an entry of that log is on disk
	index, term   uint64                   // of the last entry applied
	configuration raft.Configuration
	configured    uint64 // index of the entry that set the configuration
	producers     *log.Producers
	aborted       []log.AbortedTransaction // since the last checkpoint, in the order of their markers
	highWatermark int64                    // the offset after the last committed batch
	// broken is why an entry could not be applied: nothing is, until a new instance tries again.
	broken error
}

// effects is what a batch of entries did beyond the state itself.
type effects struct {
	bytes    int64  // of data
	lead     []byte // the mark of a commandLead proposed on this node
	settings bool   // configuration or start offset changed
	err      error  // an entry that cannot be applied
}

// newMachine returns the state of a checkpoint; nil means of an empty log.
func newMachine(c *log.Checkpoint) *machine {
	m := &machine{producers: log.NewProducers(nil)}
	if c != nil {
		m.restore(c)
	}
	return m
}

// restore takes over a checkpoint's state where that is further, and reports whether it is: one
// that came with the leader's segments.
func (m *machine) restore(c *log.Checkpoint) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c.Index <= m.index {
		return false
	}
	m.index, m.term, m.configured = c.Index, c.Term, c.ConfigurationIndex
	m.producers, m.aborted = log.NewProducers(c.Producers), nil
	if len(c.Configuration) > 0 {
		m.configuration = raft.DecodeConfiguration(c.Configuration)
	}
	return true
}

// ApplyBatch applies committed entries, in log order, once they are on this node's disk too.
func (m *machine) ApplyBatch(logs []*raft.Log) []any {
	var e effects
	m.mu.Lock()
	if durable := m.durable; m.broken == nil {
		m.mu.Unlock()
		err := durable(logs[len(logs)-1].Index)
		m.mu.Lock()
		m.broken = err
	}
	for _, l := range logs {
		if m.broken == nil {
			m.broken = m.apply(l, &e)
		}
	}
	e.err = m.broken
	m.mu.Unlock()
	m.applied(logs, e)
	return noResponses[:len(logs)]
}

// noResponses is what Raft's futures get: nobody waits for them. Raft only reads it.
var noResponses [maxAppendEntries]any

// apply is for one entry; the caller holds mu.
func (m *machine) apply(l *raft.Log, e *effects) error {
	if l.Index <= m.index {
		return nil // a new instance's replay
	}
	var err error
	switch {
	case l.Type == raft.LogConfiguration:
		m.configuration, m.configured, e.settings = raft.DecodeConfiguration(l.Data), l.Index, true
	case l.Type != raft.LogCommand:
	case l.Data == nil:
		err = m.applyStored(l.Index, e)
	case len(l.Data) > maxCommandSize:
		m.applyBatch(record.Batch(l.Data), e)
	default:
		err = m.applyCommand(l, e)
	}
	if err != nil {
		return fmt.Errorf("apply entry %d: %w", l.Index, err)
	}
	m.index, m.term = l.Index, l.Term
	return nil
}

// applyStored applies a batch that GetLog left in the file.
func (m *machine) applyStored(index uint64, e *effects) error {
	entry, release, err := m.log.Entry(index)
	if err != nil {
		return err
	}
	m.applyBatch(record.Batch(entry.Data), e)
	release()
	return nil
}

func (m *machine) applyBatch(b record.Batch, e *effects) {
	if a, ok := m.producers.Apply(b); ok {
		m.aborted = append(m.aborted, a)
	}
	m.highWatermark = b.NextOffset()
	e.bytes += int64(len(b))
}

// stableOffset is the last stable offset: transactions are open until their markers are applied,
// and so committed.
func (m *machine) stableOffset() int64 {
	if first, ok := m.producers.FirstUnstable(); ok {
		return min(first, m.highWatermark)
	}
	return m.highWatermark
}

func (m *machine) applyCommand(l *raft.Log, e *effects) error {
	c, err := parseCommand(l.Data)
	if err != nil {
		return err
	}
	switch c.typ {
	case commandLead:
		if len(l.Extensions) > 0 {
			e.lead = l.Extensions
		}
	case commandStartAt:
		m.log.SetStart(min(c.offset, m.highWatermark))
		e.settings = true
	}
	return nil
}

// attach gives the machine the log of a new instance, and finds its high watermark there.
func (m *machine) attach(l *log.Log, durable func(index uint64) error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log, m.durable, m.broken = l, durable, nil
	next, err := nextOffsetAt(l, m.index)
	m.highWatermark = max(m.highWatermark, next)
	return err
}

// nextOffsetAt returns the offset after the last batch at or before a Raft index: the batches'
// own entries know their offsets, Raft's and commands do not.
func nextOffsetAt(l *log.Log, index uint64) (int64, error) {
	for i := index; i >= l.FirstIndex() && i > 0; i-- {
		e, release, err := l.Entry(i)
		if err != nil {
			return 0, err
		}
		data, next := e.Kind == log.KindData, int64(0)
		if data {
			next = record.Batch(e.Data).NextOffset()
		}
		release()
		if data {
			return next, nil
		}
	}
	return l.StartOffset(), nil
}

// checkpoint describes the state.
func (m *machine) checkpoint() log.Checkpoint {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.describe()
}

// describe is checkpoint for who holds mu.
func (m *machine) describe() log.Checkpoint {
	c := log.Checkpoint{
		Index: m.index, Term: m.term, ConfigurationIndex: m.configured,
		StartOffset: m.log.StartOffset(), Producers: m.producers.Snapshot(), Aborted: m.aborted[:len(m.aborted):len(m.aborted)],
	}
	if len(m.configuration.Servers) > 0 {
		c.Configuration = raft.EncodeConfiguration(m.configuration)
	}
	return c
}

// stored forgets aborted transactions that are in the log's own files now.
func (m *machine) stored(aborted []log.AbortedTransaction) {
	if len(aborted) == 0 {
		return
	}
	last := aborted[len(aborted)-1].Last
	m.mu.Lock()
	defer m.mu.Unlock()
	n := 0
	for n < len(m.aborted) && m.aborted[n].Last <= last {
		n++
	}
	m.aborted = slices.Clone(m.aborted[n:])
}

// meta presents the state to Raft as a snapshot; nil while there is none.
func (m *machine) meta() *raft.SnapshotMeta {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asSnapshot()
}

// shipment is the state for a follower that is far behind. Nothing is compacted until it is closed.
func (m *machine) shipment() (*raft.SnapshotMeta, *shipment) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asSnapshot(), &shipment{checkpoint: m.describe(), log: m.log, release: m.log.Hold()}
}

// asSnapshot is meta for who holds mu.
func (m *machine) asSnapshot() *raft.SnapshotMeta {
	if m.index == 0 || len(m.configuration.Servers) == 0 {
		return nil
	}
	return &raft.SnapshotMeta{
		Version: raft.SnapshotVersionMax, ID: "applied", Index: m.index, Term: m.term,
		Configuration: m.configuration.Clone(), ConfigurationIndex: m.configured,
	}
}

// appliedIndex is the Raft index of the last entry applied.
func (m *machine) appliedIndex() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.index
}

// Apply applies one entry.
func (m *machine) Apply(l *raft.Log) any { return m.ApplyBatch([]*raft.Log{l})[0] }

// StoreConfiguration is Apply's counterpart for configurations. Raft sends those to ApplyBatch.
func (m *machine) StoreConfiguration(index uint64, c raft.Configuration) {
	m.ApplyBatch([]*raft.Log{{Index: index, Type: raft.LogConfiguration, Data: raft.EncodeConfiguration(c)}})
}

var errNoSnapshots = errors.New("snapshots are virtual: the segments are the snapshot")

// Snapshot is never asked for: the threshold is out of reach.
func (m *machine) Snapshot() (raft.FSMSnapshot, error) { return nil, errNoSnapshots }

// Restore is never called: snapshots carry no bytes.
func (m *machine) Restore(r io.ReadCloser) error {
	r.Close()
	return errNoSnapshots
}
