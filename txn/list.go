package txn

import (
	"regexp"
	"slices"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// ListTransactions answers versions 0-2: the ids of the partitions that this node leads, filtered by
// state, producer id, the transaction's age (KIP-994) and a pattern for the id (KIP-1152). While one
// of them is loading the answer is COORDINATOR_LOAD_IN_PROGRESS.
func (c *Coordinator) ListTransactions(req *kmsg.ListTransactionsRequest, resp *kmsg.ListTransactionsResponse) {
	f := filter{producers: req.ProducerIDFilters, olderMs: -1, nowMs: c.nowMs()}
	if req.Version >= 1 {
		f.olderMs = req.DurationFilterMillis
	}
	resp.UnknownStateFilters, resp.TransactionStates = []string{}, []kmsg.ListTransactionsResponseTransactionState{}
	for _, name := range req.StateFilters {
		if state, ok := stateNamed(name); ok {
			f.states = append(f.states, state)
		} else {
			resp.UnknownStateFilters = append(resp.UnknownStateFilters, name)
		}
	}
	f.byState = len(req.StateFilters) > 0
	if p := req.TransactionalIDPattern; req.Version >= 2 && p != nil && *p != "" {
		var err error
		if f.pattern, err = regexp.Compile(`^(?:` + *p + `)$`); err != nil {
			resp.ErrorCode = invalidRegularExpression
			return
		}
	}
	for _, s := range c.shards.All() {
		switch code := s.enter(); code {
		case none:
			for _, t := range s.image.all {
				if f.passes(t) {
					r := kmsg.NewListTransactionsResponseTransactionState()
					r.TransactionalID, r.ProducerID, r.TransactionState = t.id, t.producerID, t.state.String()
					resp.TransactionStates = append(resp.TransactionStates, r)
				}
			}
			s.mu.Unlock()
		case coordinatorLoadInProgress:
			resp.ErrorCode, resp.TransactionStates = code, []kmsg.ListTransactionsResponseTransactionState{}
			return
		}
	}
}

// filter is what a ListTransactions asks for.
type filter struct {
	byState   bool
	states    []State
	producers []int64
	olderMs   int64 // -1: any age
	nowMs     int64
	pattern   *regexp.Regexp // nil: any id
}

func (f *filter) passes(t *transaction) bool {
	switch {
	case len(f.producers) > 0 && !slices.Contains(f.producers, t.producerID),
		f.byState && !slices.Contains(f.states, t.state),
		f.olderMs >= 0 && f.nowMs-t.startMs <= f.olderMs,
		f.pattern != nil && !f.pattern.MatchString(t.id):
		return false
	}
	return true
}

// States is how many ids of the partitions that this node leads are in each state, and how many
// decisions wait for the log.
func (c *Coordinator) States() (states map[State]int, waiting int) {
	states = map[State]int{}
	for _, s := range c.shards.All() {
		if s.enter() != none {
			continue
		}
		for _, t := range s.image.all {
			states[t.state]++
		}
		waiting += len(s.queue) + len(s.inFlight)
		s.mu.Unlock()
	}
	return states, waiting
}
