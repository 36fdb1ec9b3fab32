package main

import (
	"context"
	"strings"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newGroupMembers(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "members GROUP",
		Short:             "Show a group's members and what each reads",
		Example:           "  logctl group members auditors\n  logctl group members auditors -o json",
		Args:              arguments(1, 1),
		ValidArgsFunction: a.completeGroups,
		RunE: func(c *cobra.Command, names []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				groups, err := a.groups(ctx, adm, names)
				if err != nil || len(groups) == 0 {
					return err
				}
				return a.print(groups[0].Members, memberTable(groups[0].Members))
			})
		},
	}
}

func memberTable(members []groupMember) *render.Table {
	table := render.NewTable("MEMBER", "CLIENT", "HOST", "READS~")
	for _, m := range members {
		name := m.ID
		if m.InstanceID != nil {
			name = *m.InstanceID + " (" + m.ID + ")"
		}
		var reads []string
		for _, t := range m.Assigned {
			reads = append(reads, t.Topic+":"+join(t.Partitions))
		}
		table.Row(name, m.ClientID, m.Host, orDash(strings.Join(reads, " ")))
	}
	return table
}
