package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// removedBroker is the JSON of "cluster remove".
type removedBroker struct {
	ID      int32 `json:"id"`
	Removed bool  `json:"removed"`
}

type clusterRemove struct {
	*app
	yes, dryRun bool
}

func newClusterRemove(a *app) *cobra.Command {
	r := &clusterRemove{app: a}
	c := &cobra.Command{
		Use:   "remove NODE",
		Short: "Make the cluster forget a broker that will not come back",
		Long: "Make the cluster forget a broker that was taken out of service (UnregisterBroker). It must be\n" +
			"stopped, and hold no replicas: logctl partition reassign --drain takes them away. On a\n" +
			"terminal you are asked; elsewhere --yes is required.",
		Example: "  logctl partition reassign --drain 3 --yes\n  logctl cluster remove 3 --yes",
		Args:    arguments(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id, err := strconv.ParseInt(args[0], 10, 32)
			if err != nil || id < 0 {
				return usage("%q is no node's number", args[0])
			}
			return a.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				return r.run(ctx, cl, int32(id))
			})
		},
	}
	c.Flags().BoolVarP(&r.yes, "yes", "y", false, "do not ask")
	c.Flags().BoolVar(&r.dryRun, "dry-run", false, "see whether it could be removed, but change nothing")
	return c
}

func (r *clusterRemove) run(ctx context.Context, cl *kgo.Client, id int32) error {
	v, err := r.view(ctx, cl)
	if err != nil {
		return err
	}
	if err := v.removable(id); err != nil {
		return err
	}
	if r.dryRun {
		return r.report(id, false, "can be removed")
	}
	if err := r.confirm(ctx, r.yes, fmt.Sprintf("Remove broker %d from the cluster", id)); err != nil {
		return err
	}
	req := kmsg.NewPtrUnregisterBrokerRequest()
	req.BrokerID = id
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return r.explain(err, fmt.Sprintf("remove broker %d", id))
	}
	words := ""
	if answer.ErrorMessage != nil {
		words = *answer.ErrorMessage
	}
	switch err := kerr.ErrorForCode(answer.ErrorCode); {
	case errors.Is(err, kerr.BrokerIDNotRegistered):
		return refused("there is no broker %d", id)
	case err != nil:
		return refused("broker %d was not removed: %s", id, reason(err, words))
	}
	return r.report(id, true, "removed")
}

// removable refuses a broker whose removal would lose something.
func (v *clusterView) removable(id int32) error {
	b := v.broker(id)
	if n := v.holds(id); n > 0 {
		return refused("broker %d still has %s; take them away first, with logctl partition reassign --drain %d", id, render.Plural(int64(n), "replica"), id)
	}
	if b == nil {
		return nil // the cluster may know of it, and not tell
	}
	if !b.fenced && len(v.brokers) > 2 { // of two, neither is ever judged down: the cluster looks itself
		return refused("broker %d at %s runs; stop it first, as it would only register again", id, hostPort(b.host, b.port))
	}
	return nil
}

func (r *clusterRemove) report(id int32, removed bool, result string) error {
	table := render.NewTable("BROKER>", "RESULT")
	table.Row(id, result)
	return r.print(removedBroker{id, removed}, table)
}
