//go:build linux

// Command growth measures what a gigabyte costs as a cluster and its load grow: with the number of
// partitions, producers, consumers and replicas. It writes a line for every point, the median of some
// rounds, to a CSV file, in which points that are measured again take the place of the old ones.
package main

import (
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"quorumlog/test/internal/nodes"
)

type options struct {
	program string
	only    string
	csv     string
	rounds  int
	mb      int
}

func main() {
	var o options
	flag.StringVar(&o.program, "program", "bin/brokerd", "the program to measure")
	flag.StringVar(&o.only, "only", "", "one axis: partitions, producers, consumers, replicas, or batch, KiB")
	flag.StringVar(&o.csv, "csv", "growth.csv", "the file of figures")
	flag.IntVar(&o.rounds, "rounds", 3, "rounds of each point; the median counts")
	flag.IntVar(&o.mb, "mb", 256, "megabytes of a round")
	nodes.Main("growth", func(ctx context.Context, dir string) error { return run(ctx, o, dir) })
}

// point is one size of everything.
type point struct {
	axis                                        string
	value                                       int
	nodes, partitions, producers, consumers, mb int
	batch                                       int // the most KiB of one
}

// most is the largest batch, in KiB.
const most = 900

// points are all of them. What is measured is writing, but along the axis of consumers: there it is
// reading. The axis of batches tells what comes of smaller batches alone, which more partitions bring.
func points(mb int) (all []point) {
	for _, n := range []int{6, 60, 600} {
		all = append(all, point{"partitions", n, 3, n, 1, 0, mb, most})
	}
	for _, n := range []int{1, 10, 100} {
		all = append(all, point{"producers", n, 3, 6, n, 0, mb, most})
	}
	for _, n := range []int{1, 10, 100} {
		all = append(all, point{"consumers", n, 3, 6, 1, n, mb / 4, most})
	}
	for _, n := range []int{1, 3, 5} {
		all = append(all, point{"replicas", n, n, 6, 1, 0, mb, most})
	}
	for _, n := range []int{20, 80, 320, most} {
		all = append(all, point{"batch, KiB", n, 3, 6, 1, 0, mb, n})
	}
	return all
}

// head is the first line of the file, sample what was measured at a point.
var head = []string{"axis", "value", "broker CPU-s/GB", "MB/s", "memory of a node, MiB", "KiB a batch"}

type sample [4]float64

func run(ctx context.Context, o options, dir string) error {
	for _, p := range points(o.mb) {
		if o.only != "" && o.only != p.axis {
			continue
		}
		s, err := median(ctx, o, p, dir)
		if err != nil {
			return fmt.Errorf("%d %s: %w", p.value, p.axis, err)
		}
		line := []string{p.axis, strconv.Itoa(p.value)}
		for _, v := range s {
			line = append(line, strconv.FormatFloat(v, 'f', 2, 64))
		}
		fmt.Println(line)
		if err := put(o.csv, line); err != nil {
			return err
		}
	}
	return nil
}

// median measures a point on a cluster of its own.
func median(ctx context.Context, o options, p point, dir string) (m sample, err error) {
	c, err := nodes.Brokerd(ctx, o.program, filepath.Join(dir, "cluster"), p.nodes)
	if err != nil {
		return m, err
	}
	defer func() { err = nodes.Closing(c, err) }()
	var all []sample
	for round := -1; round < o.rounds; round++ { // one more, for memory that the machine has not used yet
		s, err := p.measure(ctx, c)
		if err != nil {
			return m, err
		}
		if round >= 0 {
			all = append(all, s)
		}
	}
	for i := range m {
		slices.SortFunc(all, func(a, b sample) int { return cmp.Compare(a[i], b[i]) })
		m[i] = all[len(all)/2][i]
	}
	return m, nil
}

// put writes a line where the same point was, or at the end.
func put(path string, line []string) error {
	all := [][]string{head}
	f, err := os.Open(path)
	if err == nil {
		all, err = csv.NewReader(f).ReadAll()
		f.Close()
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if i := slices.IndexFunc(all, func(l []string) bool { return slices.Equal(l[:2], line[:2]) }); i >= 0 {
		all[i] = line
	} else {
		all = append(all, line)
	}
	f, err = os.Create(path)
	if err != nil {
		return err
	}
	defer f.Close()
	w := csv.NewWriter(f)
	if err := w.WriteAll(all); err != nil {
		return err
	}
	return f.Close()
}
