package main

import (
	"context"
	"slices"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// settingDifference is an element of the JSON of "config diff".
type settingDifference struct {
	Name   string           `json:"name"`
	Values []resourceValue  `json:"values"` // one for each resource, in their order
	Hidden *inheritedOrigin `json:"hidden"` // what the first hides, where only one was named
}

type resourceValue struct {
	Resource string  `json:"resource"`
	Value    *string `json:"value"` // null: unset, or secret
	Source   string  `json:"source"`
}

type inheritedOrigin struct {
	Value  *string `json:"value"`
	Source string  `json:"source"`
}

func newConfigDiff(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "diff RESOURCE [RESOURCE…]",
		Short: "Show how settings differ from what holds by default, or between resources",
		Long: `Show what is set for one resource, beside what would hold without that; or, of several resources of
the same kind, the settings whose values differ between them. Ids and addresses of brokers, which
differ by their nature, are shown like the rest.

` + resourceSyntax,
		Example: `  logctl config diff topic/orders
  logctl config diff topic/orders topic/returns
  logctl config diff broker/1 broker/2 broker/3 -o json`,
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeResources,
		RunE: func(c *cobra.Command, names []string) error {
			return a.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				return a.diffConfigs(ctx, cl, names)
			})
		},
	}
}

func (a *app) diffConfigs(ctx context.Context, cl *kgo.Client, names []string) error {
	resources, err := a.resources(ctx, a.admin(cl), names)
	if err != nil {
		return err
	}
	for _, r := range resources[1:] {
		if r.kind != resources[0].kind {
			return usage("%s and %s are of different kinds and have no settings in common", resources[0], r)
		}
	}
	all, err := a.settingsOf(ctx, cl, resources)
	if err != nil {
		return err
	}
	results := differences(resources, all)
	headings := []string{"SETTING"}
	for i, r := range resources {
		h := r.String()
		if i == 0 {
			h += "~"
		}
		headings = append(headings, h)
	}
	if len(resources) == 1 {
		headings = append(headings, "OTHERWISE", "FROM")
	}
	table := render.NewTable(headings...)
	for _, d := range results {
		cells := []any{d.Name}
		for _, v := range d.Values {
			cells = append(cells, orDash(deref(v.Value)))
		}
		if d.Hidden != nil {
			cells = append(cells, orDash(deref(d.Hidden.Value)), d.Hidden.Source)
		}
		table.Row(cells...)
	}
	if len(results) == 0 && a.format == render.AsTable {
		a.note("There is no difference.")
		return nil
	}
	return a.print(results, table)
}

// differences compares one resource with what it inherits, or several with each other.
func differences(resources []resource, all [][]setting) []settingDifference {
	var names []string
	for _, settings := range all {
		for _, s := range settings {
			names = append(names, s.name)
		}
	}
	slices.Sort(names)
	out := []settingDifference{}
	for _, name := range slices.Compact(names) {
		d := settingDifference{Name: name}
		differ := false
		for i, r := range resources {
			s := setting{source: kmsg.ConfigSourceDefaultConfig}
			if at := slices.IndexFunc(all[i], func(s setting) bool { return s.name == name }); at >= 0 {
				s = all[i][at]
			}
			d.Values = append(d.Values, resourceValue{r.String(), s.value, sourceName(s.source)})
			differ = differ || i > 0 && deref(s.value) != deref(d.Values[0].Value)
			if len(resources) == 1 && s.source == r.own() {
				v, source := s.inherited(r.own())
				d.Hidden, differ = &inheritedOrigin{v, sourceName(source)}, true
			}
		}
		if differ {
			out = append(out, d)
		}
	}
	return out
}
