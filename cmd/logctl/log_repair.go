package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quorumlog/cmd/logctl/internal/local"
	"quorumlog/cmd/logctl/internal/render"
	"quorumlog/log"

	"github.com/spf13/cobra"
)

// repairedPartition is an element of the JSON of "log repair".
type repairedPartition struct {
	Path      string   `json:"path"`
	Problem   string   `json:"problem"`
	Action    string   `json:"action"`     // "cut", or "rebuild" an index of aborted transactions
	File      string   `json:"file"`       // that becomes the last, or is made anew
	Size      int64    `json:"size"`       // bytes that stay of it
	Bytes     int64    `json:"bytes"`      // that go of it
	Dropped   []string `json:"dropped"`    // files that go whole
	EndOffset int64    `json:"end_offset"` // from then on
	Lost      int64    `json:"lost"`       // offsets that go, as far as anything tells
	Done      bool     `json:"done"`       // false: a plan

	do func() error
}

const (
	repairCut     = "cut"
	repairRebuild = "rebuild"
)

type logRepair struct {
	*app
	yes, only bool
}

func newLogRepair(a *app) *cobra.Command {
	r := &logRepair{app: a}
	c := &cobra.Command{
		Use:   "repair PATH…",
		Short: "End damaged partitions before the damage, so that a broker opens them",
		Long: `Find the first damage in partitions below a directory, such as a broker's --data-dir, and end their
logs before it. What would go is shown: which file is cut at which byte, which files go whole, which
offsets are lost. Nothing is changed without --yes; then what goes is set aside beside the log, in files
whose names end in .cut-TIME, and nothing is deleted. After an interruption, run it again. Damaged indexes
of aborted transactions (*.txn) are made anew from the batches, by which nothing is lost.

A cut is for a partition of which there is no other replica. One that has others is rebuilt from them
without loss: move its directory away while the broker is stopped. A replica that was cut has forgotten
what it acknowledged, so --only-replica must say that it is the only one. The broker must be stopped.`,
		Example: `  logctl log repair data
  logctl log repair data/topics/orders-*/0 --only-replica --yes`,
		Args: arguments(1, -1),
		RunE: func(c *cobra.Command, paths []string) error {
			return r.run(c.Context(), paths)
		},
	}
	c.Flags().BoolVarP(&r.yes, "yes", "y", false, "do it")
	c.Flags().BoolVar(&r.only, "only-replica", false, "these partitions have no other replica")
	return c
}

func (r *logRepair) run(ctx context.Context, paths []string) error {
	found, err := partitions(paths)
	if err != nil {
		return err
	}
	held, err := lockAll(found)
	defer func() {
		for _, f := range held {
			f.Close()
		}
	}()
	if err != nil {
		return err
	}
	results := []repairedPartition{}
	progress := r.progress()
	for i, path := range found {
		progress.Set(int64(i), int64(len(found)), fmt.Sprintf("%d of %s ", i, render.Plural(int64(len(found)), "partition")))
		if info, err := os.Stat(path); err == nil && !info.IsDir() {
			progress.Done()
			return usage("%s is a file; name its directory, for what follows it goes too", path)
		}
		cut, indexes, err := log.FindCut(path)
		if ctx.Err() != nil {
			err = ctx.Err()
		}
		switch {
		case errors.Is(err, log.ErrNothingWhole):
			progress.Done()
			return refused("%v, so there is nothing to keep; restore its files from elsewhere, or move %s away", err, path)
		case errors.Is(err, log.ErrCompactedDamage):
			progress.Done()
			return refused("%v, which cannot be cut; restore the files of %s from elsewhere", err, path)
		case err != nil:
			progress.Done()
			return fmt.Errorf("cannot read the log: %w", err)
		}
		if cut != nil {
			results = append(results, repairedPartition{
				Path: path, Problem: cut.Problem, Action: repairCut, File: cut.Path, Size: cut.Size, Bytes: cut.Bytes,
				Dropped: append([]string{}, cut.Dropped...), EndOffset: cut.EndOffset, Lost: cut.Known - cut.EndOffset,
				do: func() error { return cut.Make(fmt.Sprint(r.now().UnixMilli())) },
			})
		}
		for _, d := range indexes {
			results = append(results, repairedPartition{Path: path, Problem: d.Error(), Action: repairRebuild, File: d.Path, Dropped: []string{}, do: d.Rebuild})
		}
	}
	progress.Done()
	return r.finish(ctx, results, len(found))
}

