package main

import (
	"context"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alteredSetting is an element of the JSON of "config alter" and "config reset".
type alteredSetting struct {
	Resource string  `json:"resource"`
	Name     string  `json:"name"`
	Before   *string `json:"before"` // null: unset, or secret
	After    *string `json:"after"`
	Source   string  `json:"source"`  // of the value afterwards
	Altered  bool    `json:"altered"` // false: it was so before, with --dry-run, or see Error
	Error    string  `json:"error,omitempty"`
}

type configAlter struct {
	*app
	dryRun bool
	all    bool // reset: every setting that is the resource's own
}

func newConfigAlter(a *app) *cobra.Command {
	d := &configAlter{app: a}
	c := &cobra.Command{
		Use:   "alter RESOURCE… KEY=VALUE…",
		Short: "Change settings",
		Long: `Change settings of topics, brokers, groups, or of all brokers (cluster), and show the values before
and after. Names are checked before anything is changed; values are checked by the broker, and of one
resource either all are changed or none. They hold at once.

` + resourceSyntax,
		Example: `  logctl config alter topic/orders retention.ms=604800000 max.message.bytes=2000000
  logctl config alter 'topic/test-*' retention.ms=60000 --dry-run
  logctl config alter cluster log.retention.ms=604800000`,
		Args:              arguments(2, -1),
		ValidArgsFunction: a.completeResources,
		RunE: func(c *cobra.Command, args []string) error {
			names, pairs := splitResources(args)
			if len(names) == 0 {
				_, err := parseResource(args[0])
				return err
			}
			if len(pairs) == 0 {
				return usage("KEY=VALUE is missing; usage: %s", c.UseLine())
			}
			values, err := settingPairs(pairs)
			if err != nil {
				return err
			}
			return d.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				return d.alter(ctx, cl, names, values)
			})
		},
	}
	c.Flags().BoolVar(&d.dryRun, "dry-run", false, "let the broker check the values, but change nothing")
	return c
}

func newConfigReset(a *app) *cobra.Command {
	d := &configAlter{app: a}
	c := &cobra.Command{
		Use:   "reset RESOURCE… [KEY…]",
		Short: "Take settings back to what holds by default",
		Long: `Take back settings that were made for resources themselves, so that what holds for all brokers, or
the default, counts again. --all takes back every one.

` + resourceSyntax,
		Example: `  logctl config reset topic/orders retention.ms
  logctl config reset topic/orders --all --dry-run
  logctl config reset cluster log.retention.ms`,
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeResources,
		RunE: func(c *cobra.Command, args []string) error {
			names, keys := splitResources(args)
			switch {
			case len(names) == 0:
				_, err := parseResource(args[0])
				return err
			case len(keys) == 0 && !d.all:
				return usage("name the settings to reset, or add --all")
			case len(keys) > 0 && d.all:
				return usage("--all does not go with the names of settings")
			}
			values := map[string]*string{}
			for _, k := range keys {
				values[k] = nil
			}
			return d.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				return d.alter(ctx, cl, names, values)
			})
		},
	}
	c.Flags().BoolVar(&d.dryRun, "dry-run", false, "show what would change, but change nothing")
	c.Flags().BoolVar(&d.all, "all", false, "every setting that was made for the resource")
	return c
}

// settingPairs parses KEY=VALUE arguments.
func settingPairs(pairs []string) (map[string]*string, error) {
	out := map[string]*string{}
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, usage("%q is not KEY=VALUE", p)
		}
		if _, twice := out[k]; twice {
			return nil, usage("%s is given twice", k)
		}
		out[k] = &v
	}
	return out, nil
}

// alter sets values, and resets those that are nil, on every resource.
func (d *configAlter) alter(ctx context.Context, cl *kgo.Client, names []string, values map[string]*string) error {
	resources, err := d.resources(ctx, d.admin(cl), names)
	if err != nil {
		return err
	}
	before, err := d.settingsOf(ctx, cl, resources)
	if err != nil {
		return err
	}
	known, err := d.knownFor(ctx, cl, resources)
	if err != nil {
		return err
	}
	changes := make([]resourceChange, len(resources))
	for i, r := range resources {
		changes[i] = resourceChange{resource: r, values: values}
		if d.all {
			changes[i].values = ownSettings(r, before[i])
		}
		for _, k := range slices.Sorted(maps.Keys(changes[i].values)) {
			if err := settable(r, known[i], k); err != nil {
				return err
			}
		}
	}
	refusals, err := d.change(ctx, cl, changes, d.dryRun)
	if err != nil {
		return err
	}
	if !d.dryRun && len(refusals) == 0 {
		d.awaitSettings(ctx, cl, changes)
	}
	return d.report(changes, before, refusals)
}

// ownSettings are those that were made for the resource itself, all to be reset.
func ownSettings(r resource, all []setting) map[string]*string {
	out := map[string]*string{}
	for _, s := range all {
		if s.source == r.own() {
			out[s.name] = nil
		}
	}
	return out
}

// resourceChange is what is to change of one resource: a nil value resets.
type resourceChange struct {
	resource resource
	values   map[string]*string
}

