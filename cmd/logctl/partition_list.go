package main

import (
	"context"
	"slices"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// listedPartition is an element of the JSON of "partition list".
type listedPartition struct {
	Topic       string  `json:"topic"`
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader"` // -1: none
	LeaderEpoch int32   `json:"leader_epoch"`
	Replicas    []int32 `json:"replicas"` // the first should lead
	ISR         []int32 `json:"isr"`
	Offline     []int32 `json:"offline"`
}

type partitionList struct {
	*app
	internal, under, leaderless bool
	on                          int32
}

func newPartitionList(a *app) *cobra.Command {
	l := &partitionList{app: a}
	c := &cobra.Command{
		Use:     "list [TOPIC|PATTERN…]",
		Aliases: []string{"ls"},
		Short:   "List partitions with their leaders and replicas",
		Long: "List partitions with their leaders and replicas; the first replica is the one that should\n" +
			"lead. With --under-replicated, --no-leader or --on, internal topics are listed too.",
		Example: `  logctl partition list orders
  logctl partition list --under-replicated
  logctl partition list --on 3 -o json`,
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return l.run(ctx, adm, names)
			})
		},
	}
	f := c.Flags()
	f.BoolVar(&l.internal, "internal", false, "list the broker's own topics too")
	f.BoolVar(&l.under, "under-replicated", false, "only those with fewer replicas in sync than they have")
	f.BoolVar(&l.leaderless, "no-leader", false, "only those without a leader")
	f.Int32Var(&l.on, "on", -1, "only those with a replica on this `NODE`")
	return c
}

func (l *partitionList) run(ctx context.Context, adm *kadm.Client, names []string) error {
	all, err := l.partitionsOf(ctx, adm, names, l.internal || l.under || l.leaderless || l.on >= 0)
	if err != nil {
		return err
	}
	results := []listedPartition{}
	table := render.NewTable("TOPIC~", "PARTITION>", "LEADER>", "EPOCH>", "REPLICAS", "ISR", "OFFLINE")
	for _, p := range all {
		if !l.wants(p) {
			continue
		}
		results = append(results, listedPartition{p.Topic, p.Partition, p.Leader, p.LeaderEpoch, list(p.Replicas), list(p.ISR), list(p.OfflineReplicas)})
		leader, offline := any(p.Leader), any("-")
		if p.Leader < 0 {
			leader = render.Styled(render.Bad, "none")
		}
		if len(p.OfflineReplicas) > 0 {
			offline = render.Styled(render.Bad, join(p.OfflineReplicas))
		}
		table.Row(p.Topic, p.Partition, leader, p.LeaderEpoch, join(p.Replicas), isrCell(p), offline)
	}
	return l.print(results, table)
}

func (l *partitionList) wants(p kadm.PartitionDetail) bool {
	if l.on >= 0 && !slices.Contains(p.Replicas, l.on) {
		return false
	}
	return !l.under && !l.leaderless || l.under && lagging(p) > 0 || l.leaderless && p.Leader < 0
}

func isrCell(p kadm.PartitionDetail) any {
	if lagging(p) > 0 {
		return render.Styled(render.Warn, join(p.ISR))
	}
	return join(p.ISR)
}

// list is ids, never nil, so that it is an array in JSON.
func list(ids []int32) []int32 {
	if ids == nil {
		return []int32{}
	}
	return ids
}
