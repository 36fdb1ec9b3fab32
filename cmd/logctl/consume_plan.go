package main

import (
	"context"
	"sync"

	"quorumlog/cmd/logctl/internal/position"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// partitionID names a partition.
type partitionID struct {
	topic     string
	partition int32
}

// readPlan is where reading begins and ends, and how far it is.
type readPlan struct {
	topics []string
	starts map[string]map[int32]kgo.Offset

	mu       sync.Mutex
	stops    map[partitionID]int64 // the offset that is no longer read
	left     map[partitionID]bool  // where there is still something to read
	endless  bool                  // nothing stops it but the limit or Ctrl-C
	assigned bool                  // a group has told what this member reads; true without a group
	noneYet  position.Position     // where a group begins that has committed nothing
}

// plan looks up where to begin and end.
func (s *consume) plan(ctx context.Context, adm *kadm.Client, names []string) (*readPlan, error) {
	from, until, err := s.places()
	if err != nil {
		return nil, err
	}
	topics, err := s.topics(ctx, adm, names, false)
	if err != nil {
		return nil, err
	}
	all, err := s.readable(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	fromTimes, err := s.offsetsAt(ctx, adm, from, namesOf(topics))
	if err != nil {
		return nil, err
	}
	untilTimes, err := s.offsetsAt(ctx, adm, until, namesOf(topics))
	if err != nil {
		return nil, err
	}
	plan := &readPlan{
		topics: namesOf(topics), starts: map[string]map[int32]kgo.Offset{},
		stops: map[partitionID]int64{}, left: map[partitionID]bool{},
		endless: s.follow, assigned: s.group == "", noneYet: from,
	}
	for _, t := range topics {
		numbers, err := choosePartitions(t, s.partitions)
		if err != nil {
			return nil, err
		}
		for _, n := range numbers {
			b := all[t.Topic][n]
			if b.err != nil {
				return nil, refused("%s-%d cannot be read: %s", t.Topic, n, reason(b.err, ""))
			}
			plan.add(partitionID{t.Topic, n}, locate(from, b, fromTimes, t.Topic, n, b.start), locate(until, b, untilTimes, t.Topic, n, b.end))
		}
	}
	if s.group != "" {
		return plan, s.planGroup(ctx, adm, plan)
	}
	return plan, nil
}

// places parses --from and --until.
func (s *consume) places() (from, until position.Position, err error) {
	if from, err = s.position("from", s.from); err != nil {
		return from, until, err
	}
	if s.until != "" {
		until, err = s.position("until", s.until)
		return from, until, err
	}
	if from.Kind == position.End {
		s.follow = true // from the end there is nothing to read but what is to come
	}
	return from, position.Position{Kind: position.End}, nil
}

// readable is bounds with the end that a consumer sees: without --uncommitted it is where the
// oldest open transaction begins. It waits a while for partitions that have no leader.
func (s *consume) readable(ctx context.Context, adm *kadm.Client, topics []kadm.TopicDetail) (boundsMap, error) {
	all, err := patiently(ctx, s.app, func() (boundsMap, error) {
		m, err := s.bounds(ctx, adm, topics, false)
		return m, firstError(err, m.unsettled())
	})
	if all == nil || s.uncommitted {
		return all, err
	}
	stable, err := patiently(ctx, s.app, func() (kadm.ListedOffsets, error) {
		return adm.ListCommittedOffsets(ctx, namesOf(topics)...)
	})
	if err != nil && !ofSomePartitions(err) {
		return nil, s.explain(err, "list end offsets")
	}
	for topic, partitions := range all {
		for n, b := range partitions {
			if o, ok := stable.Lookup(topic, n); ok && o.Err == nil {
				b.end = min(b.end, max(o.Offset, b.start))
				partitions[n] = b
			}
		}
	}
	return all, nil
}

func (p *readPlan) add(id partitionID, start, stop int64) {
	p.stops[id] = stop
	if start >= stop && !p.endless {
		return
	}
	if p.starts[id.topic] == nil {
		p.starts[id.topic] = map[int32]kgo.Offset{}
	}
	p.starts[id.topic][id.partition] = kgo.NewOffset().At(start)
	p.left[id] = true
}

// total is how many offsets are to be read.
func (p *readPlan) total() int64 {
	n := int64(0)
	for id, stop := range p.stops {
		if start, ok := p.starts[id.topic][id.partition]; ok {
			n += max(0, stop-start.EpochOffset().Offset)
		}
	}
	return n
}

// finished reports whether everything up to the ends was read.
func (p *readPlan) finished() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.assigned && len(p.left) == 0
}

// wants takes note of how far reading is, and reports whether r is within the plan.
func (p *readPlan) wants(r *kgo.Record) bool {
	if p.endless {
		return true
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	id := partitionID{r.Topic, r.Partition}
	stop := p.stops[id]
	if r.Offset+1 >= stop {
		delete(p.left, id)
	}
	return r.Offset < stop
}
