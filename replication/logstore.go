package replication

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/hashicorp/raft"

	"quorumlog/log"
	"quorumlog/record"
)

// logStore is a raft.LogStore whose entries are the batches of a log.Log. Raft calls StoreLogs
// and DeleteRange from its main goroutine, in log order, on leader and follower alike: that is
// where offsets are assigned.
type logStore struct {
	log *log.Log
	// current reports whether a proposal's mark belongs to the leadership of this term.
	current func(mark []byte, term uint64) bool
	// writing is told of every proposal before it is written; nil for nobody.
	writing func(index uint64, data []byte)
	// failed is told of every write that did not succeed.
	failed func(error)
	// applied returns the index up to which nothing may ever be removed.
	applied func() uint64
	// hold makes it durable, before the first entry is acknowledged, that there are any.
	hold func(term uint64)
	// ships reports whether this replica leads and can send segment files; nil for no.
	ships func() bool
	tail  int64         // bytes
	fed   func() uint64 // the last entry of who is fed behind the tail; see feeding

	durable *durability
	// leads reports whether Raft, whose main goroutine asks, leads.
	leads func() bool

	entries []log.Entry // scratch of StoreLogs
}

// FirstIndex is the first entry held, 0 while there is none.
func (s *logStore) FirstIndex() (uint64, error) {
	if first := s.log.FirstIndex(); first <= s.log.LastIndex() {
		return first, nil
	}
	return 0, nil
}

// LastIndex is the last entry held, 0 while there is none.
func (s *logStore) LastIndex() (uint64, error) {
	if last := s.log.LastIndex(); last >= s.log.FirstIndex() {
		return last, nil
	}
	return 0, nil
}

// GetLog reads one entry. A batch is not read: Data stays nil, because Raft itself looks at no
// more than the term. The state machine finds the batch in the log, and the transport loads it
// when it sends it, each for as long as it holds the file.
//
// To a leader's Raft the log begins with its tail: a follower that needs more gets the segment
// files. The tail is so long that a follower which merely lags is not taken for one.
func (s *logStore) GetLog(index uint64, out *raft.Log) error {
	if s.compacted(index) && s.leads() || s.ships != nil && index < s.fed() && index+1 < s.log.TailIndex(s.tail) && index < s.applied() && s.ships() {
		return raft.ErrLogNotFound
	}
	e, release, err := s.log.Entry(index)
	switch {
	case errors.Is(err, log.ErrNotFound):
		return raft.ErrLogNotFound
	case errors.Is(err, log.ErrCorrupt):
		return s.getDamaged(index, out, err)
	case err != nil:
		return err
	}
	*out = raft.Log{Index: e.Index, Term: e.Term, Type: raftType(e.Kind)}
	if e.Kind != log.KindData && e.Kind != log.KindRemoved {
		out.Data = bytes.Clone(e.Data)
	}
	release()
	return nil
}

// compacted reports whether an entry is not what it was, so that no follower may get it by itself.
// The last one of a compacted segment counts as there: Raft asks for the term of the entry before
// those that it sends, and where it wants to send that one, compaction has left all that matters.
func (s *logStore) compacted(index uint64) bool { return index+1 < s.log.Dense() }

// getDamaged answers for an entry that cannot be read, of which the index knows the term. Raft
// would panic over an error; so the state machine fails on it, and the replica stops.
func (s *logStore) getDamaged(index uint64, out *raft.Log, cause error) error {
	s.failed(cause)
	term, err := s.log.Term(index)
	if err != nil {
		return cause
	}
	*out = raft.Log{Index: index, Term: term, Type: raft.LogCommand}
	return nil
}

// load fills in the data that GetLog left out. The data is the mapped file: it is valid until
// release. ErrNotFound is returned when the entry has been replaced meanwhile.
func (s *logStore) load(l *raft.Log) (release func(), err error) {
	e, release, err := s.log.Entry(l.Index)
	if errors.Is(err, log.ErrCorrupt) {
		s.failed(err)
	}
	if err != nil {
		return nil, err
	}
	if e.Term != l.Term || e.Kind != log.KindData || s.compacted(l.Index) {
		release()
		return nil, fmt.Errorf("entry %d of term %d: %w", l.Index, l.Term, log.ErrNotFound)
	}
	l.Data = e.Data
	return release, nil
}

// verify looks for damage in loaded entries.
func verify(entries []*raft.Log) error {
	for _, l := range entries {
		if l.Type == raft.LogCommand && len(l.Data) > maxCommandSize && !record.Batch(l.Data).ValidCRC() {
			return fmt.Errorf("entry %d fails its checksum: %w", l.Index, log.ErrCorrupt)
		}
	}
	return nil
}

