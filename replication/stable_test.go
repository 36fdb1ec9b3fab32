package replication

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

func openStable(t *testing.T, path string) *StableStore {
	t.Helper()
	s, err := OpenStableStore(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func TestStableValuesSurviveAndGroupsAreApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openStable(t, path)
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			g := s.Group(fmt.Sprint("g", i))
			if err := g.SetUint64([]byte(keyTerm), uint64(i+1)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if err := s.RemoveGroup("g1"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	s = openStable(t, path)
	for i := range 200 {
		term, err := s.Group(fmt.Sprint("g", i)).GetUint64([]byte(keyTerm))
		if i == 1 && (err == nil || err.Error() != "not found") {
			t.Errorf("removed group: %d, %v", term, err)
		}
		if i != 1 && (err != nil || term != uint64(i+1)) {
			t.Errorf("group %d: term %d, %v", i, term, err)
		}
	}
}

func TestVoteBecomesDurableWithItsTerm(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s := openStable(t, path)
	g := s.Group("g")
	g.SetUint64([]byte(keyVoteTerm), 1)
	if err := g.Set([]byte(keyVoteCandidate), []byte("a")); err != nil {
		t.Fatal(err)
	}
	g.SetUint64([]byte(keyVoteTerm), 2) // and the process dies here
	s.Close()
	g = openStable(t, path).Group("g")
	if term, err := g.GetUint64([]byte(keyVoteTerm)); err != nil || term != 1 {
		t.Errorf("vote's term %d without a vote, %v", term, err)
	}
	if who, err := g.Get([]byte(keyVoteCandidate)); err != nil || string(who) != "a" {
		t.Errorf("vote for %s, %v", who, err)
	}
}

func TestUnchangedValueIsNotWritten(t *testing.T) {
	s := openStable(t, filepath.Join(t.TempDir(), "raft.db"))
	g := s.Group("g")
	if err := g.SetUint64([]byte(keyTerm), 4); err != nil {
		t.Fatal(err)
	}
	before := s.db.Stats()
	if err := g.SetUint64([]byte(keyTerm), 4); err != nil {
		t.Fatal(err)
	}
	after := s.db.Stats()
	if wrote := after.Sub(&before).TxStats; wrote.GetWrite() != 0 {
		t.Errorf("%d writes", wrote.GetWrite())
	}
}

func TestTermWaitsForTheDiskUntilItsInstanceStops(t *testing.T) {
	s := openStable(t, filepath.Join(t.TempDir(), "raft.db"))
	g := s.Group("g")
	s.db.Close() // every transaction fails from now on
	done := make(chan error, 1)
	go func() { done <- g.SetUint64([]byte(keyTerm), 4) }()
	select {
	case err := <-done:
		t.Fatalf("returned %v: Raft would go on without its term", err)
	case <-time.After(30 * time.Millisecond):
	}
	g.stop()
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("keeps waiting after the stop")
	}
}

func TestAStoreOfANewerVersionIsRefusedByName(t *testing.T) {
	path := filepath.Join(t.TempDir(), "raft.db")
	s, err := OpenStableStore(path)
	if err != nil {
		t.Fatal(err)
	}
	err = s.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(stableBucket).Put(formatKey, []byte("2")) })
	if err := errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	_, err = OpenStableStore(path)
	if err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), `format "2", this version reads 1`) {
		t.Errorf("%v", err)
	}
}
