package main

import (
	"context"
	"slices"

	"quorumlog/cmd/logctl/internal/placement"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type partitionMove struct {
	mover
	to []int32
}

func newPartitionMove(a *app) *cobra.Command {
	m := &partitionMove{mover: mover{app: a}}
	c := &cobra.Command{
		Use:   "move TOPIC:PARTITION…",
		Short: "Put partitions on the brokers that you name",
		Long: "Put partitions on the brokers that you name, of which the first should lead. Reading and\n" +
			"writing go on meanwhile. A different number of brokers changes how many replicas there are.\n" +
			"The plan is shown first; where nobody can be asked, --yes is required.\n" +
			"Ctrl-C ends the waiting alone; logctl partition reassign --status shows how far it is.",
		Example: `  logctl partition move orders:0 --to 1,2,3
  logctl partition move orders:0 orders:1 --to 2,3,1 --yes
  logctl partition move orders:0 --to 3,1,2 --dry-run`,
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completePartitions,
		RunE: func(c *cobra.Command, args []string) error {
			if err := m.check(args); err != nil {
				return err
			}
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return m.run(ctx, adm, args)
			})
		},
	}
	c.Flags().Int32SliceVar(&m.to, "to", nil, "the brokers to hold it, as `1,2,3`")
	m.addFlags(c)
	return c
}

func (m *partitionMove) check(args []string) error {
	if len(m.to) == 0 {
		return usage("--to is missing; say which brokers are to hold it, for example --to 1,2,3")
	}
	if sorted := slices.Sorted(slices.Values(m.to)); len(slices.Compact(sorted)) < len(m.to) {
		return usage("--to %s names a broker twice", join(m.to))
	}
	for _, arg := range args {
		if _, number, err := splitPartition(arg); err != nil || number < 0 {
			return usage("%q is not TOPIC:PARTITION", arg)
		}
	}
	return nil
}

func (m *partitionMove) run(ctx context.Context, adm *kadm.Client, args []string) error {
	if _, err := m.known(ctx, adm, m.to...); err != nil {
		return err
	}
	partitions, err := m.namedPartitions(ctx, adm, args)
	if err != nil {
		return err
	}
	if err := m.settled(ctx, adm, partitions); err != nil {
		return err
	}
	var moves []placement.Move
	for _, p := range partitions {
		if !slices.Equal(p.Replicas, m.to) {
			moves = append(moves, placement.Move{Topic: p.Topic, Number: p.Partition, From: p.Replicas, To: m.to})
		}
	}
	return m.carryOut(ctx, adm, partitions, moves)
}
