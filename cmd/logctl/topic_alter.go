package main

import (
	"context"
	"maps"
	"slices"
	"strings"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// alteredTopic is an element of the JSON of "topic alter".
type alteredTopic struct {
	Name    string `json:"name"`
	Altered bool   `json:"altered"`
	Error   string `json:"error,omitempty"`
}

type topicAlter struct {
	*app
	set, remove []string
	dryRun      bool
}

func newTopicAlter(a *app) *cobra.Command {
	t := &topicAlter{app: a}
	c := &cobra.Command{
		Use:   "alter NAME|PATTERN…",
		Short: "Change topics' settings",
		Long:  "Change topics' settings. A setting that is deleted returns to the broker's default.",
		Example: `  logctl topic alter orders --config retention.ms=604800000
  logctl topic alter 'test-*' --delete-config retention.ms --dry-run`,
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			return t.run(c.Context(), names)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&t.set, "config", nil, "a setting to make, as `KEY=VALUE`; repeat for more")
	f.StringArrayVar(&t.remove, "delete-config", nil, "a setting to delete, by its `KEY`; repeat for more")
	f.BoolVar(&t.dryRun, "dry-run", false, "let the broker check the request, but change nothing")
	return c
}

func (t *topicAlter) run(ctx context.Context, names []string) error {
	set, err := keyValues("config", t.set)
	if err != nil {
		return err
	}
	var changes []kadm.AlterConfig
	for _, k := range slices.Sorted(maps.Keys(set)) {
		changes = append(changes, kadm.AlterConfig{Op: kadm.SetConfig, Name: k, Value: set[k]})
	}
	for _, k := range t.remove {
		changes = append(changes, kadm.AlterConfig{Op: kadm.DeleteConfig, Name: k})
	}
	if len(changes) == 0 {
		return usage("nothing to change; give --config KEY=VALUE or --delete-config KEY")
	}
	return t.withClient(ctx, func(ctx context.Context, cl *kgo.Client) error {
		adm := t.admin(cl)
		topics, err := t.topics(ctx, adm, names, false)
		if err != nil {
			return err
		}
		if err := t.checkTopicSettings(ctx, cl, topics[0].Topic, append(slices.Sorted(maps.Keys(set)), t.remove...)); err != nil {
			return err
		}
		alter := adm.AlterTopicConfigs
		if t.dryRun {
			alter = adm.ValidateAlterTopicConfigs
		}
		answers, err := alter(ctx, changes, namesOf(topics)...)
		if err != nil {
			return t.explain(err, "change settings")
		}
		if !t.dryRun {
			made := map[string]*string{}
			for _, c := range changes {
				made[c.Name] = c.Value
			}
			var all []resourceChange
			for _, r := range answers {
				if r.Err == nil {
					all = append(all, resourceChange{resource{kmsg.ConfigResourceTypeTopic, r.Name}, made})
				}
			}
			t.awaitSettings(ctx, cl, all)
		}
		return t.report(answers)
	})
}

func (t *topicAlter) report(answers kadm.AlterConfigsResponses) error {
	results := []alteredTopic{}
	table := render.NewTable("TOPIC", "RESULT")
	var failures []*failure
	slices.SortFunc(answers, func(a, b kadm.AlterConfigsResponse) int { return strings.Compare(a.Name, b.Name) })
	for _, r := range answers {
		out := alteredTopic{Name: r.Name, Altered: r.Err == nil && !t.dryRun}
		if r.Err != nil {
			f := refused("topic %q was not changed: %s", r.Name, reason(r.Err, r.ErrMessage))
			failures, out.Error = append(failures, f), f.message
		} else if t.dryRun {
			table.Row(r.Name, "would be changed")
		} else {
			table.Row(r.Name, render.Styled(render.Good, "changed"))
		}
		results = append(results, out)
	}
	if len(failures) < len(answers) || t.format != render.AsTable {
		if err := t.print(results, table); err != nil {
			return err
		}
	}
	return firstOf(failures)
}
