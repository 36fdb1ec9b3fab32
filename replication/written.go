package replication

import (
	"sync"
	"sync/atomic"
)

// written answers those who wait no longer than for this leader's disk. Raft's main goroutine tells
// what it stores, durability how far the disk is; neither takes the partition's mu, so that the
// answers come from a goroutine of their own.
type written struct {
	asking atomic.Bool // somebody has asked since the partition was opened

	mu     sync.Mutex
	stored []storedBatch // that are not on disk yet
	idle   sync.WaitGroup
}

// storedBatch is a proposal's data and its Raft index.
type storedBatch struct {
	index uint64
	data  []byte
}

func (w *written) asked(a *Append) {
	if a.written != nil && !w.asking.Load() {
		w.asking.Store(true)
	}
}

// store notes a proposal that is about to be written.
func (w *written) store(index uint64, data []byte) {
	if !w.asking.Load() {
		return
	}
	w.mu.Lock()
	for n := len(w.stored); n > 0 && w.stored[n-1].index >= index; n-- {
		w.stored = w.stored[:n-1] // another takes its place
	}
	w.stored = append(w.stored, storedBatch{index, data})
	w.mu.Unlock()
}

// take returns what is on disk up to an index.
func (w *written) take(index uint64) []storedBatch {
	if !w.asking.Load() {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for n < len(w.stored) && w.stored[n].index <= index {
		n++
	}
	ready := w.stored[:n:n]
	if w.stored = w.stored[n:]; len(w.stored) == 0 {
		w.stored = nil
	}
	return ready
}

// onDurable is told, by whoever synced, how far the log is on disk.
func (p *Partition) onDurable(index uint64) {
	if ready := p.written.take(index); len(ready) > 0 {
		p.written.idle.Go(func() { p.answerWritten(ready) })
	}
}

// answerWritten answers proposals whose batches are on this node's disk. Those that have left the
// queue meanwhile have their answer.
func (p *Partition) answerWritten(ready []storedBatch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	queue := p.proposals.queue
	for _, s := range ready {
		for i, a := range queue {
			if &a.data[0] == &s.data[0] {
				a.tellWritten(p.resultOf(a), nil)
				queue = queue[i+1:]
				break
			}
		}
	}
}

// tellWritten answers who waits for Written, once; the partition's mu is held, or nobody else has
// the proposal any more.
func (a *Append) tellWritten(r AppendResult, err error) {
	if a.written == nil || a.written.Known() {
		return
	}
	a.written.result, a.written.err = r, err
	a.written.settle()
}
