package peers

import (
	"sync"
	"time"
)

// maxDeltas and maxDeltaBytes bound the changes that are kept for peers that are behind; whoever
// is further behind gets the whole state.
const (
	maxDeltas     = 4096
	maxDeltaBytes = 1 << 20
)

// state is what this node publishes, and who wants to know what others do.
type state struct {
	mu     sync.Mutex
	full   func() []byte
	deltas [][]byte // the last ones
	size   int      // of them
	first  uint64   // version of deltas[0]
	next   uint64   // version of the next one
	moved  chan struct{}
	on     func(from int32, full bool, payload []byte)
}

func (s *state) init() { s.first, s.next, s.moved = 1, 1, make(chan struct{}) }

// Publish tells all peers of a change of this node's state. A peer that connects, or that is far
// behind, gets full() instead, called later from another goroutine; it must hold at least what was
// published before. It may hold later changes too, which then come once more: a delta says what
// is now, not what is added. With a nil delta everybody gets the whole state. The delta must not
// be changed afterwards.
func (p *Peers) Publish(delta []byte, full func() []byte) {
	s := &p.state
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = full
	s.deltas, s.size = append(s.deltas, delta), s.size+len(delta)
	s.next++
	if delta == nil || len(s.deltas) > maxDeltas || s.size > maxDeltaBytes {
		clear(s.deltas)
		s.deltas, s.size, s.first = s.deltas[:0], 0, s.next
	}
	close(s.moved)
	s.moved = make(chan struct{})
}

// OnState sets who is told what other nodes publish, before Start: first a node's whole state,
// again with every connection, then its changes, in order. The calls for one node come one after
// the other; while one lasts, the node's next ones wait. The payload is the receiver's own.
func (p *Peers) OnState(f func(from int32, full bool, payload []byte)) { p.state.on = f }

// since encodes what a peer that has seen the versions before next has not; nil when there is
// nothing new, and then moved tells when there is.
func (s *state) since(next uint64) (message []byte, upTo uint64, moved <-chan struct{}) {
	s.mu.Lock()
	if s.full == nil || next == s.next {
		defer s.mu.Unlock()
		return nil, next, s.moved
	}
	upTo = s.next
	if next < s.first {
		full := s.full
		s.mu.Unlock()
		return append([]byte{1}, full()...), upTo, nil
	}
	defer s.mu.Unlock()
	message = []byte{0}
	for _, d := range s.deltas[next-s.first:] {
		message = appendBytes(message, d)
	}
	return message, upTo, nil
}

// pushState is the goroutine that keeps a peer up to date, one message at a time.
func (l *link) pushState() {
	next := uint64(0)
	for l.ctx.Err() == nil {
		message, upTo, moved := l.peers.state.since(next)
		if message == nil {
			select {
			case <-moved:
			case <-l.ctx.Done():
			}
			continue
		}
		_, err := l.ask(l.ctx, serviceState, message)
		if err == nil {
			next = upTo
			continue
		}
		next = 0
		if l.ctx.Err() == nil {
			l.peers.complaints.log(l.peers.log, "state", "state cannot be told", "node", l.peer.node, "bytes", len(message), "cause", err)
		}
		select {
		case <-time.After(l.peers.timing.Beat):
		case <-l.ctx.Done():
		}
	}
}

// takeState hands on what a peer published, unless a newer connection to it is in use.
func (l *link) takeState(message []byte) error {
	on := l.peers.state.on
	l.peer.stateMu.Lock()
	defer l.peer.stateMu.Unlock()
	if on == nil || l.peer.link.Load() != l {
		return nil
	}
	d := decoder{b: message}
	if d.bool() {
		on(l.peer.node, true, d.rest())
		return nil
	}
	for len(d.b) > 0 {
		delta := d.bytes()
		if d.bad {
			break
		}
		on(l.peer.node, false, delta)
	}
	return d.end()
}
