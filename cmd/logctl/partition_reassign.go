package main

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"

	"quorumlog/cmd/logctl/internal/placement"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

type partitionReassign struct {
	mover
	drain          []int32
	replace        string
	spread         bool
	status, cancel bool
}

func newPartitionReassign(a *app) *cobra.Command {
	r := &partitionReassign{mover: mover{app: a}}
	c := &cobra.Command{
		Use:   "reassign [TOPIC|PATTERN…]",
		Short: "Spread replicas evenly, or take them away from a broker",
		Long: "Plan where replicas go, show the plan, and carry it out. No more is moved than must be, and\n" +
			"replicas of a partition stay in as many racks as they can. Reading and writing go on\n" +
			"meanwhile. Without topics, all of them count, the broker's own included; with topics alone,\n" +
			"those are spread. Ctrl-C ends the waiting: what was begun goes on, until --cancel. Where\n" +
			"nobody can be asked, --yes is required.",
		Example: `  logctl partition reassign --spread --dry-run
  logctl partition reassign orders
  logctl partition reassign --drain 3 --yes
  logctl partition reassign --replace 3=4
  logctl partition reassign --status
  logctl partition reassign --cancel`,
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, args []string) error {
			return r.dispatch(c, args)
		},
	}
	f := c.Flags()
	f.BoolVar(&r.spread, "spread", false, "give all brokers equally many replicas and leaders")
	f.Int32SliceVar(&r.drain, "drain", nil, "take every replica away from this `NODE`; several with commas")
	f.StringVar(&r.replace, "replace", "", "put a broker in the place of another, as `OLD=NEW`")
	f.BoolVar(&r.status, "status", false, "show what is being moved now")
	f.BoolVar(&r.cancel, "cancel", false, "stop what is being moved, and go back to the replicas of before")
	r.addFlags(c)
	return c
}

func (r *partitionReassign) dispatch(c *cobra.Command, topics []string) error {
	old, heir, err := r.parseReplace()
	if err != nil {
		return err
	}
	var asked []string
	for _, name := range []string{"spread", "drain", "replace", "status", "cancel"} {
		if c.Flags().Changed(name) {
			asked = append(asked, "--"+name)
		}
	}
	if len(asked) > 1 {
		return usage("%s exclude each other", strings.Join(asked, " and "))
	}
	if len(asked) == 0 && len(topics) == 0 {
		return usage("say what is to move: --spread, --drain NODE, --replace OLD=NEW, or topics to spread; see %s --help", c.CommandPath())
	}
	return r.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
		switch {
		case r.status:
			return r.showRunning(ctx, adm, topics)
		case r.cancel:
			return r.cancelRunning(ctx, adm, topics)
		}
		return r.run(ctx, adm, topics, old, heir)
	})
}

func (r *partitionReassign) parseReplace() (old, heir int32, err error) {
	if r.replace == "" {
		return 0, 0, nil
	}
	a, b, _ := strings.Cut(r.replace, "=")
	x, errOld := strconv.ParseInt(a, 10, 32)
	y, errNew := strconv.ParseInt(b, 10, 32)
	if errOld != nil || errNew != nil || x == y {
		return 0, 0, usage("--replace %q is not OLD=NEW, two different brokers", r.replace)
	}
	return int32(x), int32(y), nil
}

func (r *partitionReassign) run(ctx context.Context, adm *kadm.Client, topics []string, old, heir int32) error {
	brokers, err := r.known(ctx, adm)
	if err == nil && r.replace != "" {
		brokers, err = r.known(ctx, adm, heir)
	}
	if err != nil {
		return err
	}
	all, err := r.partitionsOf(ctx, adm, nil, true)
	if err != nil {
		return err
	}
	if gone := r.leaving(old); len(gone) > 0 {
		if err := present(gone, brokers, all); err != nil {
			return err
		}
	}
	wanted, others, err := r.scope(ctx, adm, topics, all)
	if err != nil {
		return err
	}
	if err := r.settled(ctx, adm, wanted); err != nil {
		return err
	}
	moves, err := r.moves(placed(wanted), placed(others), places(brokers), old, heir)
	if errors.Is(err, placement.ErrTooFew) {
		return refused("%v; add a broker first", err)
	}
	if err != nil {
		return refused("%v", err)
	}
	return r.carryOut(ctx, adm, wanted, moves)
}

// leaving is the brokers that replicas are taken from.
func (r *partitionReassign) leaving(old int32) []int32 {
	if r.replace != "" {
		return []int32{old}
	}
	return r.drain
}

// present refuses brokers of which nobody knows: most likely a typing error.
func present(ids []int32, brokers kadm.BrokerDetails, partitions []kadm.PartitionDetail) error {
	for _, id := range ids {
		holds := slices.ContainsFunc(partitions, func(p kadm.PartitionDetail) bool { return slices.Contains(p.Replicas, id) })
		if !holds && !slices.Contains(brokers.NodeIDs(), id) {
			return refused("there is no broker %d, and no replica is on it; there are %s", id, join(brokers.NodeIDs()))
		}
	}
	return nil
}

// scope divides all partitions into those that may move and those that only count.
func (r *partitionReassign) scope(ctx context.Context, adm *kadm.Client, topics []string, all []kadm.PartitionDetail) (wanted, others []kadm.PartitionDetail, err error) {
	if len(topics) == 0 {
		return all, nil, nil
	}
	if wanted, err = r.partitionsOf(ctx, adm, topics, false); err != nil {
		return nil, nil, err
	}
	set := setOf(wanted)
	for _, p := range all {
		if !set.Lookup(p.Topic, p.Partition) {
			others = append(others, p)
		}
	}
	return wanted, others, nil
}

func (r *partitionReassign) moves(wanted, others []placement.Partition, brokers []placement.Broker, old, heir int32) ([]placement.Move, error) {
	switch {
	case len(r.drain) > 0:
		return placement.Drain(wanted, others, brokers, r.drain...)
	case r.replace != "":
		return placement.Replace(wanted, others, brokers, old, heir)
	}
	return placement.Spread(wanted, brokers)
}
