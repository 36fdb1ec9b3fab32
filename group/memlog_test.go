package group

import (
	"bytes"
	"errors"
	"sync"

	"quorumlog/record"
)

// errOutcomeUnknown is a failure of a batch that is committed nevertheless.
var errOutcomeUnknown = errors.New("outcome unknown")

// memLog is a log in memory. It commits at once unless held.
type memLog struct {
	mu      sync.Mutex
	batches []record.Batch
	next    int64
	held    bool              // Append waits for release
	waiting []*memPending     // appended while held
	fail    func(n int) error // asked for the n-th append
	appends int
}

type memPending struct {
	log    *memLog
	batch  record.Batch
	done   chan struct{}
	err    error
	offset int64
}

func (p *memPending) Done() <-chan struct{} { return p.done }
func (p *memPending) Err() error            { return p.err }
func (p *memPending) Offset() int64         { return p.offset }

func (l *memLog) Append(b record.Batch) Pending {
	l.mu.Lock()
	defer l.mu.Unlock()
	p := &memPending{log: l, batch: b, done: make(chan struct{})}
	if l.held {
		l.waiting = append(l.waiting, p)
		return p
	}
	l.settle(p)
	return p
}

func (l *memLog) settle(p *memPending) {
	l.appends++
	if l.fail != nil {
		p.err = l.fail(l.appends)
	}
	if p.err == nil || errors.Is(p.err, errOutcomeUnknown) {
		p.offset = l.next
		b := record.Batch(bytes.Clone(p.batch))
		b.SetBaseOffset(l.next)
		l.next = b.NextOffset()
		l.batches = append(l.batches, b)
	}
	close(p.done)
}

func (l *memLog) hold() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = true
}

// release settles what was held, and everything from now on.
func (l *memLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.held = false
	for _, p := range l.waiting {
		l.settle(p)
	}
	l.waiting = nil
}

func (l *memLog) Replay(from int64, yield func(record.Batch) bool) error {
	l.mu.Lock()
	bs := l.batches
	l.mu.Unlock()
	for _, b := range bs {
		if b.BaseOffset() >= from && !yield(b) {
			break
		}
	}
	return nil
}

func (l *memLog) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for _, b := range l.batches {
		n += len(b)
	}
	return n
}

// testTopics are a few topics of three partitions; ids are made from names.
type testTopics map[string]int32

var someTopics = testTopics{"orders": 3, "payments": 3, "audit": 3}

func testID(name string) (id TopicID) { copy(id[:], "id of "+name); return id }

func (t testTopics) Topic(name string) (TopicID, int32, bool) {
	n, ok := t[name]
	if !ok {
		return TopicID{}, 0, false
	}
	return testID(name), n, true
}

func (t testTopics) TopicByID(id TopicID) (string, int32, bool) {
	for name, n := range t {
		if testID(name) == id {
			return name, n, true
		}
	}
	return "", 0, false
}

func (t testTopics) OffsetsPartitions() int32 { return 1 }
