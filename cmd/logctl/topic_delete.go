package main

import (
	"context"
	"fmt"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// deletedTopic is an element of the JSON of "topic delete".
type deletedTopic struct {
	Name       string `json:"name"`
	Partitions int    `json:"partitions"`
	Records    int64  `json:"records"` // end offset less start offset, as far as known
	Deleted    bool   `json:"deleted"`
	Error      string `json:"error,omitempty"`
}

type topicDelete struct {
	*app
	yes, dryRun bool
}

func newTopicDelete(a *app) *cobra.Command {
	t := &topicDelete{app: a}
	c := &cobra.Command{
		Use:     "delete NAME|PATTERN…",
		Aliases: []string{"rm"},
		Short:   "Delete topics and all their records",
		Long: "Delete topics and all their records, for good. On a terminal you are asked; elsewhere\n" +
			"--yes is required. Internal topics must be named in full. Many are deleted in steps;\n" +
			"after Ctrl-C those that are deleted stay so, and the same command deletes the rest.",
		Example: `  logctl topic delete orders
  logctl topic delete 'test-*' --dry-run
  logctl topic delete 'test-*' --yes`,
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			return t.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				return t.run(ctx, cl, names)
			})
		},
	}
	c.Flags().BoolVarP(&t.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&t.dryRun, "dry-run", false, "show what would be deleted, but delete nothing")
	return c
}

func (t *topicDelete) run(ctx context.Context, cl *kgo.Client, names []string) error {
	adm := t.admin(cl)
	topics, err := t.topics(ctx, adm, names, false)
	if err != nil {
		return err
	}
	bounds, err := t.bounds(ctx, adm, topics, false)
	if err != nil {
		return err
	}
	results := make([]deletedTopic, len(topics))
	total := int64(0)
	for i, d := range topics {
		n, _ := bounds.records(d.Topic)
		results[i] = deletedTopic{Name: d.Topic, Partitions: len(d.Partitions), Records: n}
		total += n
	}
	if t.dryRun {
		return t.report(results)
	}
	if err := t.confirm(ctx, t.yes, question(results, total)); err != nil {
		return err
	}
	return t.delete(ctx, cl, results)
}

func question(topics []deletedTopic, records int64) string {
	if len(topics) == 1 {
		d := topics[0]
		return fmt.Sprintf("Delete topic %s with %s and %s", d.Name, render.Plural(int64(d.Partitions), "partition"), render.Plural(records, "record"))
	}
	names := topics[0].Name
	for _, d := range topics[1:min(len(topics), 5)] {
		names += ", " + d.Name
	}
	if len(topics) > 5 {
		names += ", …"
	}
	return fmt.Sprintf("Delete %s (%s) with %s", render.Plural(int64(len(topics)), "topic"), names, render.Plural(records, "record"))
}

// deleteStep is how many topics one request deletes, so that progress can be shown.
const deleteStep = 20

func (t *topicDelete) delete(ctx context.Context, cl *kgo.Client, results []deletedTopic) error {
	adm := t.admin(cl)
	var deleted []string
	progress := t.progress()
	var failures []*failure
	for at := 0; at < len(results); at += deleteStep {
		progress.Set(int64(at), int64(len(results)), fmt.Sprintf("%d of %s", at, render.Plural(int64(len(results)), "topic")))
		step := results[at:min(at+deleteStep, len(results))]
		names := make([]string, len(step))
		for i := range step {
			names[i] = step[i].Name
		}
		answers, err := adm.DeleteTopics(ctx, names...)
		if err != nil {
			progress.Done()
			return t.explain(err, fmt.Sprintf("delete topics (%d of %d are deleted)", at, len(results)))
		}
		for i := range step {
			r := answers[step[i].Name]
			step[i].Deleted = r.Err == nil
			if step[i].Deleted {
				deleted = append(deleted, step[i].Name)
			}
			if r.Err != nil {
				f := refused("topic %q was not deleted: %s", step[i].Name, reason(r.Err, r.ErrMessage))
				failures, step[i].Error = append(failures, f), f.message
			}
		}
	}
	everywhere(ctx, cl, deleted, gone)
	progress.Done()
	if len(failures) < len(results) || t.format != render.AsTable {
		if err := t.report(results); err != nil {
			return err
		}
	}
	return firstOf(failures)
}

func (t *topicDelete) report(results []deletedTopic) error {
	table := render.NewTable("TOPIC~", "PARTITIONS>", "RECORDS>", "RESULT")
	for _, r := range results {
		switch {
		case r.Deleted:
			table.Row(r.Name, r.Partitions, render.Count(r.Records), "deleted")
		case r.Error == "":
			table.Row(r.Name, r.Partitions, render.Count(r.Records), "would be deleted")
		}
	}
	return t.print(results, table)
}
