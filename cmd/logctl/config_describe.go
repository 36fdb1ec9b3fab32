package main

import (
	"context"
	"slices"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// describedSetting is an element of the JSON of "config describe".
type describedSetting struct {
	Resource      string  `json:"resource"`
	Name          string  `json:"name"`
	Value         *string `json:"value"`  // null: unset, or secret
	Source        string  `json:"source"` // topic, group, broker, cluster, start (a flag, variable or file), default
	Type          string  `json:"type"`
	ReadOnly      bool    `json:"read_only"` // it is set where the broker is started
	Sensitive     bool    `json:"sensitive"`
	Documentation string  `json:"documentation,omitempty"`
}

type configDescribe struct {
	*app
	set, docs bool
}

func newConfigDescribe(a *app) *cobra.Command {
	d := &configDescribe{app: a}
	c := &cobra.Command{
		Use:   "describe RESOURCE… [KEY…]",
		Short: "Show settings, and where each value comes from",
		Long: `Show all settings of resources, or those with the given names, and where each value comes from:
the topic, group or broker itself, the cluster (set for all brokers), the start of the broker (flag,
variable or file), or the default.

` + resourceSyntax,
		Example: `  logctl config describe topic/orders
  logctl config describe topic/orders retention.ms --docs
  logctl config describe broker/1 --set -o json`,
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeResources,
		RunE: func(c *cobra.Command, args []string) error {
			return d.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				names, keys := splitResources(args)
				return d.run(ctx, cl, names, keys)
			})
		},
	}
	c.Flags().BoolVar(&d.set, "set", false, "only what is set somewhere, not the defaults")
	c.Flags().BoolVar(&d.docs, "docs", false, "say what each setting does")
	return c
}

func (d *configDescribe) run(ctx context.Context, cl *kgo.Client, names, keys []string) error {
	if len(names) == 0 {
		_, err := parseResource(keys[0])
		return err
	}
	resources, err := d.resources(ctx, d.admin(cl), names)
	if err != nil {
		return err
	}
	all, err := d.settingsOf(ctx, cl, resources)
	if err != nil {
		return err
	}
	results := []describedSetting{}
	var parts []render.Part
	for i, r := range resources {
		shown, err := d.chosen(r, all[i], keys)
		if err != nil {
			return err
		}
		parts = append(parts, d.part(r, shown, len(resources) > 1))
		for _, s := range shown {
			out := describedSetting{
				Resource: r.String(), Name: s.name, Value: s.value, Source: sourceName(s.source),
				Type: typeName(s), ReadOnly: s.readOnly, Sensitive: s.sensitive,
			}
			if d.docs {
				out.Documentation = s.doc
			}
			results = append(results, out)
		}
	}
	return d.print(results, parts...)
}

// chosen are the settings that keys name, or all.
func (d *configDescribe) chosen(r resource, all []setting, keys []string) ([]setting, error) {
	for _, k := range keys {
		if !slices.ContainsFunc(all, func(s setting) bool { return s.name == k }) {
			names := make([]string, len(all))
			for i, s := range all {
				names[i] = s.name
			}
			return nil, usage("%s has no setting %q%s", r, k, didYouMean(k, names))
		}
	}
	var out []setting
	for _, s := range all {
		if (len(keys) == 0 || slices.Contains(keys, s.name)) && (!d.set || sourceName(s.source) != "default") {
			out = append(out, s)
		}
	}
	return out, nil
}

func (d *configDescribe) part(r resource, shown []setting, named bool) render.Part {
	headings := []string{"SETTING", "VALUE~", "SOURCE", ""}
	if named {
		headings = append([]string{"RESOURCE"}, headings...)
	}
	if d.docs {
		headings[len(headings)-1] = "WHAT IT DOES~"
		headings[len(headings)-3] = "VALUE"
	}
	table := render.NewTable(headings...)
	for _, s := range shown {
		style := render.Style("")
		if sourceName(s.source) == "default" {
			style = render.Faint
		}
		last := ""
		if s.readOnly {
			last = "set at the start"
		}
		if d.docs {
			last = s.doc
		}
		cells := []any{s.name, render.Styled(style, s.valueText()), sourceName(s.source), render.Styled(render.Faint, last)}
		if named {
			cells = append([]any{r}, cells...)
		}
		table.Row(cells...)
	}
	return table
}

func typeName(s setting) string {
	names := []string{"unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password"}
	if int(s.kind) < len(names) && s.kind >= 0 {
		return names[s.kind]
	}
	return names[0]
}
