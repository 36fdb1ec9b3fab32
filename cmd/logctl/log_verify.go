package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"quorumlog/cmd/logctl/internal/render"
	"quorumlog/log"
	"quorumlog/record"

	"github.com/spf13/cobra"
)

// verifiedPartition is an element of the JSON of "log verify".
type verifiedPartition struct {
	Path        string  `json:"path"`
	Segments    int     `json:"segments"`
	Bytes       int64   `json:"bytes"` // in batches
	Batches     int64   `json:"batches"`
	Records     int64   `json:"records"`
	StartOffset int64   `json:"start_offset"` // of the first segment
	EndOffset   int64   `json:"end_offset"`
	Problem     *string `json:"problem"` // the first
	// Indexes are what is wrong with indexes of aborted transactions. A broker makes them anew.
	Indexes []string `json:"index_problems"`
}

type logVerify struct{ *app }

func newLogVerify(a *app) *cobra.Command {
	v := &logVerify{a}
	return &cobra.Command{
		Use:   "verify PATH…",
		Short: "Check segment files from end to end",
		Long: `Check segment files (*.log), or all partitions below a directory: every batch's checksum, that its
records can be unpacked and lie within its offsets, that offsets, entries and epochs follow each
other from file to file, and that nothing but empty space follows the last batch. Of partitions also
the indexes of aborted transactions (*.txn) are checked, against the batches. Nothing is changed. The
status is 1 where anything is wrong. The broker should be stopped: a batch that is being written
looks torn.`,
		Example: "  logctl log verify data\n  logctl log verify data/topics/orders-*/0 -o json",
		Args:    arguments(1, -1),
		RunE: func(c *cobra.Command, paths []string) error {
			return v.run(c.Context(), paths)
		},
	}
}

func (v *logVerify) run(ctx context.Context, paths []string) error {
	found, err := partitions(paths)
	if err != nil {
		return err
	}
	progress := v.progress()
	results := []verifiedPartition{}
	damaged, indexes := int64(0), int64(0)
	for i, path := range found {
		progress.Set(int64(i), int64(len(found)), fmt.Sprintf("%d of %s", i, render.Plural(int64(len(found)), "partition")))
		r, err := verify(ctx, path)
		if err != nil {
			progress.Done()
			return err
		}
		switch {
		case r.Problem != nil:
			damaged++
		case len(r.Indexes) > 0:
			indexes++
		}
		results = append(results, r)
	}
	progress.Done()
	if err := v.report(results); err != nil {
		return err
	}
	if damaged > 0 {
		return refused("%s of %s damaged; a broker that keeps replicas elsewhere rebuilds a partition whose directory is moved away while it is stopped",
			render.Count(damaged), areOf(int64(len(found)), "partition"))
	}
	if indexes > 0 {
		return refused("the index of aborted transactions is damaged in %s of %s; \"logctl log repair\" makes it anew, as a broker does when a reader needs it",
			render.Count(indexes), render.Plural(int64(len(found)), "partition"))
	}
	return nil
}

func areOf(n int64, noun string) string {
	if n == 1 {
		return render.Plural(n, noun) + " is"
	}
	return render.Plural(n, noun) + " are"
}

// verify reads a partition, or one segment file. The error is for what is no property of its
// content.
func verify(ctx context.Context, path string) (verifiedPartition, error) {
	out := verifiedPartition{Path: path, StartOffset: -1, Indexes: []string{}}
	indexes, err := checkIndexes(path)
	if err != nil {
		return out, err
	}
	batches, ended := log.Inspect(path)
	for b := range batches {
		if ctx.Err() != nil {
			return out, ctx.Err()
		}
		if indexes != nil {
			indexes.See(b)
		}
		if why := out.add(b); why != "" {
			text := (&log.Problem{Path: b.Path, Position: b.Position, Reason: why}).Error()
			out.Problem = &text
			return out, nil
		}
	}
	err = ended()
	var problem *log.Problem
	if errors.As(err, &problem) {
		text := problem.Error()
		out.Problem = &text
		return out, nil
	}
	if err == nil && indexes != nil {
		var damaged []*log.DamagedAborted
		damaged, err = indexes.Damaged()
		for _, d := range damaged {
			out.Indexes = append(out.Indexes, d.Error())
		}
	}
	if err != nil {
		return out, usage("cannot read the log: %v", err)
	}
	return out, nil
}

// checkIndexes begins a check of a partition's indexes of aborted transactions; nil for a file, which
// does not tell of the transactions that began before it.
func checkIndexes(path string) (*log.AbortedCheck, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		return nil, nil
	}
	indexes, err := log.CheckAborted(path)
	if err != nil {
		return nil, usage("cannot read the log: %v", err)
	}
	return indexes, nil
}

// add counts a batch, and says what is wrong with it; "" where nothing is.
func (v *verifiedPartition) add(b log.Stored) string {
	v.Bytes += int64(len(b.Batch))
	if v.StartOffset < 0 {
		v.StartOffset, v.EndOffset = b.Batch.BaseOffset(), b.Batch.BaseOffset()
	}
	switch b.Kind {
	case log.KindSegment:
		v.Segments++
	case log.KindData:
		v.Batches++
		v.Records += int64(b.Batch.NumRecords())
		v.EndOffset = b.Batch.NextOffset()
		return unreadable(b.Batch)
	default:
		v.Batches++
	}
	return ""
}

// unreadable says what is wrong with a batch's records; "" where nothing is.
func unreadable(b record.Batch) string {
	at := b.BaseOffset()
	seq, failed := b.Records(record.DefaultMaxDecompressed)
	for r := range seq {
		if r.Offset < at || r.Offset > b.LastOffset() {
			return fmt.Sprintf("record %d lies outside its place in the batch %d-%d", r.Offset, b.BaseOffset(), b.LastOffset())
		}
		at = r.Offset + 1
	}
	if err := failed(); err != nil {
		return fmt.Sprintf("the records from offset %d cannot be read: %v", b.BaseOffset(), err)
	}
	return ""
}

func (v *logVerify) report(results []verifiedPartition) error {
	table := render.NewTable("PARTITION~", "SEGMENTS>", "BATCHES>", "RECORDS>", "START>", "END>", "SIZE>", "")
	damage := render.Fields{}
	for _, r := range results {
		result := render.Styled(render.Good, "ok")
		if r.Problem != nil {
			result = render.Styled(render.Bad, "damaged")
			damage = append(damage, render.Field{Name: "damaged", Value: *r.Problem})
		} else if len(r.Indexes) > 0 {
			result = render.Styled(render.Warn, "damaged index")
		}
		for _, why := range r.Indexes {
			damage = append(damage, render.Field{Name: "damaged", Value: why})
		}
		table.Row(r.Path, r.Segments, r.Batches, r.Records, r.StartOffset, r.EndOffset, render.Bytes(r.Bytes), result)
	}
	if len(damage) == 0 {
		return v.print(results, table)
	}
	return v.print(results, table, damage)
}
