package main

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"quorumlog/cmd/logctl/internal/position"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// resetPartition is an element of the JSON of "group reset".
type resetPartition struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Before    *int64 `json:"before"` // null: nothing was committed
	After     int64  `json:"after"`
	Lag       int64  `json:"lag"`  // afterwards
	Done      bool   `json:"done"` // false: a plan, or see Error
	Error     string `json:"error,omitempty"`
}

type groupReset struct {
	*app
	to     string
	file   string
	topics []string
	yes    bool
	dryRun bool
}

func newGroupReset(a *app) *cobra.Command {
	r := &groupReset{app: a}
	c := &cobra.Command{
		Use:   "reset GROUP",
		Short: "Move a group to another place",
		Long: "Move a group to another place in its topics. Without --yes the plan is shown and nothing is\n" +
			"changed. The group's members must be stopped first. Places are\n" +
			position.Syntax + ",\nor shift:+N and shift:-N, from where the group stands.\n\n" +
			"--from-file reads offsets instead: lines TOPIC,PARTITION,OFFSET, or the JSON of group lag, or of\n" +
			"group reset, which then leads back to where the group stood.",
		Example: `  logctl group reset auditors --to start
  logctl group reset auditors --to -1h --topic orders --yes
  logctl group reset auditors --to shift:-100 --topic orders:0,1 --yes
  logctl group lag auditors -o json > before.json
  logctl group reset auditors --from-file before.json --yes`,
		Args:              arguments(1, 1),
		ValidArgsFunction: a.completeGroups,
		RunE: func(c *cobra.Command, args []string) error {
			switch {
			case r.to == "" && r.file == "":
				return usage("--to is missing; say where the group is to stand, for example --to start")
			case r.file != "" && (r.to != "" || len(r.topics) > 0):
				return usage("--from-file says all that is to change, so it does not go with --to or --topic")
			case r.yes && r.dryRun:
				return usage("--yes and --dry-run exclude each other")
			}
			plan, err := r.planner(args[0])
			if err != nil {
				return err
			}
			return r.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return r.run(ctx, adm, args[0], plan)
			})
		},
	}
	f := c.Flags()
	f.StringVar(&r.to, "to", "", "where the group is to stand, a `PLACE`")
	f.StringVar(&r.file, "from-file", "", "take offsets from this `FILE`; - is standard input")
	f.StringArrayVar(&r.topics, "topic", nil, "only this topic, or these partitions of it, as `TOPIC[:P,...]`; repeat for more (default what the group committed)")
	f.BoolVarP(&r.yes, "yes", "y", false, "do it")
	f.BoolVar(&r.dryRun, "dry-run", false, "show the plan, but change nothing (the default)")
	_ = c.RegisterFlagCompletionFunc("topic", a.completeTopics)
	return c
}

// resetPlanner finds where a group is to stand.
type resetPlanner func(ctx context.Context, adm *kadm.Client) ([]resetPartition, error)

// planner reads what the command line says, before anything is asked.
func (r *groupReset) planner(group string) (resetPlanner, error) {
	if r.file != "" {
		offsets, err := r.readOffsets()
		return func(ctx context.Context, adm *kadm.Client) ([]resetPartition, error) {
			return r.fromFile(ctx, adm, group, offsets)
		}, err
	}
	to, err := position.Parse(r.to, r.now())
	if err != nil {
		return nil, usage("--to: %v", err)
	}
	return func(ctx context.Context, adm *kadm.Client) ([]resetPartition, error) {
		committed, err := r.committed(ctx, adm, group)
		if err != nil {
			return nil, err
		}
		wanted, err := r.wanted(ctx, adm, group, committed)
		if err != nil {
			return nil, err
		}
		return r.plan(ctx, adm, to, committed, wanted)
	}, nil
}

func (r *groupReset) run(ctx context.Context, adm *kadm.Client, group string, planner resetPlanner) error {
	plan, err := planner(ctx, adm)
	if err != nil {
		return err
	}
	if !r.yes {
		if err := r.report(plan); err != nil {
			return err
		}
		r.note("Nothing was changed; add --yes to do it.")
		return nil
	}
	return r.commit(ctx, adm, group, plan)
}

// committed returns the group's offsets. With --topic the group may be new; it must not be active.
func (r *groupReset) committed(ctx context.Context, adm *kadm.Client, group string) (kadm.OffsetResponses, error) {
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return nil, r.explain(err, "list groups")
	}
	if _, ok := listed[group]; !ok {
		if len(r.topics) > 0 {
			return nil, nil
		}
		return nil, refused("group %q does not exist on %s%s", group, r.at(), didYouMeanOr(group, listed.Groups(), "; with --topic it would be made"))
	}
	described, err := r.groups(ctx, adm, []string{group})
	if err != nil {
		return nil, err
	}
	if len(described) == 1 && len(described[0].Members) > 0 {
		return nil, refused("group %q has %s that would overwrite the offsets; stop them first (logctl group members %s shows them)",
			group, render.Plural(int64(len(described[0].Members)), "member"), group)
	}
	return r.offsets(ctx, adm, group)
}

