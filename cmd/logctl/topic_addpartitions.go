package main

import (
	"context"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// grownTopic is an element of the JSON of "topic add-partitions".
type grownTopic struct {
	Name   string `json:"name"`
	Before int    `json:"before"`
	After  int    `json:"after"` // partitions it has, or would have
	Error  string `json:"error,omitempty"`
}

type topicAddPartitions struct {
	*app
	total, add int
	dryRun     bool
}

func newTopicAddPartitions(a *app) *cobra.Command {
	t := &topicAddPartitions{app: a}
	c := &cobra.Command{
		Use:   "add-partitions NAME|PATTERN…",
		Short: "Give topics more partitions",
		Long: "Give topics more partitions. Records stay where they are, and keys may go to other\n" +
			"partitions from then on. Partitions cannot be taken away again.",
		Example:           "  logctl topic add-partitions orders --total 12\n  logctl topic add-partitions orders --add 2 --dry-run",
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			if (t.total > 0) == (t.add > 0) {
				return usage("give either --total N or --add N, 1 or more")
			}
			return t.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				return t.run(ctx, cl, names)
			})
		},
	}
	c.Flags().IntVar(&t.total, "total", 0, "how many partitions there are to be")
	c.Flags().IntVar(&t.add, "add", 0, "how many partitions to add")
	c.Flags().BoolVar(&t.dryRun, "dry-run", false, "let the broker check the request, but change nothing")
	return c
}

func (t *topicAddPartitions) run(ctx context.Context, cl *kgo.Client, names []string) error {
	adm := t.admin(cl)
	topics, err := t.topics(ctx, adm, names, false)
	if err != nil {
		return err
	}
	results := []grownTopic{}
	table := render.NewTable("TOPIC~", "BEFORE>", "AFTER>")
	var failures []*failure
	for _, d := range topics {
		r := grownTopic{Name: d.Topic, Before: len(d.Partitions), After: t.total}
		if t.add > 0 {
			r.After = r.Before + t.add
		}
		if f := t.grow(ctx, adm, r); f != nil {
			failures, r.Error, r.After = append(failures, f), f.message, r.Before
		} else {
			if !t.dryRun {
				everywhere(ctx, cl, []string{r.Name}, served(r.After))
			}
			table.Row(r.Name, r.Before, render.Styled(render.Good, r.After))
		}
		results = append(results, r)
	}
	if len(failures) < len(topics) || t.format != render.AsTable {
		if err := t.print(results, table); err != nil {
			return err
		}
	}
	return firstOf(failures)
}

func (t *topicAddPartitions) grow(ctx context.Context, adm *kadm.Client, r grownTopic) *failure {
	if r.After <= r.Before {
		return refused("topic %q has %s already; --total must be more", r.Name, render.Plural(int64(r.Before), "partition"))
	}
	update := adm.UpdatePartitions
	if t.dryRun {
		update = adm.ValidateUpdatePartitions
	}
	answers, err := update(ctx, r.After, r.Name)
	if err != nil {
		return t.explain(err, "add partitions")
	}
	if a := answers[r.Name]; a.Err != nil {
		return refused("topic %q got no more partitions: %s", r.Name, reason(a.Err, a.ErrMessage))
	}
	return nil
}
