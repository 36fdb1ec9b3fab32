package txn

import (
	"context"
	"time"
)

// How long requests wait.
const (
	// commitTimeout bounds the wait for the log: COORDINATOR_NOT_AVAILABLE after it; the decision may
	// still be committed, and every request may be repeated.
	commitTimeout = 10 * time.Second
	// patience is how long a request waits for the markers of the id's last transaction, instead of
	// having its client come again.
	patience = 500 * time.Millisecond
)

// decision is a request's: what becomes of t, given a fresh producer id if it has asked for one.
type decision func(s *shard, t *transaction, fresh int64) (next *transaction, code int16)

// outcome is what became of a decision.
type outcome struct {
	t     *transaction // as it is now, nil for none
	code  int16
	ended <-chan struct{} // where code is CONCURRENT_TRANSACTIONS: closed when it pays to ask again
}

// run has a decision made and waits until what it changes is committed.
func (c *Coordinator) run(ctx context.Context, id string, d decision) (*transaction, int16) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	fresh := noID
	waited := time.NewTimer(patience)
	defer waited.Stop()
	for {
		o := c.once(ctx, id, d, fresh)
		switch o.code {
		case wantsProducerID:
			var err error
			if fresh, err = c.opts.ProducerID(ctx); err != nil {
				c.opts.Logger.Warn("no producer id", "err", err)
				return nil, coordinatorNotAvailable
			}
		case concurrentTransactions:
			select {
			case <-o.ended:
			case <-waited.C:
				return nil, o.code
			case <-ctx.Done():
				return nil, o.code
			}
		default:
			return o.t, o.code
		}
	}
}

// once has a decision made once.
func (c *Coordinator) once(ctx context.Context, id string, d decision, fresh int64) outcome {
	s, code := c.enter(id)
	if code != none {
		return outcome{code: code}
	}
	done := make(chan outcome, 1)
	s.submit(&op{
		id:     id,
		decide: func(t *transaction) (*transaction, int16) { return d(s, t, fresh) },
		done: func(t *transaction, code int16) {
			done <- outcome{t, code, s.ends[id]}
		},
	})
	s.mu.Unlock()
	select {
	case o := <-done:
		return o
	case <-ctx.Done():
		return outcome{code: coordinatorNotAvailable}
	}
}
