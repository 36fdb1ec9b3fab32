package main

import (
	"context"
	"errors"
	"slices"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// electedLeader is an element of the JSON of "partition leaders".
type electedLeader struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Before    int32  `json:"before"` // -1: none
	After     int32  `json:"after"`  // the first replica
	Elected   bool   `json:"elected"`
	Error     string `json:"error,omitempty"`
}

type partitionLeaders struct {
	*app
	dryRun bool
}

func newPartitionLeaders(a *app) *cobra.Command {
	l := &partitionLeaders{app: a}
	c := &cobra.Command{
		Use:   "leaders [TOPIC[:PARTITION]…]",
		Short: "Give leadership back to the replicas that should have it",
		Long: "Make the first replica of each partition its leader again, as is wanted after a node was\n" +
			"down. Partitions that are led so already are left alone. Writers notice nothing but a\n" +
			"retry.",
		Example: `  logctl partition leaders --dry-run
  logctl partition leaders
  logctl partition leaders orders returns:3`,
		ValidArgsFunction: a.completePartitions,
		RunE: func(c *cobra.Command, args []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return l.run(ctx, adm, args)
			})
		},
	}
	c.Flags().Bool("preferred", true, "elect the first replica, which is what is done anyway")
	c.Flags().BoolVar(&l.dryRun, "dry-run", false, "show which leaders would change, but change nothing")
	return c
}

func (l *partitionLeaders) run(ctx context.Context, adm *kadm.Client, args []string) error {
	partitions, err := l.namedPartitions(ctx, adm, args)
	if err != nil {
		return err
	}
	partitions = slices.DeleteFunc(partitions, isPreferred)
	results := make([]electedLeader, len(partitions))
	for i, p := range partitions {
		results[i] = electedLeader{Topic: p.Topic, Partition: p.Partition, Before: p.Leader, After: p.Replicas[0]}
	}
	if len(results) == 0 {
		l.note("Every partition is led by its first replica.")
	}
	if len(results) == 0 || l.dryRun {
		return l.report(results)
	}
	answers, err := adm.ElectLeaders(ctx, kadm.ElectPreferredReplica, setOf(partitions))
	if err != nil {
		return l.explain(err, "elect leaders")
	}
	var failures []*failure
	for i := range results {
		r := &results[i]
		answer, ok := answers[r.Topic][r.Partition]
		if err := answer.Err; ok && (err == nil || errors.Is(err, kerr.ElectionNotNeeded)) {
			r.Elected = true
			continue
		}
		f := refused("%s-%d is not led by %d: %s", r.Topic, r.Partition, r.After, whyNot(answer, ok))
		failures, r.Error = append(failures, f), f.message
	}
	return errors.Join(l.report(results), firstOf(failures))
}

func whyNot(answer kadm.ElectLeadersResult, ok bool) string {
	switch {
	case !ok:
		return "the cluster did not answer for it"
	case errors.Is(answer.Err, kerr.PreferredLeaderNotAvailable):
		return "that broker is down or not in sync; repeat when it has caught up"
	}
	return reason(answer.Err, answer.ErrMessage)
}

func (l *partitionLeaders) report(results []electedLeader) error {
	table := render.NewTable("TOPIC~", "PARTITION>", "BEFORE>", "AFTER>", "RESULT")
	for _, r := range results {
		before, result := any(r.Before), any("would be elected")
		switch {
		case r.Elected:
			result = render.Styled(render.Good, "elected")
		case r.Error != "":
			result = render.Styled(render.Bad, "refused")
		}
		if r.Before < 0 {
			before = "none"
		}
		table.Row(r.Topic, r.Partition, before, r.After, result)
	}
	if len(results) == 0 {
		return l.print(results)
	}
	return l.print(results, table)
}
