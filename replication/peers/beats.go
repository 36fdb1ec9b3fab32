package peers

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"quorumlog/internal/bufpool"
)

// round collects Raft's heartbeats of all groups to one peer. The first one starts a timer; what
// has come by its end goes as one frame.
type round struct {
	peer *peer

	mu   sync.Mutex
	open *batch // nil while nothing waits
	free *batch // to be used again
}

// batch is one round's heartbeats. They wait for the one channel of the batch.
type batch struct {
	header  raft.RPCHeader
	beats   []beat
	err     error         // set before done closes; then the answers are in beats
	done    chan struct{} // closed with the answer
	sent    time.Time
	waiting int // who has not yet looked; guarded by the round's mu
}

// beat is one group's heartbeat and its answer.
type beat struct {
	group string
	term  uint64 // of the leader
	now   uint64 // of the follower
	alive bool   // answered at all
	lost  bool   // the follower does not follow: its term is another
}

// beat adds a heartbeat to the round and waits for its answer.
func (r *round) beat(ctx context.Context, group string, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) error {
	r.mu.Lock()
	b := r.open
	if b == nil {
		b = r.begin(q.RPCHeader)
	}
	i := len(b.beats)
	b.beats = append(b.beats, beat{group: group, term: q.Term})
	b.waiting++
	r.mu.Unlock()
	select {
	case <-b.done:
	case <-ctx.Done():
		r.left(b, false)
		return ctx.Err()
	}
	answer, err := b.beats[i], b.err
	r.left(b, true)
	switch {
	case err != nil:
		return err
	case !answer.alive:
		return errNotAlive
	}
	*a = raft.AppendEntriesResponse{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: answer.now, Success: !answer.lost}
	return nil
}

var errNotAlive = &Error{Code: CodeFailed, Text: "the group does not run there"}

// begin opens a batch; the caller holds mu.
func (r *round) begin(h raft.RPCHeader) *batch {
	b := r.free
	if b == nil {
		b = &batch{}
	}
	r.free = nil
	*b = batch{header: h, beats: b.beats[:0], done: make(chan struct{})}
	r.open = b
	time.AfterFunc(r.peer.peers.timing.Round, r.flush)
	return b
}

// left is told that one of those who waited is gone. A batch that all have left, with their
// answers, can be used again.
func (r *round) left(b *batch, answered bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !answered {
		b.waiting += 1 << 30 // the answer may still come: never again
	}
	if b.waiting--; b.waiting == 0 {
		r.free = b
	}
}

// flush sends the batch. While the peer is behind with answers it stays open for another round.
func (r *round) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.peer.link.Load()
	if l != nil && l.beatsBehind() {
		time.AfterFunc(r.peer.peers.timing.Round, r.flush)
		return
	}
	b := r.open
	r.open = nil
	if l == nil {
		b.fail(ErrUnreachable)
	} else {
		l.sendBeats(b)
	}
}

// fail ends a batch without answers.
func (b *batch) fail(err error) {
	b.err = err
	close(b.done)
}

// beatsBehind says whether as many batches wait for an answer as may. Whoever holds the round's
// mu is alone in sending batches, so that the answer holds until it has.
func (l *link) beatsBehind() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.closed && len(l.batches) >= maxBeats
}

func (l *link) sendBeats(b *batch) {
	frame, err := l.encodeBeats(b)
	if err != nil {
		b.fail(err)
		return
	}
	l.pushShort(frame)
}

// encodeBeats writes a batch and registers it for its answer.
func (l *link) encodeBeats(b *batch) ([]byte, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, ErrUnreachable
	}
	l.next++
	out := appendUint(newFrame(kindHeartbeats, 64+8*len(b.beats)), l.next)
	out = appendHeader(out, b.header)
	out = appendUint(out, uint64(len(b.beats)))
	for i := range b.beats {
		number, err := l.numberLocked(b.beats[i].group)
		if err != nil {
			return nil, err
		}
		out = appendUint(appendUint(out, number), b.beats[i].term)
	}
	b.sent = time.Now()
	l.batches[l.next] = b
	return out, nil
}

var errBeatsBehind = &Error{Code: CodeBusy, Text: "the peer is behind with answers to heartbeats"}

// expire fails batches that the peer does not answer though it lives.
func (l *link) expire(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, b := range l.batches {
		if now.Sub(b.sent) > l.peers.timing.Request {
			delete(l.batches, id)
			b.fail(errBeatsBehind)
		}
	}
}

// The answers to one heartbeat.
const (
	beatLost    = 0 // no such group, or it does not answer
	beatSame    = 1 // it follows
	beatAnother = 2 // it does not; its term follows
)

// alive takes the answer to a batch of heartbeats.
func (l *link) alive(body []byte) error {
	d := decoder{b: body}
	id := d.uint()
	l.mu.Lock()
	b := l.batches[id]
	delete(l.batches, id)
	l.mu.Unlock()
	if b == nil {
		return nil
	}
	for i := range b.beats {
		x := &b.beats[i]
		switch d.byte() {
		case beatLost:
		case beatSame:
			x.alive, x.now = true, x.term
		case beatAnother:
			x.alive, x.lost, x.now = true, true, d.uint()
		default:
			d.fail()
		}
	}
	err := d.end()
	if err != nil {
		b.fail(ErrInterrupted)
		return err
	}
	l.peers.progress.beaten(l.peer.node, b.beats, time.Now())
	close(b.done)
	return nil
}

// slowBeat bounds how long a group that takes no heartbeat now may hold up the others of a batch.
const slowBeat = 100 * time.Millisecond

// heartbeats answers a batch in a goroutine of its own: the first heartbeat of a new term is
// written to disk.
func (in *inbound) heartbeats(body []byte) error {
	in.mu.Lock()
	busy := in.beats >= maxBeats
	if !busy {
		in.beats++
	}
	in.mu.Unlock()
	if busy {
		return fmt.Errorf("%w: heartbeats before others were answered", errFormat)
	}
	lanes := in.lanes // grows only at its end
	in.link.done.Go(func() {
		answer, err := in.link.answerBeats(lanes, body)
		bufpool.Put(body)
		in.mu.Lock()
		in.beats-- // before the peer can count it as answered
		in.mu.Unlock()
		if err != nil {
			in.link.close(err)
			return
		}
		in.link.pushShort(answer)
	})
	return nil
}

func (l *link) answerBeats(lanes []*lane, body []byte) ([]byte, error) {
	d := decoder{b: body}
	id, header := d.uint(), d.header()
	header.ID, header.Addr = append([]byte(nil), header.ID...), append([]byte(nil), header.Addr...)
	n := d.count(2, maxNames)
	out := appendUint(newFrame(kindAlive, 16+n), id)
	requests := make([]raft.AppendEntriesRequest, n)
	for i := range requests {
		number, term := d.uint(), d.uint()
		if d.bad || number >= uint64(len(lanes)) {
			return nil, errFormat
		}
		requests[i] = raft.AppendEntriesRequest{RPCHeader: header, Term: term}
		response, err := l.peers.config.Transport.Deliver(l.ctx, lanes[number].group, &requests[i], slowBeat)
		r, _ := response.(*raft.AppendEntriesResponse)
		switch {
		case err != nil || r == nil:
			out = append(out, beatLost)
		case r.Success && r.Term == term:
			out = append(out, beatSame)
		default:
			out = appendUint(append(out, beatAnother), r.Term)
		}
	}
	return out, d.end()
}
