package peers

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/raft"
)

// Call carries one of Raft's requests to a node and waits for the answer: see replication.Route.
// Heartbeats are sent together with those of other groups. Other requests wait for the connection
// to come back, and an AppendEntries whose connection was lost is sent again. Errors:
// ErrUnreachable, ErrInterrupted, *Error from the other node, and those of the context.
func (p *Peers) Call(ctx context.Context, to int32, group string, request, response any) error {
	entries, _ := request.(*raft.AppendEntriesRequest)
	answer, _ := response.(*raft.AppendEntriesResponse)
	if entries != nil && answer == nil {
		return errMessage
	}
	if entries != nil && isHeartbeat(entries) {
		return p.target(to).beats.beat(ctx, group, entries, answer)
	}
	deadline := time.Now().Add(p.timing.Request)
	if entries == nil {
		return p.once(ctx, to, group, request, response, deadline)
	}
	return p.append(ctx, to, group, entries, answer, deadline)
}

// append sends an AppendEntries, and again for a while after its connection was lost: entries
// that the other side has got already do no harm. While there is no connection it waits almost as
// long as a request may take: Raft waits twice as long after every failure, up to 10 s, and would
// be as late to notice that the other side is back. What would be no news is not sent.
func (p *Peers) append(ctx context.Context, to int32, group string, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse, deadline time.Time) error {
	var lost time.Time
	patience := p.timing.Request - p.timing.Retry
	for {
		l, err := p.target(to).await(ctx, min(patience, time.Until(deadline)))
		if err != nil {
			return err
		}
		if p.progress.settled(l, group, q) {
			*a = raft.AppendEntriesResponse{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: q.Term, LastLog: q.PrevLogEntry, Success: true}
			return nil
		}
		err = l.request(ctx, group, q, a, deadline)
		if err == nil {
			p.progress.answered(l, group, q, a)
			return nil
		}
		if !errors.Is(err, ErrInterrupted) || ctx.Err() != nil {
			return err
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		if patience = p.timing.Retry - time.Since(lost); patience <= 0 {
			return err
		}
	}
}

// once sends a request over the link that there is within a moment.
func (p *Peers) once(ctx context.Context, to int32, group string, request, response any, deadline time.Time) error {
	l, err := p.target(to).await(ctx, p.timing.Retry)
	if err != nil {
		return err
	}
	return l.request(ctx, group, request, response, deadline)
}

// request sends one of Raft's requests and waits for the answer.
func (l *link) request(ctx context.Context, group string, request, response any, deadline time.Time) error {
	number, err := l.number(group)
	if err != nil {
		return err
	}
	c, err := l.reserve(ctx, requestSize(request), deadline)
	if err != nil {
		return interrupted(err)
	}
	f := &c.frame
	c.head = appendUint(appendUint(beginFrame(c.head, kindRequest), c.id), number)
	c.head, f.pieces, err = appendRequest(c.head, f.pieces, request)
	if err == nil {
		err = l.complete(f)
	}
	if err != nil {
		l.claim(c.id)
		return err
	}
	body, err := l.exchange(ctx, c)
	if err != nil {
		return err
	}
	defer l.release(c)
	d := decoder{b: body}
	if err := d.failure(); err != nil {
		return err
	}
	return decodeResponse(d.rest(), response)
}

// interrupted makes the end of a link that was there a moment ago something to try again.
func interrupted(err error) error {
	if errors.Is(err, ErrUnreachable) {
		return ErrInterrupted
	}
	return err
}

// requestSize is about how much memory a request takes until it is answered.
func requestSize(request any) int {
	size := 256
	if r, ok := request.(*raft.AppendEntriesRequest); ok {
		for _, e := range r.Entries {
			size += len(e.Data) + 16
		}
	}
	return size
}

// complete writes a frame's length into its first piece, and checks it against the bound on frames.
func (l *link) complete(f *frame) error {
	size := 0
	for _, p := range f.pieces {
		size += len(p)
	}
	if size-frameHead > l.peers.limits.Frame {
		return errTooLarge
	}
	seal(f.pieces[0], size-len(f.pieces[0]))
	return nil
}