// finish does the repairs, or shows them.
func (r *logRepair) finish(ctx context.Context, results []repairedPartition, checked int) error {
	if len(results) == 0 {
		r.note("Nothing is damaged in %s.", render.Plural(int64(checked), "partition"))
		if r.format == render.AsTable {
			return nil
		}
		return r.print(results)
	}
	cuts := slices.ContainsFunc(results, func(x repairedPartition) bool { return x.Action == repairCut })
	if r.yes && cuts && !r.only {
		return usage("a replica that is cut forgets what it acknowledged; where the partition has others, move the directory away instead and let the broker rebuild it, and where it has none say so with --only-replica")
	}
	var failed error
	for i := range results {
		if !r.yes || failed != nil || ctx.Err() != nil {
			break
		}
		if failed = results[i].do(); failed == nil {
			results[i].Done = true
		}
	}
	var parts []render.Part
	for _, x := range results {
		parts = append(parts, x.fields())
	}
	if err := r.print(results, parts...); err != nil {
		return err
	}
	switch {
	case failed != nil:
		return refused("cannot repair the log: %v; run it again when that is mended", failed)
	case ctx.Err() != nil:
		return ctx.Err()
	case !r.yes:
		return r.planned(results, checked, cuts)
	}
	return nil
}

// planned says how to have the repairs done.
func (r *logRepair) planned(results []repairedPartition, checked int, cuts bool) error {
	if cuts {
		r.note("Nothing was changed; add --only-replica --yes to do it, where there is no other replica.")
	} else {
		r.note("Nothing was changed; add --yes to do it.")
	}
	damaged := map[string]bool{}
	for _, x := range results {
		damaged[x.Path] = true
	}
	return refused("%s of %s damaged", render.Count(int64(len(damaged))), areOf(int64(checked), "partition"))
}

func (x repairedPartition) fields() render.Fields {
	verb, style := x.Action, render.Warn
	if x.Done {
		verb, style = map[string]string{repairCut: "was cut", repairRebuild: "was rebuilt"}[x.Action], render.Good
	}
	f := render.Fields{
		{Name: "partition", Value: x.Path},
		{Name: "problem", Value: render.Styled(render.Bad, x.Problem)},
	}
	if x.Action == repairRebuild {
		return append(f, render.Field{Name: verb, Value: render.Styled(style, x.File)})
	}
	f = append(f, render.Field{Name: verb, Value: render.Styled(style, fmt.Sprintf("%s at byte %d; %s after it go", x.File, x.Size, render.Bytes(x.Bytes)))})
	if len(x.Dropped) > 0 {
		f = append(f, render.Field{Name: "dropped", Value: strings.Join(x.Dropped, ", ")})
	}
	lost := "nothing that is known of"
	if x.Lost > 0 {
		lost = fmt.Sprintf("offsets %d to %d", x.EndOffset, x.EndOffset+x.Lost-1)
	}
	return append(f, render.Field{Name: "lost", Value: lost})
}

// lockAll takes the locks of the data directories that paths lie in, so that no broker starts
// meanwhile. A path in none is not locked.
func lockAll(paths []string) (held []*os.File, err error) {
	seen := map[string]bool{}
	for _, p := range paths {
		dir, err := dataDir(p)
		if err != nil {
			return held, usage("cannot read the log: %v", err)
		}
		if dir == "" || seen[dir] {
			continue
		}
		seen[dir] = true
		f, err := local.LockFile(filepath.Join(dir, brokerLock))
		if errors.Is(err, local.ErrBusy) {
			return held, refused("a broker runs over %s; stop it first, for it writes to these files", dir)
		}
		if err != nil {
			return held, usage("cannot lock %s: %v", dir, err)
		}
		held = append(held, f)
	}
	return held, nil
}

// Files that stand in a broker's data directory.
const (
	brokerLock = ".lock"
	brokerNode = "node.json"
)

// dataDir is the broker's data directory that a path lies in; "" where it lies in none.
func dataDir(path string) (string, error) {
	dir, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, brokerNode)); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", nil
		}
		dir = parent
	}
}
