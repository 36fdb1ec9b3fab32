package main

import (
	"context"

	"quorumlog/cmd/logctl/internal/position"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// planGroup takes from the plan what the group has read already.
func (s *consume) planGroup(ctx context.Context, adm *kadm.Client, plan *readPlan) error {
	committed, err := s.offsets(ctx, adm, s.group)
	if err != nil {
		return err
	}
	for id, stop := range plan.stops {
		o, ok := committed.Lookup(id.topic, id.partition)
		if !ok || o.Err != nil || o.At < 0 {
			continue
		}
		delete(plan.starts[id.topic], id.partition)
		delete(plan.left, id)
		if o.At < stop || plan.endless {
			plan.left[id] = true
		}
	}
	// Nobody has been assigned anything yet; the first assignment says which of these remain.
	plan.assigned = len(plan.left) == 0
	return nil
}

// groupOptions makes a consumer join the group. Where it has committed nothing, reading begins at
// the plan's starts.
func (p *readPlan) groupOptions(group string) []kgo.Opt {
	return []kgo.Opt{
		kgo.ConsumerGroup(group),
		kgo.ConsumeTopics(p.topics...),
		kgo.ConsumeResetOffset(p.resetOffset()),
		kgo.AutoCommitMarks(),
		kgo.BlockRebalanceOnPoll(),
		kgo.AdjustFetchOffsetsFn(p.adjust),
		kgo.OnPartitionsAssigned(p.onAssigned),
		kgo.OnPartitionsLost(func(context.Context, *kgo.Client, map[string][]int32) {}),
	}
}

func (p *readPlan) resetOffset() kgo.Offset {
	if p.noneYet.Kind == position.End {
		return kgo.NewOffset().AtEnd()
	}
	return kgo.NewOffset().AtStart()
}

// adjust gives partitions without a commit the start that the plan has for them.
func (p *readPlan) adjust(_ context.Context, fetched map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for topic, partitions := range fetched {
		for n := range partitions {
			if start, ok := p.starts[topic][n]; ok && partitions[n].EpochOffset().Offset < 0 {
				partitions[n] = start
			}
		}
	}
	return fetched, nil
}

// onAssigned drops from the plan what other members read.
func (p *readPlan) onAssigned(_ context.Context, _ *kgo.Client, mine map[string][]int32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.assigned || len(mine) == 0 { // none yet: other members have to give some up first
		return
	}
	have := map[partitionID]bool{}
	for topic, partitions := range mine {
		for _, n := range partitions {
			have[partitionID{topic, n}] = true
		}
	}
	for id := range p.left {
		if !have[id] {
			delete(p.left, id)
		}
	}
	p.assigned = true
}
