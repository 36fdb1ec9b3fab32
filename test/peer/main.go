//go:build linux

// Command peer measures quorumlog beside Apache Kafka on this machine, round by round in turn, and
// prints a table of medians, of how far the rounds lay apart, and of the ratio.
//
// Both run as they come: quorumlog with every record synced on a majority before it is
// acknowledged, Kafka without any sync. Broker processor time is read from /proc, so that a figure
// per gigabyte holds although the load generator shares the processors; MB/s and milliseconds are
// worth something as ratios alone.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"quorumlog/test/internal/nodes"
)

type options struct {
	brokerd string
	jars    string
	rounds  int
	warm    int
	mb      int
	seconds int
	only    string
}

func main() {
	var o options
	flag.StringVar(&o.brokerd, "brokerd", "bin/brokerd", "the program to measure")
	flag.StringVar(&o.jars, "jars", ".cache/peer/jars", "where Apache Kafka's jars are, or are put by mvn")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds that count")
	flag.IntVar(&o.warm, "warm", 1, "rounds before them, for the JVM and for memory that the machine has not used yet")
	flag.IntVar(&o.mb, "mb", 512, "megabytes of a round")
	flag.IntVar(&o.seconds, "seconds", 10, "seconds of a round at a fixed rate")
	flag.StringVar(&o.only, "only", "", "rows whose name contains this")
	nodes.Main("peer", func(ctx context.Context, dir string) error { return run(ctx, o, dir) })
}

// row is some work, on a cluster of so many nodes.
type row struct {
	name  string
	nodes int
	fresh bool // it starts its own clusters
	do    func(context.Context, measured) (figures, error)
}

// measured is what a row works with.
type measured struct {
	options

	system  system
	cluster *nodes.Cluster // nil where the row is fresh
}

func run(ctx context.Context, o options, dir string) error {
	if err := fetchKafka(ctx, o.jars); err != nil {
		return fmt.Errorf("fetching Apache Kafka: %w", err)
	}
	systems := []system{ours{o.brokerd, filepath.Join(dir, "ours")}, kafka{o.jars, filepath.Join(dir, "kafka")}}
	var t table
	for _, n := range []int{3, 1} {
		if err := measure(ctx, o, systems, n, &t); err != nil {
			return err
		}
	}
	return t.print(os.Stdout, systems)
}

// measure does the rows of one size of cluster. Both clusters run all the time.
func measure(ctx context.Context, o options, systems []system, n int, t *table) (err error) {
	clusters := map[string]*nodes.Cluster{}
	defer func() {
		for _, c := range clusters {
			err = nodes.Closing(c, err)
		}
	}()
	for _, r := range rows() {
		if r.nodes != n || !strings.Contains(r.name, o.only) {
			continue
		}
		for round := -o.warm; round < o.rounds; round++ {
			for i := range systems {
				s := systems[(i+max(round, 0))%len(systems)]
				if clusters[s.name()] == nil && !r.fresh {
					c, err := s.start(ctx, n)
					if err != nil {
						return fmt.Errorf("%s: %w", s.name(), err)
					}
					clusters[s.name()] = c
				}
				fmt.Fprintf(os.Stderr, "%s, round %d: %s\n", r.name, round, s.name())
				f, err := r.do(ctx, measured{o, s, clusters[s.name()]})
				if err != nil {
					return fmt.Errorf("%s: %s: %w", r.name, s.name(), err)
				}
				if round >= 0 {
					t.add(r.name, s.name(), f)
				}
			}
		}
	}
	return nil
}
