//go:build linux

// Command soak loads three brokerd processes for a long time with everything at once, checks all that is
// read, and says whether what a node holds and how long an answer takes stayed flat.
//
// The load is modest, so that it can go on beside other work: what is looked for is what grows with time.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"quorumlog/test/internal/nodes"
)

type options struct {
	program string
	length  time.Duration
	rate    float64
	csv     string
}

func main() {
	var o options
	flag.StringVar(&o.program, "program", "bin/brokerd", "the program to load")
	flag.DurationVar(&o.length, "for", time.Hour, "how long")
	flag.Float64Var(&o.rate, "rate", 1, "the load: twice the rate is half of every pause")
	flag.StringVar(&o.csv, "csv", "", "a file for the samples")
	nodes.Main("soak", func(ctx context.Context, dir string) error { return run(ctx, o, dir) })
}

// settings make what happens in days happen in minutes.
var settings = []string{
	"offsets.topic.num.partitions=3", "transaction.state.log.num.partitions=3",
	"offsets.topic.segment.bytes=1048576", "transaction.state.log.segment.bytes=1048576",
	"log.retention.check.interval.ms=5000", "log.cleaner.backoff.ms=2000",
	"producer.id.expiration.ms=60000", "transactional.id.expiration.ms=120000",
	"offsets.retention.check.interval.ms=30000",
	"transaction.remove.expired.transaction.cleanup.interval.ms=30000",
	"group.initial.rebalance.delay.ms=0", "auto.create.topics.enable=false",
}

func run(ctx context.Context, o options, dir string) (err error) {
	c, err := nodes.PrepareBrokerd(o.program, filepath.Join(dir, "cluster"), 3)
	if err != nil {
		return err
	}
	ports, err := nodes.FreePorts(3)
	if err != nil {
		return err
	}
	var admin []string
	for i, port := range ports {
		admin = append(admin, fmt.Sprint("127.0.0.1:", port))
		c.Argv[i] = append(c.Argv[i], "--admin-listen", admin[i])
		for _, s := range settings {
			c.Argv[i] = append(c.Argv[i], "--set", s)
		}
	}
	if _, err := c.LaunchAll(ctx); err != nil {
		return err
	}
	defer func() { err = nodes.Closing(c, err) }()

	l, err := newLoad(ctx, c, o.rate)
	if err != nil {
		return err
	}
	defer l.close()
	working, cancel := context.WithTimeoutCause(ctx, o.length, errOver)
	defer cancel()
	l.start(working)
	s := sampler{cluster: c, admin: admin, load: l, every: max(o.length/samples, time.Second)}
	if err := s.work(working); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	slog.Info("the load ends; what was acknowledged must all be read")
	findings := l.finish(ctx)
	if err := s.series.write(o.csv); err != nil {
		return err
	}
	l.report(os.Stdout)
	flat := s.series.judge(os.Stdout)
	if err := errors.Join(findings...); err != nil {
		return err
	}
	if !flat {
		return errors.New("not flat")
	}
	return nil
}

// errOver is why the load ends when all went well.
var errOver = errors.New("the time is over")

// samples is how many there are.
const samples = 240
