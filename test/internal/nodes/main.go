//go:build linux

package nodes

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Main is what such tools are as programs: it parses the flags, runs the tool in a directory of its
// own, and exits with status 1 where that fails. The context ends when the program is told to stop. The
// directory of a tool that failed stays: the nodes' logs in it tell why.
func Main(tool string, run func(ctx context.Context, dir string) error) {
	flag.Parse()
	if err := runIn(tool, run); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", tool, err)
		os.Exit(1)
	}
}

func runIn(tool string, run func(ctx context.Context, dir string) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp("", tool+"-")
	if err != nil {
		return err
	}
	err = run(ctx, dir)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w (the nodes' logs are in %s)", err, dir)
	}
	return errors.Join(err, os.RemoveAll(dir))
}
