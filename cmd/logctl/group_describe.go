package main

import (
	"context"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// describedGroup is an element of the JSON of "group describe".
type describedGroup struct {
	consumerGroup
	Offsets  []partitionLag `json:"offsets"`
	TotalLag int64          `json:"total_lag"`
}

func newGroupDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "describe GROUP…",
		Short:             "Show groups' states, members and offsets",
		Example:           "  logctl group describe auditors\n  logctl group describe auditors billing -o yaml",
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeGroups,
		RunE: func(c *cobra.Command, names []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return a.describeGroups(ctx, adm, names)
			})
		},
	}
}

func (a *app) describeGroups(ctx context.Context, adm *kadm.Client, names []string) error {
	groups, err := a.groups(ctx, adm, names)
	if err != nil {
		return err
	}
	lags, err := a.lags(ctx, adm, groups)
	if err != nil {
		return err
	}
	results := []describedGroup{}
	var parts []render.Part
	for i, g := range groups {
		d := describedGroup{g, lags[i].Partitions, lags[i].TotalLag}
		results = append(results, d)
		parts = append(parts, render.Fields{
			{Name: "group", Value: g.Name},
			{Name: "state", Value: stateText(g.State)},
			{Name: "type", Value: g.Type},
			{Name: "protocol", Value: orDash(g.Protocol)},
			{Name: "coordinator", Value: g.Coordinator},
			{Name: "lag", Value: render.Count(d.TotalLag)},
		})
		if len(g.Members) > 0 {
			parts = append(parts, memberTable(g.Members))
		}
		if len(d.Offsets) > 0 {
			parts = append(parts, lagTable(lags[i:i+1], false))
		}
	}
	return a.print(results, parts...)
}
