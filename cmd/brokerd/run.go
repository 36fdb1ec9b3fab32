package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"quorumlog/broker/config"
)

// Exit statuses.
const (
	exitDone    = 0
	exitFailed  = 1
	exitMisused = 2
)

// stopTimeout bounds a graceful stop: leaderships move away, requests in work are answered, and
// everything is flushed. It leaves a second of the ten that are promised.
const stopTimeout = 9 * time.Second

// server is a running broker.
type server struct {
	addr   net.Addr        // where Kafka's protocol is spoken
	failed <-chan struct{} // closed when the broker cannot go on
	err    func() error    // the reason, then
	close  func(context.Context) error
}

// opener starts a broker.
type opener func(context.Context, *options, *config.Values, *slog.Logger) (server, error)

// run is the whole program: it returns when ctx ends or the broker cannot start.
func run(ctx context.Context, args, env []string, stdout, stderr io.Writer) int {
	boundGarbage(env)
	return runWith(ctx, args, env, stdout, stderr, openBroker)
}

func runWith(ctx context.Context, args, env []string, stdout, stderr io.Writer, open opener) int {
	req, err := parseArgs(args)
	if err == nil && req.show != pageNone {
		req.show.write(stdout)
		return exitDone
	}
	var o *options
	var values *config.Values
	if err == nil {
		o, values, err = prepare(req.flags, env)
	}
	if err != nil {
		fmt.Fprintf(stderr, "brokerd: %v\n", err)
		return exitMisused
	}
	log := newLogger(stderr, o)
	boundMemory(env, log, memlimit.FromCgroup)
	if err := serve(ctx, o, values, log, open); err != nil {
		log.Error(err.Error())
		return exitFailed
	}
	return exitDone
}

func prepare(flags []given, env []string) (*options, *config.Values, error) {
	o, err := resolve(flags, newEnvironment(env))
	if err != nil {
		return nil, nil, err
	}
	values, err := config.NewValues(o.settings)
	return o, values, err
}

func newLogger(w io.Writer, o *options) *slog.Logger {
	h := &slog.HandlerOptions{Level: o.logLevel}
	if o.logFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, h))
	}
	return slog.New(slog.NewTextHandler(w, h))
}

// serve starts the broker, waits for ctx, and stops it.
func serve(ctx context.Context, o *options, values *config.Values, log *slog.Logger, open opener) error {
	begin := time.Now()
	log.Info("broker starting", "version", version(), "node", o.nodeID, "data", o.dataDir)
	b, err := open(ctx, o, values, log)
	if err != nil {
		return failedStart(ctx, err, o)
	}
	log.Info("broker ready", "kafka", b.addr.String(), "data", o.dataDir, "node", o.nodeID, "took", time.Since(begin).Round(time.Microsecond))

	select {
	case <-ctx.Done():
	case <-b.failed:
		err = fmt.Errorf("stopped because it could not go on: %w", b.err())
	}
	return errors.Join(err, shutDown(ctx, b, o, log))
}

// failedStart is no failure when brokerd was told to stop meanwhile.
func failedStart(ctx context.Context, err error, o *options) error {
	select {
	case <-ctx.Done():
		return nil
	default:
		return fmt.Errorf("cannot start: %w", explain(err, o))
	}
}

func shutDown(ctx context.Context, b server, o *options, log *slog.Logger) error {
	begin := time.Now()
	log.Info("broker stopping", "node", o.nodeID, "at most", stopTimeout)
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := b.close(closing); err != nil {
		return fmt.Errorf("did not stop cleanly; what was acknowledged is safe: %w", err)
	}
	log.Info("broker stopped", "node", o.nodeID, "took", time.Since(begin).Round(time.Microsecond))
	return nil
}

// explain adds the remedy to an error of the operating system.
func explain(err error, o *options) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "listen" || op.Addr == nil {
		return err
	}
	flag := flagOf(op.Addr.String(), o)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("%s is in use by another program; stop it, or choose another address with %s", op.Addr, flag)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("no permission to listen on %s; choose a port above 1023 with %s", op.Addr, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this machine; choose one with %s", op.Addr, flag)
	}
	return err
}

// flagOf returns the flag that asked to listen on addr, judged by the port.
func flagOf(addr string, o *options) string {
	_, port, _ := net.SplitHostPort(addr)
	for _, f := range []struct{ name, addr string }{{"--raft-listen", o.raftListen}, {"--admin-listen", o.adminListen}} {
		if _, p, err := net.SplitHostPort(f.addr); err == nil && p == port {
			return f.name
		}
	}
	return "--listen"
}
