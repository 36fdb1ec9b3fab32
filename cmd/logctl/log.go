package main

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"quorumlog/log"
	"quorumlog/record"

	"github.com/spf13/cobra"
)

func newLog(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "log",
		Short:   "Read and repair a log's files, without a broker",
		Example: "  logctl log verify data\n  logctl log dump data/topics/orders-*/0 --records",
	}
	return group(c, newLogDump(a), newLogVerify(a), newLogRepair(a))
}

// partitions finds what paths name: segment files, and all directories that hold some, there or
// below, sorted.
func partitions(paths []string) ([]string, error) {
	var out []string
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, usage("cannot read the log: %v", err)
		}
		if p, err = filepath.EvalSymlinks(p); err != nil { // a data directory may be a link
			return nil, usage("cannot read the log: %v", err)
		}
		if !info.IsDir() {
			out = append(out, p)
			continue
		}
		before := len(out)
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && isSegment(d.Name()) && (len(out) == 0 || out[len(out)-1] != filepath.Dir(path)) {
				out = append(out, filepath.Dir(path))
			}
			return err
		})
		if err != nil {
			return nil, usage("cannot read the log: %v", err)
		}
		if len(out) == before {
			return nil, usage("%s holds no segment files (*.log)", p)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// isSegment is true for the name of a segment's data file: its base offset in 20 digits.
func isSegment(name string) bool {
	ok, _ := filepath.Match("[0-9]*[0-9].log", name)
	return ok && len(name) == len("00000000000000000000.log")
}

// controlNames says what Kafka's control records mean.
var controlNames = map[record.ControlType]string{record.ControlAbort: "abort", record.ControlCommit: "commit"}

// kindOf says what a batch is: data, what its control record means, or what it is to Raft.
func kindOf(s log.Stored) string {
	if s.Kind != log.KindData || !s.Batch.IsControl() {
		return s.Kind.String()
	}
	t, _, err := s.Batch.ControlRecord()
	if name, ok := controlNames[t]; ok && err == nil {
		return name
	}
	return fmt.Sprintf("control %d", t)
}
