package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"quorumlog/cmd/logctl/internal/local"

	"github.com/spf13/cobra"
)

type localLogs struct {
	*localCommand
	lines  int
	follow bool
}

func newLocalLogs(l *localCommand) *cobra.Command {
	g := &localLogs{localCommand: l}
	c := &cobra.Command{
		Use:               "logs NODE",
		Short:             "Show what a node logged",
		Example:           "  logctl local logs 2\n  logctl local logs 2 -n 100 -f",
		Args:              arguments(1, 1),
		ValidArgsFunction: l.completeNodes,
		RunE: func(c *cobra.Command, args []string) error {
			return g.run(c.Context(), args)
		},
	}
	c.Flags().IntVarP(&g.lines, "lines", "n", 20, "show this many of the last lines")
	c.Flags().BoolVarP(&g.follow, "follow", "f", false, "wait for more until Ctrl-C")
	return c
}

func (g *localLogs) run(ctx context.Context, args []string) error {
	cl, err := g.load()
	if err != nil {
		return err
	}
	nodes, err := g.nodes(cl, args)
	if err != nil {
		return err
	}
	path := cl.LogFile(nodes[0])
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return refused("node %s has logged nothing yet; start it with logctl local start %s%s", args[0], args[0], g.dirFlag())
	}
	if err != nil {
		return g.failed(err)
	}
	defer f.Close()
	lines, end, err := local.Tail(f, g.lines)
	if err != nil {
		return g.failed(err)
	}
	if _, err := g.out.Write(lines); err != nil || !g.follow {
		return err
	}
	return g.more(ctx, path, f, end)
}

// logStep is how often a log is looked at for more.
const logStep = 200 * time.Millisecond

// more writes what is added to a log until ctx ends, which is no failure. Where a start of the
// node began a new file, it goes on with that.
func (g *localLogs) more(ctx context.Context, path string, f *os.File, at int64) error {
	for ; ctx.Err() == nil; pause(ctx, logStep) {
		n, err := io.Copy(g.out, io.NewSectionReader(f, at, 1<<62))
		if err != nil {
			return err
		}
		at += n
		if next := replaced(path, f); next != nil {
			defer next.Close() // as often as a node is started with a long log
			f, at = next, 0
		}
	}
	return nil
}

// replaced opens the file at path where that is no longer f.
func replaced(path string, f *os.File) *os.File {
	old, err := f.Stat()
	if err != nil {
		return nil
	}
	if info, err := os.Stat(path); err != nil || os.SameFile(info, old) {
		return nil
	}
	next, err := os.Open(path)
	if err != nil {
		return nil
	}
	return next
}
