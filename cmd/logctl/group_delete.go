package main

import (
	"context"
	"errors"
	"strings"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// deletedGroup is an element of the JSON of "group delete".
type deletedGroup struct {
	Name    string `json:"name"`
	Deleted bool   `json:"deleted"`
	Error   string `json:"error,omitempty"`
}

type groupDelete struct {
	*app
	yes, dryRun bool
}

func newGroupDelete(a *app) *cobra.Command {
	g := &groupDelete{app: a}
	c := &cobra.Command{
		Use:     "delete GROUP…",
		Aliases: []string{"rm"},
		Short:   "Delete groups and the offsets they committed",
		Long: "Delete groups and the offsets they committed. Members must be stopped first. On a terminal\n" +
			"you are asked; elsewhere --yes is required.",
		Example:           "  logctl group delete auditors\n  logctl group delete auditors billing --yes",
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeGroups,
		RunE: func(c *cobra.Command, names []string) error {
			return g.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return g.run(ctx, adm, names)
			})
		},
	}
	c.Flags().BoolVarP(&g.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&g.dryRun, "dry-run", false, "see that the groups are there, but delete nothing")
	return c
}

func (g *groupDelete) run(ctx context.Context, adm *kadm.Client, names []string) error {
	groups, err := g.groups(ctx, adm, names)
	if err != nil {
		return err
	}
	results := []deletedGroup{}
	for _, d := range groups {
		results = append(results, deletedGroup{Name: d.Name})
	}
	if g.dryRun {
		return g.report(results)
	}
	what := "groups "
	if len(names) == 1 {
		what = "group "
	}
	if err := g.confirm(ctx, g.yes, "Delete "+what+strings.Join(names, ", ")); err != nil {
		return err
	}
	answers, err := adm.DeleteGroups(ctx, names...)
	if err != nil {
		return g.explain(err, "delete groups")
	}
	var failures []*failure
	for i := range results {
		r := &results[i]
		a := answers[r.Name]
		if r.Deleted = a.Err == nil; r.Deleted {
			continue
		}
		f := refused("group %q was not deleted: %s", r.Name, reason(a.Err, a.ErrMessage))
		if errors.Is(a.Err, kerr.NonEmptyGroup) {
			f = refused("group %q was not deleted: it is not empty; stop its members first (logctl group members %s shows them)", r.Name, r.Name)
		}
		failures, r.Error = append(failures, f), f.message
	}
	if len(failures) < len(results) || g.format != render.AsTable {
		if err := g.report(results); err != nil {
			return err
		}
	}
	return firstOf(failures)
}

func (g *groupDelete) report(results []deletedGroup) error {
	table := render.NewTable("GROUP", "RESULT")
	for _, r := range results {
		switch {
		case r.Deleted:
			table.Row(r.Name, "deleted")
		case r.Error == "":
			table.Row(r.Name, "would be deleted")
		}
	}
	return g.print(results, table)
}
