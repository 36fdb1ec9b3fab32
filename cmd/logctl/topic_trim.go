package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"quorumlog/cmd/logctl/internal/position"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// trimmedPartition is an element of the JSON of "topic trim".
type trimmedPartition struct {
	Topic       string `json:"topic"`
	Partition   int32  `json:"partition"`
	StartOffset int64  `json:"start_offset"` // before
	EndOffset   int64  `json:"end_offset"`
	TrimTo      int64  `json:"trim_to"` // the start offset afterwards
	Records     int64  `json:"records"` // how many go
	Trimmed     bool   `json:"trimmed"`
	Error       string `json:"error,omitempty"`
}

type topicTrim struct {
	*app
	before      string
	partitions  []int32
	yes, dryRun bool
}

func newTopicTrim(a *app) *cobra.Command {
	t := &topicTrim{app: a}
	c := &cobra.Command{
		Use:   "trim TOPIC",
		Short: "Delete a topic's oldest records",
		Long: "Delete the records before a place in each partition of a topic, for good. Places are\n" +
			position.Syntax + ".\n" +
			"On a terminal you are asked; elsewhere --yes is required. After Ctrl-C some partitions may be\n" +
			"trimmed and others not; the same command does the rest.",
		Example: `  logctl topic trim orders --before -7d --dry-run
  logctl topic trim orders --before 12000 --partition 3 --yes
  logctl topic trim orders --before end --yes`,
		Args:              arguments(1, 1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, args []string) error {
			if t.before == "" {
				return usage("--before is missing; say which records go, for example --before -7d")
			}
			return t.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return t.run(ctx, adm, args[0])
			})
		},
	}
	f := c.Flags()
	f.StringVar(&t.before, "before", "", "delete the records before this `PLACE`")
	f.Int32SliceVarP(&t.partitions, "partition", "p", nil, "only in these partitions (default all)")
	f.BoolVarP(&t.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&t.dryRun, "dry-run", false, "show what would be deleted, but delete nothing")
	return c
}

func (t *topicTrim) run(ctx context.Context, adm *kadm.Client, topic string) error {
	plan, err := t.plan(ctx, adm, topic)
	if err != nil {
		return err
	}
	if t.dryRun {
		return t.report(plan)
	}
	total := int64(0)
	offsets := kadm.Offsets{}
	for _, p := range plan {
		if total += p.Records; p.Records > 0 {
			offsets.AddOffset(p.Topic, p.Partition, p.TrimTo, -1)
		}
	}
	if total == 0 {
		return t.report(plan)
	}
	if err := t.confirm(ctx, t.yes, fmt.Sprintf("Delete %s of topic %s", render.Plural(total, "record"), topic)); err != nil {
		return err
	}
	answers, err := adm.DeleteRecords(ctx, offsets)
	if err != nil {
		return t.explain(err, "delete records")
	}
	return t.finish(plan, answers)
}

// plan finds what would go in each partition.
func (t *topicTrim) plan(ctx context.Context, adm *kadm.Client, topic string) ([]trimmedPartition, error) {
	pos, err := t.position("before", t.before)
	if err != nil {
		return nil, err
	}
	if isPattern(topic) {
		return nil, usage("trim takes one topic's name, not the pattern %q", topic)
	}
	topics, err := t.topics(ctx, adm, []string{topic}, false)
	if err != nil {
		return nil, err
	}
	bounds, err := t.bounds(ctx, adm, topics, false)
	if err != nil {
		return nil, err
	}
	times, err := t.offsetsAt(ctx, adm, pos, []string{topic})
	if err != nil {
		return nil, err
	}
	numbers, err := choosePartitions(topics[0], t.partitions)
	if err != nil {
		return nil, err
	}
	var plan []trimmedPartition
	for _, n := range numbers {
		b := bounds[topic][n]
		if b.err != nil {
			return nil, refused("the offsets of %s-%d are unknown: %s", topic, n, reason(b.err, ""))
		}
		if pos.Kind == position.Offset && pos.N > b.end {
			return nil, refused("%s-%d ends at offset %d, before --before %d; use --before end to delete all", topic, n, b.end, pos.N)
		}
		to := locate(pos, b, times, topic, n, b.start)
		plan = append(plan, trimmedPartition{Topic: topic, Partition: n, StartOffset: b.start, EndOffset: b.end, TrimTo: to, Records: to - b.start})
	}
	return plan, nil
}

// choosePartitions returns the wanted partitions of t, or all where none are named.
func choosePartitions(t kadm.TopicDetail, wanted []int32) ([]int32, error) {
	have := t.Partitions.Numbers()
	slices.Sort(have)
	if len(wanted) == 0 {
		return have, nil
	}
	for _, p := range wanted {
		if !slices.Contains(have, p) {
			return nil, refused("topic %q has no partition %d; it has 0 to %d", t.Topic, p, len(have)-1)
		}
	}
	wanted = slices.Clone(wanted)
	slices.Sort(wanted)
	return slices.Compact(wanted), nil
}

func (t *topicTrim) finish(plan []trimmedPartition, answers kadm.DeleteRecordsResponses) error {
	var failures []*failure
	for i := range plan {
		p := &plan[i]
		r, asked := answers.Lookup(p.Topic, p.Partition)
		switch {
		case !asked:
		case r.Err == nil:
			p.Trimmed, p.TrimTo = true, r.LowWatermark
			p.Records = max(0, p.TrimTo-p.StartOffset)
		default:
			f := refused("%s-%d was not trimmed: %s", p.Topic, p.Partition, reason(r.Err, ""))
			if errors.Is(r.Err, kerr.PolicyViolation) {
				f = refused("%s-%d was not trimmed: the topic is compacted only, and records go from topics whose cleanup.policy includes delete", p.Topic, p.Partition)
			}
			failures, p.Error = append(failures, f), f.message
		}
	}
	if err := t.report(plan); err != nil {
		return err
	}
	return firstOf(failures)
}

func (t *topicTrim) report(plan []trimmedPartition) error {
	table := render.NewTable("TOPIC~", "PARTITION>", "START>", "END>", "NEW START>", "RECORDS>", "RESULT")
	for _, p := range plan {
		result := any("would be deleted")
		switch {
		case p.Error != "":
			result = render.Styled(render.Bad, "refused")
		case p.Trimmed:
			result = render.Styled(render.Good, "deleted")
		case p.Records == 0:
			result = "nothing to delete"
		}
		table.Row(p.Topic, p.Partition, p.StartOffset, p.EndOffset, p.TrimTo, p.Records, result)
	}
	return t.print(plan, table)
}
