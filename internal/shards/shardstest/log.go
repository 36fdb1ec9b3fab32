// Package shardstest has a coordinator's log in memory, for tests.
package shardstest

import (
	"bytes"
	"errors"
	"slices"
	"sync"
	"time"

	"quorumlog/internal/shards"
	"quorumlog/record"
)

// ErrOutcomeUnknown is a failure of a batch that is committed nevertheless.
var ErrOutcomeUnknown = errors.New("outcome unknown")

// Log is a log in memory. It commits at once, unless held. Its fields are for who has it alone.
type Log struct {
	Batches []record.Batch
	Next    int64             // its end
	Fail    func(n int) error // asked for the n-th append; nil: none fails

	mu      sync.Mutex
	held    bool
	waiting []*Pending // appended while held
	appends int
}

// Pending is a batch on its way.
type Pending struct {
	batch  record.Batch
	done   chan struct{}
	err    error
	offset int64
}

// Later returns a batch that is committed after a while.
func Later(offset int64, delay time.Duration) *Pending {
	p := &Pending{done: make(chan struct{}), offset: offset}
	if delay == 0 {
		close(p.done)
	} else {
		time.AfterFunc(delay, func() { close(p.done) })
	}
	return p
}

// Done implements shards.Pending.
func (p *Pending) Done() <-chan struct{} { return p.done }

// Err implements shards.Pending.
func (p *Pending) Err() error { return p.err }

// Offset implements shards.Pending.
func (p *Pending) Offset() int64 { return p.offset }

// Append implements shards.Log.
func (l *Log) Append(b record.Batch) shards.Pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &Pending{batch: b, done: make(chan struct{})}
	if l.held {
		l.waiting = append(l.waiting, p)
		return p
	}
	l.settle(p)
	return p
}

func (l *Log) settle(p *Pending) {
	l.appends++
	if l.Fail != nil {
		p.err = l.Fail(l.appends)
	}
	if p.err == nil || errors.Is(p.err, ErrOutcomeUnknown) {
		p.offset = l.Next
		b := record.Batch(bytes.Clone(p.batch))
		b.SetBaseOffset(l.Next)
		l.Next = b.NextOffset()
		l.Batches = append(l.Batches, b)
	}
	close(p.done)
}

// Hold lets batches wait until Release.
func (l *Log) Hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// Release commits what was held, or lets it be lost with its leader, and commits everything from now on.
func (l *Log) Release(keep bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	for _, p := range l.waiting {
		if keep {
			l.settle(p)
		} else {
			p.err = shards.ErrNotLeader
			close(p.done)
		}
	}
	l.waiting = nil
}

// Replay implements shards.Log.
func (l *Log) Replay(from int64, yield func(record.Batch) bool) error {
	l.mu.Lock()
	all := slices.Clone(l.Batches)
	l.mu.Unlock()
	for _, b := range all {
		if b.BaseOffset() >= from && !yield(b) {
			break
		}
	}
	return nil
}

// Size is the bytes of all batches.
func (l *Log) Size() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, b := range l.Batches {
		n += len(b)
	}
	return n
}
