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
	ctx, cancel := context.WithTimeout(ctx, p.timing.Request)
	defer cancel()
	if entries == nil {
		return p.once(ctx, to, group, request, response, p.timing.Retry)
	}
	return p.append(ctx, to, group, entries, answer)
}

// append sends an AppendEntries, and again for a while after its connection was lost: entries
// that the other side has got already do no harm. While there is no connection it waits almost as
// long as a request may take: Raft waits twice as long after every failure, up to 10 s, and would
// be as late to notice that the other side is back. What would be no news is not sent.
func (p *Peers) append(ctx context.Context, to int32, group string, q *raft.AppendEntriesRequest, a *raft.AppendEntriesResponse) error {
	var lost time.Time
	patience := p.timing.Request - p.timing.Retry
	for {
		l, err := p.target(to).await(ctx, patience)
		if err != nil {
			return err
		}
		if p.progress.settled(l, group, q) {
			*a = raft.AppendEntriesResponse{RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax}, Term: q.Term, LastLog: q.PrevLogEntry, Success: true}
			return nil
		}
		err = l.request(ctx, group, q, a)
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

// once sends a request over the link that there is within some time.
func (p *Peers) once(ctx context.Context, to int32, group string, request, response any, patience time.Duration) error {
	l, err := p.target(to).await(ctx, patience)
	if err != nil {
		return err
	}
	return l.request(ctx, group, request, response)
}

// request sends one of Raft's requests and waits for the answer.
func (l *link) request(ctx context.Context, group string, request, response any) error {
	number, err := l.number(group)
	if err != nil {
		return err
	}
	id, c, err := l.reserve(ctx, requestSize(request))
	if err != nil {
		return interrupted(err)
	}
	b := appendUint(appendUint(newFrame(kindRequest, 128), id), number)
	head, pieces, err := appendRequest(b, request)
	if err == nil {
		err = l.fits(head, pieces)
	}
	if err != nil {
		l.withdraw(id)
		return err
	}
	body, err := l.exchange(ctx, id, c, &frame{pieces: pieces0(head, pieces)})
	if err != nil {
		return err
	}
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

// pieces0 completes a frame that is head alone, or pieces of which head's bytes are a part.
func pieces0(head []byte, pieces [][]byte) [][]byte {
	if pieces == nil {
		return [][]byte{seal(head, 0)}
	}
	size := 0
	for _, p := range pieces {
		size += len(p)
	}
	seal(pieces[0], size-len(pieces[0]))
	return pieces
}

// fits checks a frame against the bound on frames.
func (l *link) fits(head []byte, pieces [][]byte) error {
	size := len(head)
	if pieces != nil {
		size = 0
	}
	for _, p := range pieces {
		size += len(p)
	}
	if size-frameHead > l.peers.limits.Frame {
		return errTooLarge
	}
	return nil
}
