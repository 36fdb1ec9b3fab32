package cluster

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/hashicorp/raft"
)

// ProducerIDBlock is how many producer ids a broker takes at a time, as Kafka does.
const ProducerIDBlock = 1000

// Change makes one decision: decide sees the current image and returns records, which are
// appended as one entry, committed and applied together. It returns the image that holds them;
// watchers have seen it by then. Decisions are made one at a time, so decide may rely on what it
// sees, and may be called again where the image moved on. An error of decide is returned as it
// is and changes nothing; no records mean that there is nothing to change.
//
// Errors: decide's, the context's (the change may still be made), ErrNotController, ErrTooLarge,
// ErrClosed, ErrFailed.
func (m *Metadata) Change(ctx context.Context, decide func(*Image) ([]Record, error)) (*Image, error) {
	select {
	case m.slot <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-m.closing:
		return nil, ErrClosed
	}
	for {
		i, p, err := m.decide(ctx, decide)
		if err != nil || p == nil {
			<-m.slot
			return i, err
		}
		select {
		case <-p.done:
		case <-ctx.Done():
			go func() { // the next decision must see the outcome of this one
				<-p.done
				<-m.slot
			}()
			return nil, fmt.Errorf("the outcome of the change is unknown: %w", ctx.Err())
		}
		if i, err := p.wait(); !errors.Is(err, errStale) {
			<-m.slot
			return i, err
		}
	}
}

// decide makes a decision and proposes it; the proposal is nil where nothing is to change.
func (m *Metadata) decide(ctx context.Context, decide func(*Image) ([]Record, error)) (*Image, *proposal, error) {
	if err := m.waitLeading(ctx); err != nil {
		return nil, nil, err
	}
	i := m.Image()
	records, err := decide(i)
	if err != nil {
		return nil, nil, err
	}
	if len(records) == 0 {
		return i, nil, nil
	}
	// A record that does not apply would stop every node once it is committed.
	if _, err := i.Apply(records...); err != nil {
		return nil, nil, err
	}
	return i, m.propose(i, records), nil
}

// waitLeading waits for the end of a takeover.
func (m *Metadata) waitLeading(ctx context.Context) error {
	for {
		role, turned := m.state()
		if err := m.Err(); err != nil {
			return err
		}
		if m.raft.State() != raft.Leader { // known sooner than the role, which follows it
			return m.notController()
		}
		if role == leading {
			return nil
		}
		if err := m.waitTurn(ctx, turned); err != nil {
			return err
		}
	}
}

func (m *Metadata) notController() error {
	select {
	case <-m.closing:
		return ErrClosed
	default:
	}
	node, _ := m.Leader()
	return &NotControllerError{Leader: node}
}

// proposal is an entry on its way.
type proposal struct {
	done  chan struct{}
	image *Image
	err   error
}

func (p *proposal) wait() (*Image, error) {
	<-p.done
	return p.image, p.err
}

// propose appends records that were decided on an image.
func (m *Metadata) propose(i *Image, records []Record) *proposal {
	p := &proposal{done: make(chan struct{})}
	data := encodeCommand(i.index, records)
	if len(data) > maxCommandBytes {
		p.err = fmt.Errorf("%w: %d bytes, %d are allowed", ErrTooLarge, len(data), maxCommandBytes)
		close(p.done)
		return p
	}
	f := m.raft.Apply(data, 0)
	go func() {
		defer close(p.done)
		p.image, p.err = m.outcome(f)
	}()
	return p
}

// outcome waits for an entry.
func (m *Metadata) outcome(f raft.ApplyFuture) (*Image, error) {
	if err := m.translate(m.wait(f)); err != nil {
		return nil, err
	}
	m.transport.committed(f.Index())
	switch r := f.Response().(type) {
	case *Image:
		return r, nil
	case error:
		return nil, r
	default:
		return nil, fmt.Errorf("unexpected answer %T", r)
	}
}

// translate makes errors of Raft's those of this package.
func (m *Metadata) translate(err error) error {
	switch {
	case errors.Is(err, raft.ErrNotLeader), errors.Is(err, raft.ErrLeadershipLost), errors.Is(err, raft.ErrLeadershipTransferInProgress):
		return m.notController()
	case errors.Is(err, raft.ErrRaftShutdown):
		if err := m.Err(); err != nil {
			return err
		}
		return ErrClosed
	}
	return err
}

// AllocateProducerIDs hands out n producer ids, first to first+n-1, which nobody gets again: the
// block is committed before it is known. A broker takes ProducerIDBlock at a time. Errors:
// Change's, ErrInvalidRequest.
func (m *Metadata) AllocateProducerIDs(ctx context.Context, n int64) (first int64, err error) {
	_, err = m.Change(ctx, func(i *Image) ([]Record, error) {
		first = i.NextProducerID()
		if n <= 0 || n > math.MaxInt64-first {
			return nil, refuse(ErrInvalidRequest, "Cannot allocate %d producer ids from %d.", n, first)
		}
		return []Record{ProducerIDsRecord{Next: first + n}}, nil
	})
	return first, err
}
