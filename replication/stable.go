// Package replication makes a partition out of a log.Log and a hashicorp/raft instance, and
// holds what the Raft groups of a node share: the transport, the store of terms and votes, and
// the tables of leaders.
package replication

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"quorumlog/internal/durable"
)

// StableStore keeps term and vote of every Raft group of a node in one bolt file. Writes of
// many groups share a transaction, so that a thousand elections cost a few syncs. What is on
// disk is also in memory: reads never touch the file.
type StableStore struct {
	db     *bbolt.DB
	logger atomic.Pointer[slog.Logger]

	mu      sync.Mutex
	values  map[string][]byte // durable, by group \x00 key
	writing map[string][]byte // of the running transaction; nil value = delete
	pending map[string][]byte // of the next one
	next    *stableRound
	running bool
	closed  bool
}

type stableRound struct {
	done chan struct{}
	err  error
}

var (
	stableBucket = []byte("raft")
	formatKey    = []byte("format")
)

const stableFormat = "1"

var errStableClosed = errors.New("stable store is closed")

// OpenStableStore opens or creates the file. It waits at most a second for another process.
func OpenStableStore(path string) (*StableStore, error) {
	db, err := bbolt.Open(path, 0o644, &bbolt.Options{
		Timeout: time.Second, NoFreelistSync: true, FreelistType: bbolt.FreelistMapType,
	})
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	s := &StableStore{db: db, values: map[string][]byte{}, pending: map[string][]byte{}}
	err = s.load()
	if err == nil {
		err = durable.Dir(filepath.Dir(path)) // a vote must not vanish with the file's name
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (s *StableStore) load() error {
	fresh := false
	err := s.db.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stableBucket)
		if b == nil {
			fresh = true
			return nil
		}
		if f := b.Get(formatKey); string(f) != stableFormat {
			return fmt.Errorf("format %q, this version reads %s", f, stableFormat)
		}
		return b.ForEach(func(k, v []byte) error {
			s.values[string(k)] = append([]byte(nil), v...)
			return nil
		})
	})
	if err != nil || !fresh {
		return err
	}
	return s.db.Update(func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucket(stableBucket)
		if err != nil {
			return err
		}
		return b.Put(formatKey, []byte(stableFormat))
	})
}

// set makes values durable; nil deletes one. Values that are there already cost nothing: Raft
// writes its term at every start. After an error none of them is there.
func (s *StableStore) set(writes map[string][]byte) error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errStableClosed
	}
	if s.unchanged(writes) {
		s.mu.Unlock()
		return nil
	}
	maps.Copy(s.pending, writes)
	if s.next == nil {
		s.next = &stableRound{done: make(chan struct{})}
	}
	r := s.next
	lead := !s.running
	s.running = true
	s.mu.Unlock()
	if lead {
		s.run()
	}
	<-r.done
	return r.err
}

func (s *StableStore) unchanged(writes map[string][]byte) bool {
	for k, v := range writes {
		_, next := s.pending[k]
		if _, now := s.writing[k]; now || next {
			return false
		}
		if old, ok := s.values[k]; !ok && v != nil || ok && (v == nil || string(old) != string(v)) {
			return false
		}
	}
	return true
}

// run commits one round and hands further ones to a goroutine.
func (s *StableStore) run() {
	s.mu.Lock()
	r, writes := s.next, s.pending
	s.next, s.pending, s.writing = nil, map[string][]byte{}, writes
	s.mu.Unlock()

	r.err = s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(stableBucket)
		for k, v := range writes {
			var err error
			if v == nil {
				err = b.Delete([]byte(k))
			} else {
				err = b.Put([]byte(k), v)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})

	s.mu.Lock()
	if r.err == nil {
		for k, v := range writes {
			if v == nil {
				delete(s.values, k)
			} else {
				s.values[k] = v
			}
		}
	}
	s.writing = nil
	more := s.next != nil
	s.running = more
	s.mu.Unlock()
	close(r.done)
	if more {
		go s.run()
	}
}

func (s *StableStore) get(key string) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.values[key]
}

