// Command logctl works with a cluster of brokers that speak Kafka's protocol: topics, records,
// consumer groups, and, offline, the files of a log. docs/logctl.md describes it.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"quorumlog/cmd/logctl/internal/render"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)   // a second Ctrl-C ends the process at once
	signal.Ignore(syscall.SIGPIPE) // a closed pipe is an error of Write, so that deferred work is done
	os.Exit(run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit status.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out := &pipe{w: stdout, broken: cancel}
	a := &app{
		in: stdin, out: out, err: stderr, env: os.Getenv, now: time.Now,
		interactive: render.IsTerminal(stdin) && render.IsTerminal(stderr),
		color:       render.WantsColor(stdout, os.Getenv),
		progress:    func() *render.Progress { return render.NewProgress(stderr) },
	}
	a.width, a.height = render.Size(stdout)
	return a.run(ctx, args)
}

func (a *app) run(ctx context.Context, args []string) int {
	root := newRoot(a)
	root.SetArgs(args)
	root.SetIn(a.in)
	root.SetOut(a.out)
	root.SetErr(a.err)
	err := root.ExecuteContext(ctx)
	switch {
	case a.out.closed.Load(), err == nil:
		return statusDone
	case ctx.Err() != nil:
		return statusInterrupted
	}
	f := a.explain(err, "")
	fmt.Fprintln(a.err, "logctl: "+f.message)
	return f.status
}

// pipe is the standard output. Once its reader has gone, it stops the command and swallows what
// is still written.
type pipe struct {
	w      io.Writer
	broken func()
	closed atomic.Bool
}

func (p *pipe) Write(b []byte) (int, error) {
	if p.closed.Load() {
		return len(b), nil
	}
	n, err := p.w.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		p.closed.Store(true)
		p.broken()
		return len(b), nil
	}
	return n, err
}
