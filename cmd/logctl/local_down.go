package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"quorumlog/cmd/logctl/internal/local"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
)

// stoppedNode is an element of the JSON of "local down", "stop" and "kill".
type stoppedNode struct {
	ID     int32  `json:"id"`
	PID    *int   `json:"pid"`    // null: it did not run
	Result string `json:"result"` // "stopped", "killed", "did not run", "still runs"
}

// stopPatience is how long a node may take to stop; brokerd promises it.
const stopPatience = 10 * time.Second

func newLocalDown(l *localCommand) *cobra.Command {
	del, yes := false, false
	c := &cobra.Command{
		Use:   "down",
		Short: "Stop the cluster",
		Long: "Stop all nodes with SIGTERM, and say which do not end within 10 seconds. The data stays for\n" +
			"the next \"up\"; --delete removes it, for good, and with it the ports.",
		Example: "  logctl local down\n  logctl local down --delete --yes",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return l.change(func(cl *local.Cluster) error { return l.down(c.Context(), cl, del, yes) })
		},
	}
	c.Flags().BoolVar(&del, "delete", false, "delete the cluster's data too")
	c.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask before data is deleted")
	return c
}

func (l *localCommand) down(ctx context.Context, cl *local.Cluster, del, yes bool) error {
	if del {
		size := int64(0)
		for _, n := range cl.Nodes {
			size += cl.Size(n)
		}
		if err := l.confirm(ctx, yes, fmt.Sprintf("Delete the cluster in %s with %s of data", cl.Dir(), render.Bytes(size))); err != nil {
			return err
		}
	}
	if err := l.end(ctx, cl, cl.Nodes, syscall.SIGTERM); err != nil || !del {
		return err
	}
	if err := cl.Delete(); err != nil {
		return l.failed(err)
	}
	l.note("the data in %s is deleted", cl.Dir())
	return nil
}

func newLocalStop(l *localCommand) *cobra.Command {
	return l.ending(syscall.SIGTERM, &cobra.Command{
		Use:     "stop NODE…",
		Short:   "Stop nodes in good order",
		Long:    "Stop nodes with SIGTERM: they hand their leaderships over and flush, within 10 seconds.",
		Example: "  logctl local stop 2",
	})
}

func newLocalKill(l *localCommand) *cobra.Command {
	return l.ending(syscall.SIGKILL, &cobra.Command{
		Use:     "kill NODE…",
		Short:   "Kill nodes, as a crash would",
		Long:    "Kill nodes with SIGKILL, to see what a crash does. What was acknowledged is on a majority of\ndisks, and stays.",
		Example: "  logctl local kill 2\n  logctl local start 2",
	})
}

// ending completes a command that ends nodes with a signal.
func (l *localCommand) ending(signal syscall.Signal, c *cobra.Command) *cobra.Command {
	c.Args = arguments(1, -1)
	c.ValidArgsFunction = l.completeNodes
	c.RunE = func(c *cobra.Command, args []string) error {
		return l.change(func(cl *local.Cluster) error {
			nodes, err := l.nodes(cl, args)
			if err != nil {
				return err
			}
			return l.end(c.Context(), cl, nodes, signal)
		})
	}
	return c
}

// end signals nodes, waits until they have ended, and tells what became of each.
func (l *localCommand) end(ctx context.Context, cl *local.Cluster, nodes []*local.Node, signal syscall.Signal) error {
	results := make([]stoppedNode, len(nodes))
	for i, n := range nodes {
		results[i] = stoppedNode{ID: n.ID, Result: "did not run"}
		switch err := sendSignal(n, signal); {
		case err == nil:
			results[i].PID, results[i].Result = &n.Process.PID, "still runs"
		case !errors.Is(err, local.ErrGone):
			return refused("node %d (pid %d) cannot be signalled: %v", n.ID, n.Process.PID, err)
		}
	}
	l.awaitEnd(ctx, nodes)
	var failures []*failure
	for i, n := range nodes {
		switch {
		case n.Process.Running():
			failures = append(failures, refused("node %d (pid %d) still runs after %v; end it with logctl local kill %d%s", n.ID, n.Process.PID, stopPatience, n.ID, l.dirFlag()))
		case results[i].PID != nil && signal == syscall.SIGKILL:
			results[i].Result = "killed" // the process stays on record, as one that is dead
		default:
			if results[i].PID != nil {
				results[i].Result = "stopped"
			}
			n.Process = nil
		}
	}
	return errors.Join(l.failed(cl.Save()), l.print(results, endTable(results)), firstOf(failures))
}

func sendSignal(n *local.Node, signal os.Signal) error {
	if n.Process == nil {
		return local.ErrGone
	}
	return n.Process.Signal(signal)
}

// endStep is how often it is looked whether processes have ended.
const endStep = 20 * time.Millisecond

func (l *localCommand) awaitEnd(ctx context.Context, nodes []*local.Node) {
	progress := l.progress()
	defer progress.Done()
	for deadline := l.now().Add(stopPatience); ctx.Err() == nil && l.now().Before(deadline); pause(ctx, endStep) {
		running := 0
		for _, n := range nodes {
			if n.Process.Running() {
				running++
			}
		}
		if running == 0 {
			return
		}
		progress.Set(int64(len(nodes)-running), int64(len(nodes)), fmt.Sprintf("%s still runs", render.Plural(int64(running), "node")))
	}
}

func endTable(results []stoppedNode) *render.Table {
	t := render.NewTable("NODE>", "PID>", "RESULT")
	for _, r := range results {
		pid, result := any("-"), any(r.Result)
		if r.PID != nil {
			pid = *r.PID
		}
		if r.Result == "still runs" {
			result = render.Styled(render.Bad, r.Result)
		}
		t.Row(r.ID, pid, result)
	}
	return t
}