// RemoveGroup forgets a group whose partition was deleted.
func (s *StableStore) RemoveGroup(group string) error {
	prefix := group + "\x00"
	writes := map[string][]byte{}
	s.mu.Lock()
	for k := range s.values {
		if strings.HasPrefix(k, prefix) {
			writes[k] = nil
		}
	}
	s.mu.Unlock()
	if len(writes) == 0 {
		return nil
	}
	return s.set(writes)
}

// Close waits for the running transaction and closes the file.
func (s *StableStore) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	return s.db.Close()
}

// Group returns the raft.StableStore of one group.
func (s *StableStore) Group(group string) *GroupStore {
	return &GroupStore{store: s, prefix: group + "\x00", stopped: make(chan struct{})}
}

// GroupStore is one group's share of a StableStore.
type GroupStore struct {
	store   *StableStore
	prefix  string
	once    sync.Once
	stopped chan struct{}

	mu       sync.Mutex
	voteTerm []byte // held back until the candidate comes: see Set
}

// Raft's keys for the vote: it writes the term first and the candidate second, in two calls. A
// crash between them would let a restarted voter grant the new term to the old candidate, so
// the first write waits for the second and both become durable at once.
const (
	keyTerm          = "CurrentTerm"
	keyVoteTerm      = "LastVoteTerm"
	keyVoteCandidate = "LastVoteCand"
)

// Set makes a value durable.
func (g *GroupStore) Set(key, val []byte) error {
	writes := map[string][]byte{g.prefix + string(key): append([]byte{}, val...)}
	if string(key) == keyVoteCandidate {
		g.mu.Lock()
		if g.voteTerm != nil {
			writes[g.prefix+keyVoteTerm] = g.voteTerm
			g.voteTerm = nil
		}
		g.mu.Unlock()
	}
	return g.store.set(writes)
}

// stop lets go of a Raft instance that waits for its term to become durable.
func (g *GroupStore) stop() { g.once.Do(func() { close(g.stopped) }) }

// The pauses between attempts to write a term.
const (
	firstTermPause = 10 * time.Millisecond
	lastTermPause  = time.Second
)

// insist makes values durable, however long the disk takes to recover: Raft panics when its
// term cannot be saved, and may do nothing before it is. When the instance is being stopped it
// gives up silently: nobody is answered any more.
func (g *GroupStore) insist(writes map[string][]byte) {
	for pause := firstTermPause; ; pause = min(2*pause, lastTermPause) {
		err := g.store.set(writes)
		if err == nil || errors.Is(err, errStableClosed) {
			return
		}
		if l := g.store.logger.Load(); l != nil {
			l.Error("raft state cannot be saved; the partition waits", "group", strings.TrimSuffix(g.prefix, "\x00"), "err", err)
		}
		select {
		case <-g.stopped:
			return
		case <-time.After(pause):
		}
	}
}

// SetUint64 makes a number durable; the vote's term only together with its candidate.
func (g *GroupStore) SetUint64(key []byte, val uint64) error {
	b := binary.BigEndian.AppendUint64(nil, val)
	writes := map[string][]byte{g.prefix + string(key): b}
	switch string(key) {
	case keyVoteTerm:
		g.mu.Lock()
		g.voteTerm = b
		g.mu.Unlock()
		return nil
	case keyTerm:
		g.insist(writes)
		return nil
	}
	return g.store.set(writes)
}

// errNotFound has the words that hashicorp/raft compares with.
var errNotFound = errors.New("not found")

// Get returns a value, or an error that reads "not found".
func (g *GroupStore) Get(key []byte) ([]byte, error) {
	v := g.store.get(g.prefix + string(key))
	if v == nil {
		return nil, errNotFound
	}
	return v, nil
}

// GetUint64 returns a number, or an error that reads "not found".
func (g *GroupStore) GetUint64(key []byte) (uint64, error) {
	v := g.store.get(g.prefix + string(key))
	if len(v) != 8 {
		return 0, errNotFound
	}
	return binary.BigEndian.Uint64(v), nil
}