// StoreLog stores one entry.
func (s *logStore) StoreLog(l *raft.Log) error { return s.StoreLogs([]*raft.Log{l}) }

// StoreLogs appends entries and returns when they are durable, or, of a leader's batches, on the
// way to be. It keeps nothing of them: those that came from a leader are in memory that is used again.
func (s *logStore) StoreLogs(logs []*raft.Log) error {
	err := s.store(logs)
	if err != nil {
		s.failed(err)
	}
	return err
}

func (s *logStore) store(logs []*raft.Log) error {
	defer func() { clear(s.entries) }()
	s.entries = s.entries[:0]
	later := s.leads()
	for _, l := range logs {
		s.voidStale(l)
		kind, err := kindOf(l)
		if err != nil {
			return err
		}
		later = later && kind == log.KindData
		if s.writing != nil && len(l.Extensions) > 0 && len(l.Data) > 0 {
			s.writing(l.Index, l.Data)
		}
		s.entries = append(s.entries, log.Entry{Index: l.Index, Term: l.Term, Kind: kind, Data: l.Data})
	}
	before := s.log.LastIndex()
	if err := s.log.Append(s.entries); err != nil {
		if !errors.Is(err, log.ErrFailed) && s.log.LastIndex() > before {
			// The first of several runs is in: take it back, so that the tail is exactly as it was.
			if e := s.truncate(before + 1); e != nil {
				return e
			}
		}
		return err
	}
	if later && before > 0 {
		s.durable.begin()
		return nil
	}
	if err := s.durable.reach(s.log.LastIndex()); err != nil {
		return err
	}
	if before == 0 && s.hold != nil {
		s.hold(logs[len(logs)-1].Term)
	}
	return nil
}

func (s *logStore) truncate(from uint64) error {
	return s.durable.truncate(func() error { return s.log.TruncateSuffix(from) })
}

// voidStale turns a proposal that outlived its leadership into a no-op. Raft's queue may hold
// one while the node loses and regains the lead: its predecessors were refused, and its
// proposer has been told that it failed.
func (s *logStore) voidStale(l *raft.Log) {
	if len(l.Extensions) == 0 || s.current(l.Extensions, l.Term) {
		return
	}
	l.Type, l.Data, l.Extensions = raft.LogNoop, nil, nil
}

// DeleteRange removes a suffix that a new leader overwrites. Truncation at the front is the
// log's own: see Partition.Retain.
func (s *logStore) DeleteRange(from, to uint64) error {
	err := s.deleteRange(from, to)
	if err != nil {
		s.failed(err)
	}
	return err
}

func (s *logStore) deleteRange(from, to uint64) error {
	if applied := s.applied(); from <= applied {
		return fmt.Errorf("asked to delete entries %d to %d, but %d is committed: %w", from, to, applied, log.ErrMismatch)
	}
	if to < s.log.LastIndex() {
		return fmt.Errorf("asked to delete entries %d to %d of a log that ends at %d: %w", from, to, s.log.LastIndex(), log.ErrMismatch)
	}
	return s.truncate(from)
}

// errBadCRC never comes from a client: see record.Validate.
var errBadCRC = errors.New("batch from the leader has a bad CRC")

// kindOf also checks what came over the network: a batch that has an offset is a leader's.
func kindOf(l *raft.Log) (log.Kind, error) {
	switch l.Type {
	case raft.LogCommand:
		if len(l.Data) <= maxCommandSize {
			return log.KindCommand, nil
		}
		if b := record.Batch(l.Data); b.BaseOffset() >= 0 && !b.ValidCRC() {
			return 0, fmt.Errorf("entry %d: %w", l.Index, errBadCRC)
		}
		return log.KindData, nil
	case raft.LogNoop:
		return log.KindNoop, nil
	case raft.LogBarrier:
		return log.KindBarrier, nil
	case raft.LogConfiguration:
		return log.KindConfiguration, nil
	}
	return 0, fmt.Errorf("raft entry %d of unknown type %d", l.Index, l.Type)
}

func raftType(k log.Kind) raft.LogType {
	switch k {
	case log.KindNoop, log.KindRemoved:
		return raft.LogNoop
	case log.KindBarrier:
		return raft.LogBarrier
	case log.KindConfiguration:
		return raft.LogConfiguration
	default:
		return raft.LogCommand
	}
}
