package main

import (
	"fmt"

	"quorumlog/cmd/logctl/internal/segfile"
	"quorumlog/record"

	"github.com/spf13/cobra"
)

func newLog(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "log",
		Short:   "Read a log's files, without a broker",
		Example: "  logctl log verify data\n  logctl log dump data/topics/orders-*/0 --records",
	}
	return group(c, newLogDump(a), newLogVerify(a))
}

// segments finds the data files that paths name.
func segments(paths []string) ([]string, error) {
	files, err := segfile.Find(paths)
	if err != nil {
		return nil, usage("cannot read the log: %v", err)
	}
	return files, nil
}

// isHidden is true for the log's own batches, which occupy no offset: a segment's header and
// Raft's entries.
func isHidden(b record.Batch) bool { return b.IsControl() && b.LastOffsetDelta() == -1 }

// controlNames says what control records mean: Kafka's own below 100, this log's above.
var controlNames = map[record.ControlType]string{
	0: "abort", 1: "commit", 2: "leader change", 3: "snapshot header", 4: "snapshot footer", 5: "kraft version", 6: "kraft voters",
	100: "segment header", 102: "no-op", 103: "configuration", 104: "barrier", 105: "command",
}

// kindOf says what a batch is: data, or what its control record means.
func kindOf(b record.Batch) string {
	if !b.IsControl() {
		return "data"
	}
	t, _, err := b.ControlRecord()
	if err != nil {
		return "control"
	}
	if name, ok := controlNames[t]; ok {
		return name
	}
	return fmt.Sprintf("control %d", t)
}
