package broker

import (
	"context"
	"sync"
	"time"
)

// What is created takes the processors from all else, the heartbeats by which the others know that
// this node is there among it: these tell how much may be under way at a time.
const (
	paceLeast = 8
	paceMost  = 128
	// paceLate is how late a heartbeat may be; the others suspect a node after several times as long.
	paceLate = 50 * time.Millisecond
)

// pace bounds how many replicas are created at a time. The bound grows while the node's heartbeats are
// on time, and is halved when one is late. One goroutine begins, any may end.
type pace struct {
	late func() time.Duration

	mu    sync.Mutex
	room  int
	busy  int
	cut   time.Time // when the bound was last halved
	ended chan struct{}
}

func newPace(late func() time.Duration) *pace {
	return &pace{late: late, room: paceLeast, ended: make(chan struct{}, 1)}
}

// begin waits until there is room for one more; false where ctx ends before.
func (p *pace) begin(ctx context.Context) bool {
	for !p.take() {
		select {
		case <-p.ended:
		case <-ctx.Done():
			return false
		}
	}
	return ctx.Err() == nil
}

func (p *pace) take() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.busy >= p.room {
		return false
	}
	p.busy++
	return true
}

// end gives the room back.
func (p *pace) end() {
	p.mu.Lock()
	p.busy--
	p.adjust(time.Now())
	p.mu.Unlock()
	select {
	case p.ended <- struct{}{}:
	default: // it will look anyway
	}
}

// adjust sets the bound; the caller holds mu.
func (p *pace) adjust(now time.Time) {
	switch {
	case p.late() <= paceLate:
		p.room = min(p.room+1, paceMost)
	case now.Sub(p.cut) > 2*paceLate: // what was halved has not had its effect before
		p.room, p.cut = max(p.room/2, paceLeast), now
	}
}

// late is how late this node's heartbeats are: what it does is behind by so much.
func (b *Broker) late() time.Duration { return b.peers.Late() }
