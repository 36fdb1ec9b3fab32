package peers

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Handler answers a call of a service from another node. The payload is its own. An *Error
// reaches the caller with its code, any other error with its text.
type Handler func(ctx context.Context, from int32, payload []byte) ([]byte, error)

// serviceState is the service by which published state travels.
const serviceState = 0

// services holds what other nodes may call.
type services struct {
	mu     sync.RWMutex
	handle map[byte]Handler
	bulk   map[byte]BulkHandler
}

// Handle sets who answers a service, from 1 to 255; before Start.
func (p *Peers) Handle(service byte, h Handler) {
	p.services.mu.Lock()
	defer p.services.mu.Unlock()
	if p.services.handle == nil {
		p.services.handle = map[byte]Handler{}
	}
	p.services.handle[service] = h
}

// Ask calls a service of another node and waits for its answer, until the context ends; without
// a deadline as long as one of Raft's requests. It waits a little for a connection, and never
// sends twice. A call of this node's own service is a call of its handler. Errors: ErrUnreachable
// (not sent), ErrInterrupted (may have been done), *Error from the other node, and the context's.
func (p *Peers) Ask(ctx context.Context, to int32, service byte, payload []byte) ([]byte, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, p.timing.Request)
		defer cancel()
	}
	if to == p.config.Node {
		return p.handle(ctx, to, service, payload)
	}
	l, err := p.target(to).await(ctx, p.timing.Retry)
	if err != nil {
		return nil, err
	}
	answer, err := l.ask(ctx, service, payload)
	if err != nil {
		return nil, failed(to, err)
	}
	return answer, nil
}

func (l *link) ask(ctx context.Context, service byte, payload []byte) ([]byte, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(l.peers.timing.Request)
	}
	c, err := l.reserve(ctx, len(payload)+256, deadline)
	if err != nil {
		return nil, err
	}
	left := max(time.Until(deadline), time.Millisecond)
	c.head = append(appendUint(beginFrame(c.head, kindCall), c.id), service)
	c.head = appendUint(c.head, uint64(left/time.Millisecond))
	f := &c.frame
	f.pieces = append(f.pieces, c.head)
	if len(payload) > 0 {
		f.pieces = append(f.pieces, payload)
	}
	if err := l.complete(f); err != nil {
		l.claim(c.id)
		return nil, err
	}
	body, err := l.exchange(ctx, c)
	if err != nil {
		return nil, err
	}
	defer l.release(c)
	d := decoder{b: body}
	if err := d.failure(); err != nil {
		return nil, err
	}
	return d.rest(), nil
}

// call starts the handler of a call.
func (in *inbound) call(body []byte) error {
	d := decoder{b: body}
	id, service, left := d.uint(), d.byte(), d.uint()
	if d.bad {
		return errFormat
	}
	payload := d.rest()
	if !in.admit(len(body)) {
		return errWindow
	}
	in.mu.Lock()
	busy := in.calls >= maxCalls
	if !busy {
		in.calls++
	}
	in.mu.Unlock()
	if busy {
		in.free(len(body))
		in.link.pushShort(appendFailure(appendUint(newFrame(kindAnswer, 64), id), errTooManyCalls))
		return nil
	}
	timeout := time.Duration(min(left, 1<<31)) * time.Millisecond
	in.link.done.Go(func() {
		in.link.answerCall(id, service, timeout, payload)
		in.free(len(body))
		in.mu.Lock()
		in.calls--
		in.mu.Unlock()
	})
	return nil
}

var errTooManyCalls = &Error{Code: CodeBusy, Text: "the node has too many calls to answer"}

// answerCall runs in a goroutine of its own.
func (l *link) answerCall(id uint64, service byte, timeout time.Duration, payload []byte) {
	ctx, cancel := context.WithTimeout(l.ctx, timeout)
	defer cancel()
	answer, err := l.handle(ctx, service, payload)
	b := appendUint(newFrame(kindAnswer, 16+len(answer)), id)
	if err == nil && len(answer)+32 > l.peers.limits.Frame {
		err = fmt.Errorf("answer of %d bytes: %w", len(answer), errTooLarge)
	}
	if err != nil {
		b = appendFailure(b, err)
	} else {
		b = append(append(b, 0), answer...)
	}
	l.pushAnswer(b)
}

func (l *link) handle(ctx context.Context, service byte, payload []byte) ([]byte, error) {
	if service == serviceState {
		return nil, l.takeState(payload)
	}
	return l.peers.handle(ctx, l.peer.node, service, payload)
}

func (p *Peers) handle(ctx context.Context, from int32, service byte, payload []byte) ([]byte, error) {
	p.services.mu.RLock()
	h := p.services.handle[service]
	p.services.mu.RUnlock()
	if h == nil {
		return nil, &Error{CodeNoService, fmt.Sprintf("node %d has no service %d", p.config.Node, service)}
	}
	return h(ctx, from, payload)
}