// change sends changes, or with dryRun only has them checked, and returns what was refused.
func (a *app) change(ctx context.Context, cl *kgo.Client, changes []resourceChange, dryRun bool) (map[resource]string, error) {
	req := kmsg.NewPtrIncrementalAlterConfigsRequest()
	req.ValidateOnly = dryRun
	for _, c := range changes {
		in := kmsg.NewIncrementalAlterConfigsRequestResource()
		in.ResourceType, in.ResourceName = c.resource.kind, c.resource.name
		for _, k := range slices.Sorted(maps.Keys(c.values)) {
			out := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
			out.Name, out.Value = k, c.values[k]
			if out.Op = kmsg.IncrementalAlterConfigOpSet; out.Value == nil {
				out.Op = kmsg.IncrementalAlterConfigOpDelete
			}
			in.Configs = append(in.Configs, out)
		}
		if len(in.Configs) > 0 {
			req.Resources = append(req.Resources, in)
		}
	}
	refusals := map[resource]string{}
	if len(req.Resources) == 0 {
		return refusals, nil
	}
	for _, shard := range cl.RequestSharded(ctx, req) {
		if shard.Err != nil {
			return nil, a.explain(shard.Err, "change settings")
		}
		for _, r := range shard.Resp.(*kmsg.IncrementalAlterConfigsResponse).Resources {
			if r.ErrorCode != 0 {
				refusals[resource{r.ResourceType, r.ResourceName}] = refusal(r.ErrorCode, r.ErrorMessage)
			}
		}
	}
	return refusals, nil
}

// awaitSettings waits until every broker that answers tells of the changes, so that the next command finds
// them whomever it asks.
func (a *app) awaitSettings(ctx context.Context, cl *kgo.Client, changes []resourceChange) {
	if len(changes) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, appearLimit)
	defer cancel()
	brokers, err := a.admin(cl).ListBrokers(ctx)
	if err != nil {
		return
	}
	for ctx.Err() == nil {
		if !slices.ContainsFunc(brokers, func(b kadm.BrokerDetail) bool { return !tells(ctx, cl, b.NodeID, changes) }) {
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(retryStep / 2):
		}
	}
}

// tells reports whether a broker describes resources as they were changed.
func tells(ctx context.Context, cl *kgo.Client, broker int32, changes []resourceChange) bool {
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, c := range changes {
		if c.resource.kind == kmsg.ConfigResourceTypeBroker && c.resource.name != "" && c.resource.name != strconv.Itoa(int(broker)) {
			continue // only itself describes it
		}
		in := kmsg.NewDescribeConfigsRequestResource()
		in.ResourceType, in.ResourceName = c.resource.kind, c.resource.name
		req.Resources = append(req.Resources, in)
	}
	answer, err := cl.Broker(int(broker)).Request(ctx, req)
	if err != nil {
		return true // it is down, and nobody is sent to it
	}
	for _, r := range answer.(*kmsg.DescribeConfigsResponse).Resources {
		id := resource{r.ResourceType, r.ResourceName}
		i := slices.IndexFunc(changes, func(c resourceChange) bool { return c.resource == id })
		for _, s := range settingsIn(r) {
			want, changed := changes[i].values[s.name]
			if changed && (want != nil) != (s.source == id.own()) || changed && want != nil && !s.sensitive && deref(s.value) != *want {
				return false
			}
		}
	}
	return true
}

// refusal is an error of the broker in words.
func refusal(code int16, message *string) string {
	words := ""
	if message != nil {
		words = *message
	}
	return reason(kerr.ErrorForCode(code), words)
}

func (d *configAlter) report(changes []resourceChange, before [][]setting, refusals map[resource]string) error {
	results := []alteredSetting{}
	table := render.NewTable("RESOURCE", "SETTING", "BEFORE~", "AFTER", "SOURCE", "RESULT")
	var failures []*failure
	done := 0
	for i, c := range changes {
		why, bad := refusals[c.resource]
		if bad {
			failures = append(failures, refused("%s was not changed: %s", c.resource, why))
		}
		for _, k := range slices.Sorted(maps.Keys(c.values)) {
			out, result := d.outcome(c, k, before[i])
			if bad {
				out.Altered, out.Error, out.After = false, failures[len(failures)-1].message, out.Before
			} else {
				done++
				table.Row(out.Resource, out.Name, orDash(deref(out.Before)), orDash(deref(out.After)), out.Source, result)
			}
			results = append(results, out)
		}
	}
	if len(results) == 0 && d.format == render.AsTable {
		d.note("Nothing is set there that could be reset.")
		return nil
	}
	if done > 0 || d.format != render.AsTable {
		if err := d.print(results, table); err != nil {
			return err
		}
	}
	return firstOf(failures)
}

// outcome is what became of one setting, where the resource was not refused.
func (d *configAlter) outcome(c resourceChange, name string, before []setting) (alteredSetting, any) {
	out := alteredSetting{Resource: c.resource.String(), Name: name, After: c.values[name], Source: sourceName(c.resource.own())}
	old := setting{name: name, source: kmsg.ConfigSourceDefaultConfig}
	if i := slices.IndexFunc(before, func(s setting) bool { return s.name == name }); i >= 0 {
		old = before[i]
	}
	out.Before = old.value
	reset := c.values[name] == nil
	if reset {
		after, source := old.inherited(c.resource.own())
		out.After, out.Source = after, sourceName(source)
	}
	same := reset && old.source != c.resource.own() ||
		!reset && old.source == c.resource.own() && !old.sensitive && deref(old.value) == deref(c.values[name])
	out.Altered = !same && !d.dryRun
	switch {
	case same:
		return out, "as before"
	case d.dryRun:
		return out, "would be changed"
	}
	return out, render.Styled(render.Good, "changed")
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// checkTopicSettings refuses names of settings that topics do not have, before anything is changed.
func (a *app) checkTopicSettings(ctx context.Context, cl *kgo.Client, topic string, names []string) error {
	r := resource{kmsg.ConfigResourceTypeTopic, topic}
	known, err := a.settingsOf(ctx, cl, []resource{r})
	if err != nil {
		return err
	}
	for _, n := range names {
		if err := settable(r, known[0], n); err != nil {
			return err
		}
	}
	return nil
}