// wanted returns the partitions to reset: what --topic names, or all that are committed.
func (r *groupReset) wanted(ctx context.Context, adm *kadm.Client, group string, committed kadm.OffsetResponses) (map[string][]int32, error) {
	out := map[string][]int32{}
	for _, flag := range r.topics {
		name, list, some := strings.Cut(flag, ":")
		var numbers []int32
		if some {
			for _, s := range strings.Split(list, ",") {
				n, err := strconv.ParseInt(s, 10, 32)
				if err != nil || n < 0 {
					return nil, usage("--topic %q is not TOPIC or TOPIC:P,P", flag)
				}
				numbers = append(numbers, int32(n))
			}
		}
		topics, err := r.app.topics(ctx, adm, []string{name}, false)
		if err != nil {
			return nil, err
		}
		for _, t := range topics {
			chosen, err := choosePartitions(t, numbers)
			if err != nil {
				return nil, err
			}
			out[t.Topic] = append(out[t.Topic], chosen...)
		}
	}
	if len(r.topics) > 0 {
		return out, nil
	}
	for _, o := range committed.Sorted() {
		if o.Err == nil && o.At >= 0 {
			out[o.Topic] = append(out[o.Topic], o.Partition)
		}
	}
	if len(out) == 0 {
		return nil, refused("group %q has committed nothing; name a topic with --topic", group)
	}
	return out, nil
}

// present returns those of the wanted topics that are still there.
func (r *groupReset) present(ctx context.Context, adm *kadm.Client, wanted map[string][]int32) ([]kadm.TopicDetail, error) {
	all, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, r.explain(err, "list topics")
	}
	var topics []kadm.TopicDetail
	for name := range wanted {
		t, ok := all[name]
		if !ok {
			r.note("Topic %s is gone; the group's offsets in it are left alone.", name)
			continue
		}
		topics = append(topics, t)
	}
	if len(topics) == 0 {
		return nil, refused("none of the group's topics is there any more")
	}
	return topics, nil
}

// plan puts all wanted partitions at one place.
func (r *groupReset) plan(ctx context.Context, adm *kadm.Client, to position.Position, committed kadm.OffsetResponses, wanted map[string][]int32) ([]resetPartition, error) {
	if to.Kind == position.Shift {
		for topic, partitions := range wanted {
			for _, n := range partitions {
				if o, ok := committed.Lookup(topic, n); !ok || o.Err != nil || o.At < 0 {
					return nil, refused("the group has committed nothing in %s-%d, so there is nothing to shift; use --to start or --to end", topic, n)
				}
			}
		}
	}
	times, err := r.offsetsAt(ctx, adm, to, slices.Collect(maps.Keys(wanted)))
	if err != nil {
		return nil, err
	}
	return r.planned(ctx, adm, committed, wanted, func(topic string, n int32, b bounds, present int64) int64 {
		return locate(to, b, times, topic, n, present)
	})
}

// planned puts every wanted partition where place says, which is told its bounds and where the
// group stands now, or the start where it stands nowhere.
func (r *groupReset) planned(ctx context.Context, adm *kadm.Client, committed kadm.OffsetResponses, wanted map[string][]int32,
	place func(topic string, n int32, b bounds, present int64) int64) ([]resetPartition, error) {
	topics, err := r.present(ctx, adm, wanted)
	if err != nil {
		return nil, err
	}
	bounds, err := r.bounds(ctx, adm, topics, false)
	if err != nil {
		return nil, err
	}
	plan := []resetPartition{}
	for _, t := range topics {
		for _, n := range wanted[t.Topic] {
			b, ok := bounds[t.Topic][n]
			if !ok || b.err != nil {
				return nil, refused("the offsets of %s-%d are unknown: %s", t.Topic, n, reason(firstError(b.err, errors.New("it is not there")), ""))
			}
			p := resetPartition{Topic: t.Topic, Partition: n}
			present := b.start
			if o, ok := committed.Lookup(t.Topic, n); ok && o.Err == nil && o.At >= 0 {
				p.Before, present = &o.At, o.At
			}
			p.After = place(t.Topic, n, b, present)
			p.Lag = b.end - p.After
			plan = append(plan, p)
		}
	}
	slices.SortFunc(plan, func(a, b resetPartition) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return slices.CompactFunc(plan, func(a, b resetPartition) bool { return a.Topic == b.Topic && a.Partition == b.Partition }), nil
}

func (r *groupReset) commit(ctx context.Context, adm *kadm.Client, group string, plan []resetPartition) error {
	offsets := kadm.Offsets{}
	for _, p := range plan {
		offsets.AddOffset(p.Topic, p.Partition, p.After, -1)
	}
	answers, err := patiently(ctx, r.app, func() (kadm.OffsetResponses, error) { return adm.CommitOffsets(ctx, group, offsets) })
	if err != nil {
		return r.explain(err, "reset group "+group)
	}
	var failures []*failure
	for i := range plan {
		p := &plan[i]
		o, ok := answers.Lookup(p.Topic, p.Partition)
		if p.Done = ok && o.Err == nil; p.Done {
			continue
		}
		f := refused("%s-%d was not reset: %s", p.Topic, p.Partition, reason(firstError(o.Err, errors.New("the broker did not answer for it")), ""))
		if errors.Is(o.Err, kerr.UnknownMemberID) {
			f = refused("%s-%d was not reset: the group has members; stop them first", p.Topic, p.Partition)
		}
		failures, p.Error = append(failures, f), f.message
	}
	if err := r.report(plan); err != nil {
		return err
	}
	return firstOf(failures)
}

func (r *groupReset) report(plan []resetPartition) error {
	table := render.NewTable("TOPIC~", "PARTITION>", "BEFORE>", "AFTER>", "LAG>")
	for _, p := range plan {
		table.Row(p.Topic, p.Partition, dashed(p.Before), p.After, p.Lag)
	}
	return r.print(plan, table)
}
