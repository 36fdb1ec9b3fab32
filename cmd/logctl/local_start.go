package main

import (
	"context"
	"slices"
	"time"

	"quorumlog/cmd/logctl/internal/local"

	"github.com/spf13/cobra"
)

func newLocalStart(l *localCommand) *cobra.Command {
	wait := time.Duration(0)
	c := &cobra.Command{
		Use:               "start NODE…",
		Short:             "Start nodes that are down",
		Long:              "Start nodes that were stopped or killed, on their ports and over their data, and wait until\nthey answer.",
		Example:           "  logctl local start 2\n  logctl local start 2 3 --wait 0",
		Args:              arguments(1, -1),
		ValidArgsFunction: l.completeNodes,
		RunE: func(c *cobra.Command, args []string) error {
			return l.start(c.Context(), args, wait)
		},
	}
	addWait(c, &wait)
	return c
}

func (l *localCommand) start(ctx context.Context, args []string, wait time.Duration) error {
	var cl *local.Cluster
	var nodes []*local.Node
	err := l.change(func(loaded *local.Cluster) (err error) {
		cl = loaded
		if nodes, err = l.nodes(cl, args); err != nil {
			return err
		}
		if cl.Brokerd, err = findBrokerd("", cl.Brokerd); err != nil {
			return err
		}
		return l.startNodes(cl, slices.DeleteFunc(slices.Clone(nodes), func(n *local.Node) bool {
			if n.Process.Running() {
				l.note("node %d runs already", n.ID)
				return true
			}
			return false
		}))
	})
	if err == nil {
		err = l.awaitNodes(ctx, cl, nodes, wait)
	}
	if err != nil {
		return err
	}
	s := l.status(ctx, cl)
	return l.print(s, s.table(false))
}
