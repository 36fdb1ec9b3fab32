package main

import (
	"context"
	"errors"
	"maps"
	"slices"

	"quorumlog/cmd/logctl/internal/declare"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// createdTopic is an element of the JSON of "topic create".
type createdTopic struct {
	Name              string `json:"name"`
	ID                string `json:"id,omitempty"`
	Partitions        int32  `json:"partitions,omitempty"`
	ReplicationFactor int16  `json:"replication_factor,omitempty"`
	Created           bool   `json:"created"` // false: it was there, or see Error
	Error             string `json:"error,omitempty"`
}

type topicCreate struct {
	*app
	partitions  int32
	replication int16
	configs     []string
	placement   []string
	ifNotExists bool
	dryRun      bool
}

func newTopicCreate(a *app) *cobra.Command {
	t := &topicCreate{app: a}
	c := &cobra.Command{
		Use:   "create NAME…",
		Short: "Create topics",
		Long: "Create topics. Partitions and replicas that are not given are the broker's defaults\n" +
			"(num.partitions, default.replication.factor).",
		Example: `  logctl topic create orders
  logctl topic create orders returns --partitions 6 --replication-factor 3
  logctl topic create payments --placement 1,2,3 --placement 2,3,1
  logctl topic create stock --config cleanup.policy=compact --if-not-exists`,
		Args: arguments(1, -1),
		RunE: func(c *cobra.Command, names []string) error {
			return t.run(c.Context(), names)
		},
	}
	f := c.Flags()
	f.Int32Var(&t.partitions, "partitions", -1, "how many partitions each gets")
	f.Int16Var(&t.replication, "replication-factor", -1, "how many replicas each partition gets")
	f.StringArrayVar(&t.configs, "config", nil, "a topic setting, as `KEY=VALUE`; repeat for more")
	f.StringArrayVar(&t.placement, "placement", nil, "the brokers of a partition, leader first, as `ID,ID,...`; repeat for each partition")
	f.BoolVar(&t.ifNotExists, "if-not-exists", false, "a topic that is there already is no error")
	f.BoolVar(&t.dryRun, "dry-run", false, "let the broker check the request, but create nothing")
	return c
}

func (t *topicCreate) run(ctx context.Context, names []string) error {
	configs, err := keyValues("config", t.configs)
	if err != nil {
		return err
	}
	if t.partitions == 0 || t.partitions < -1 || t.replication == 0 || t.replication < -1 {
		return usage("--partitions and --replication-factor must be 1 or more")
	}
	for _, name := range names {
		if !declare.ValidTopicName(name) {
			return usage("%q cannot be a topic's name: use up to 249 letters, digits, dots, underscores and hyphens", name)
		}
	}
	placed, err := t.placed()
	if err != nil {
		return err
	}
	return t.withClient(ctx, func(ctx context.Context, cl *kgo.Client) error {
		adm := t.admin(cl)
		if err := t.checkSettings(ctx, cl, slices.Sorted(maps.Keys(configs))); err != nil {
			return err
		}
		create := adm.CreateTopics
		if t.dryRun {
			create = adm.ValidateCreateTopics
		}
		if placed != nil {
			create = func(ctx context.Context, _ int32, _ int16, configs map[string]*string, names ...string) (kadm.CreateTopicResponses, error) {
				return t.createPlaced(ctx, cl, placed, configs, names)
			}
		}
		answers, err := create(ctx, t.partitions, t.replication, configs, names...)
		if err != nil {
			return t.explain(err, "create topics")
		}
		if !t.dryRun {
			t.appear(ctx, cl, createdOf(answers))
		}
		return t.report(names, answers)
	})
}

// checkSettings refuses names of settings that topics do not have, as any topic that is there tells
// them. Where there is none, the broker is left to refuse them.
func (t *topicCreate) checkSettings(ctx context.Context, cl *kgo.Client, names []string) error {
	if len(names) == 0 {
		return nil
	}
	there, err := t.admin(cl).ListTopicsWithInternal(ctx)
	if err != nil {
		return t.explain(err, "list topics")
	}
	topics := there.Names()
	if len(topics) == 0 {
		return nil
	}
	return t.checkTopicSettings(ctx, cl, topics[0], names)
}

func (t *topicCreate) report(names []string, answers kadm.CreateTopicResponses) error {
	results := []createdTopic{}
	table := render.NewTable("TOPIC", "PARTITIONS>", "REPLICAS>", "RESULT")
	var failures []*failure
	for _, name := range names {
		r := answers[name]
		out := createdTopic{Name: name, Created: r.Err == nil && !t.dryRun}
		switch exists := errors.Is(r.Err, kerr.TopicAlreadyExists); {
		case r.Err == nil:
			out.Partitions, out.ReplicationFactor = max(0, r.NumPartitions), max(0, r.ReplicationFactor)
			if r.ID != (kadm.TopicID{}) {
				out.ID = topicID(r.ID)
			}
			result := "created"
			if t.dryRun {
				result = "would be created"
			}
			if out.ReplicationFactor == 2 {
				t.note("warning: topic %q has two replicas, and a majority of two is both: it stands still when either is down; three survive one", name)
			}
			table.Row(name, out.Partitions, out.ReplicationFactor, render.Styled(render.Good, result))
		case exists && t.ifNotExists:
			table.Row(name, "", "", "exists")
		case exists:
			failures = append(failures, refused("topic %q exists already on %s; add --if-not-exists to accept that, or change it with logctl topic alter", name, t.at()))
		default:
			failures = append(failures, refused("topic %q was not created: %s", name, reason(r.Err, r.ErrMessage)))
		}
		if r.Err != nil && !(t.ifNotExists && errors.Is(r.Err, kerr.TopicAlreadyExists)) {
			out.Error = failures[len(failures)-1].message
		}
		results = append(results, out)
	}
	if len(failures) < len(names) || t.format != render.AsTable {
		if err := t.print(results, table); err != nil {
			return err
		}
	}
	return firstOf(failures)
}
