package main

import (
	"context"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// listedGroup is an element of the JSON of "group list".
type listedGroup struct {
	Name        string `json:"name"`
	State       string `json:"state"`
	Type        string `json:"type"`
	Protocol    string `json:"protocol"`
	Coordinator int32  `json:"coordinator"`
	Members     int    `json:"members"`
}

func newGroupList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "list",
		Aliases: []string{"ls"},
		Short:   "List consumer groups with their states",
		Example: "  logctl group list\n  logctl group list -o json",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				groups, err := a.groups(ctx, adm, nil)
				if err != nil {
					return err
				}
				results := []listedGroup{}
				table := render.NewTable("GROUP~", "STATE", "TYPE", "PROTOCOL", "COORDINATOR>", "MEMBERS>")
				for _, g := range groups {
					results = append(results, listedGroup{g.Name, g.State, g.Type, g.Protocol, g.Coordinator, len(g.Members)})
					table.Row(g.Name, stateText(g.State), g.Type, orDash(g.Protocol), g.Coordinator, len(g.Members))
				}
				return a.print(results, table)
			})
		},
	}
}

func stateText(state string) any {
	switch state {
	case "Stable":
		return render.Styled(render.Good, state)
	case "Empty":
		return state
	}
	return render.Styled(render.Warn, state)
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
