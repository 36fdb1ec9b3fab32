package main

import (
	"context"
	"errors"
	"slices"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// runningMove is an element of the JSON of "partition reassign --status" and "--cancel".
type runningMove struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Replicas  []int32 `json:"replicas"` // those of before and after together
	Adding    []int32 `json:"adding"`
	Removing  []int32 `json:"removing"`
	Cancelled bool    `json:"cancelled,omitempty"`
	Error     string  `json:"error,omitempty"`
}

func (r *partitionReassign) running(ctx context.Context, adm *kadm.Client, topics []string) ([]runningMove, error) {
	found, err := r.reassignments(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	results := make([]runningMove, len(found))
	for i, f := range found {
		results[i] = runningMove{Topic: f.Topic, Partition: f.Partition, Replicas: list(f.Replicas), Adding: list(f.AddingReplicas), Removing: list(f.RemovingReplicas)}
	}
	if len(results) == 0 {
		r.note("Nothing is being moved.")
	}
	return results, nil
}

func (r *partitionReassign) showRunning(ctx context.Context, adm *kadm.Client, topics []string) error {
	results, err := r.running(ctx, adm, topics)
	if err != nil {
		return err
	}
	return r.reportRunning(results)
}

func (r *partitionReassign) reportRunning(results []runningMove) error {
	if len(results) == 0 {
		return r.print(results)
	}
	table := render.NewTable("TOPIC~", "PARTITION>", "NOW ON", "ADDING", "REMOVING", "RESULT")
	for _, m := range results {
		result := any("moving")
		switch {
		case m.Cancelled:
			result = "cancelled"
		case m.Error != "":
			result = render.Styled(render.Bad, "not cancelled")
		}
		stay := slices.DeleteFunc(slices.Clone(m.Replicas), func(id int32) bool { return slices.Contains(m.Adding, id) })
		table.Row(m.Topic, m.Partition, join(stay), join(m.Adding), join(m.Removing), result)
	}
	return r.print(results, table)
}

// cancelRunning takes moves back. One that is done meanwhile stays done.
func (r *partitionReassign) cancelRunning(ctx context.Context, adm *kadm.Client, topics []string) error {
	results, err := r.running(ctx, adm, topics)
	if err != nil {
		return err
	}
	if len(results) == 0 || r.dryRun {
		return r.reportRunning(results)
	}
	if err := r.confirm(ctx, r.yes, "Stop moving "+render.Plural(int64(len(results)), "partition")); err != nil {
		return err
	}
	var req kadm.AlterPartitionAssignmentsReq
	for _, m := range results {
		req.CancelAssign(m.Topic, m.Partition)
	}
	answers, err := adm.AlterPartitionAssignments(ctx, req)
	if err != nil {
		return r.explain(err, "cancel")
	}
	var failures []*failure
	for i := range results {
		m := &results[i]
		answer := answers[m.Topic][m.Partition]
		if m.Cancelled = answer.Err == nil; m.Cancelled {
			continue
		}
		f := refused("%s-%d is not cancelled: %s", m.Topic, m.Partition, reason(answer.Err, answer.ErrMessage))
		if errors.Is(answer.Err, kerr.NoReassignmentInProgress) {
			f = refused("%s-%d is not cancelled: it was moved meanwhile", m.Topic, m.Partition)
		}
		failures, m.Error = append(failures, f), f.message
	}
	return errors.Join(r.reportRunning(results), firstOf(failures))
}

// reassignments lists what moves now, of topics or of all.
func (a *app) reassignments(ctx context.Context, adm *kadm.Client, names []string) ([]kadm.ListPartitionReassignmentsResponse, error) {
	partitions, err := a.namedPartitions(ctx, adm, names)
	if err != nil {
		return nil, err
	}
	running, err := adm.ListPartitionReassignments(ctx, setOf(partitions))
	if err != nil {
		return nil, a.explain(err, "list what is being moved")
	}
	return running.Sorted(), nil
}

// settled refuses to plan with partitions that move already: their replicas are those of before
// and after together.
func (m *mover) settled(ctx context.Context, adm *kadm.Client, partitions []kadm.PartitionDetail) error {
	running, err := adm.ListPartitionReassignments(ctx, setOf(partitions))
	if err != nil {
		return m.explain(err, "list what is being moved")
	}
	if n := len(running.Sorted()); n > 0 {
		return refused("%s being moved already; see logctl partition reassign --status, wait, or stop it with --cancel", isAre(n))
	}
	return nil
}
