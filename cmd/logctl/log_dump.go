package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"quorumlog/cmd/logctl/internal/recordio"
	"quorumlog/cmd/logctl/internal/render"
	"quorumlog/log"
	"quorumlog/record"

	"github.com/spf13/cobra"
)

// dumpedBatch is a line of the JSON of "log dump".
type dumpedBatch struct {
	File          string         `json:"file"`
	Index         uint64         `json:"index"` // of Raft's entry; a segment's header has that of the first to follow
	Position      int64          `json:"position"`
	Size          int            `json:"size"`
	Kind          string         `json:"kind"` // "data", what a control batch means, or what an entry without offsets is to Raft
	BaseOffset    int64          `json:"base_offset"`
	LastOffset    int64          `json:"last_offset"` // base_offset less 1: it occupies no offset
	LeaderEpoch   int32          `json:"leader_epoch"`
	Records       int32          `json:"records"`
	Compression   string         `json:"compression"`
	BaseTimestamp int64          `json:"base_timestamp"` // milliseconds since 1970
	MaxTimestamp  int64          `json:"max_timestamp"`
	LogAppendTime bool           `json:"log_append_time"`
	Transactional bool           `json:"transactional"`
	ProducerID    int64          `json:"producer_id"` // -1: none
	ProducerEpoch int16          `json:"producer_epoch"`
	BaseSequence  int32          `json:"base_sequence"`
	CRCValid      bool           `json:"crc_valid"`
	Content       []dumpedRecord `json:"content,omitempty"` // with --records
	Error         string         `json:"error,omitempty"`
}

// dumpedAborted is a line of the JSON of "log dump --aborted".
type dumpedAborted struct {
	File             string `json:"file"`
	Position         int64  `json:"position"`
	ProducerID       int64  `json:"producer_id"`
	FirstOffset      int64  `json:"first_offset"`
	LastOffset       int64  `json:"last_offset"`        // of the marker
	LastStableOffset int64  `json:"last_stable_offset"` // when the marker was applied
}

type dumpedRecord struct {
	Offset        int64             `json:"offset"`
	Timestamp     int64             `json:"timestamp"`
	Key           *string           `json:"key"`
	KeyEncoding   string            `json:"key_encoding,omitempty"`
	Value         *string           `json:"value"`
	ValueEncoding string            `json:"value_encoding,omitempty"`
	Headers       []recordio.Header `json:"headers"`
}

type logDump struct {
	*app
	records bool
	all     bool
	aborted bool
	from    int64
	limit   int64
}

func newLogDump(a *app) *cobra.Command {
	d := &logDump{app: a}
	c := &cobra.Command{
		Use:   "dump PATH…",
		Short: "Show the batches in segment files",
		Long: `Show the batches in segment files (*.log), or in all that are below a directory. The broker may
run. Batches without offsets, which are the log's own, are shown with --all. With --aborted the indexes
of aborted transactions (*.txn) are shown instead: each transaction's offsets in its segment.

With -o json each batch, or transaction, is an object on a line.`,
		Example: `  logctl log dump data/topics/orders-*/0
  logctl log dump 00000000000000000000.log --records --from 1200 -n 10 -o json
  logctl log dump data/topics/orders-*/0 --aborted`,
		Args: arguments(1, -1),
		RunE: func(c *cobra.Command, paths []string) error {
			if d.format == render.AsYAML {
				return usage("log dump writes text or, with -o json, an object a line; not yaml")
			}
			if d.aborted && (d.records || d.all) {
				return usage("--aborted shows no batches, so neither --records nor --all goes with it")
			}
			return d.run(c.Context(), paths)
		},
	}
	f := c.Flags()
	f.BoolVar(&d.records, "records", false, "show the records in each batch")
	f.BoolVar(&d.all, "all", false, "show batches without offsets too")
	f.BoolVar(&d.aborted, "aborted", false, "show which transactions were aborted, by the segments' indexes")
	f.Int64Var(&d.from, "from", 0, "begin at the batch that holds this offset")
	f.Int64VarP(&d.limit, "number", "n", 0, "stop after this many batches of each partition")
	return c
}

func (d *logDump) run(ctx context.Context, paths []string) error {
	found, err := partitions(paths)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(d.out)
	var damaged []*failure
	for _, path := range found {
		show := d.partition
		if d.aborted {
			show = d.abortedOf
		}
		err := show(ctx, out, path)
		var problem *log.Problem
		if errors.As(err, &problem) {
			damaged = append(damaged, refused("%v", problem))
			continue
		}
		if err != nil {
			return errors.Join(out.Flush(), err)
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return firstOf(damaged)
}

func (d *logDump) partition(ctx context.Context, out *bufio.Writer, path string) error {
	batches, ended := log.Inspect(path)
	shown, file := int64(0), ""
	for b := range batches {
		hidden := b.Kind != log.KindData
		if hidden && !d.all || !hidden && b.Batch.LastOffset() < d.from {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if d.format == render.AsTable && b.Path != file {
			file = b.Path
			fmt.Fprintln(out, file)
		}
		if err := d.write(out, describeBatch(b, d.records)); err != nil {
			return err
		}
		if shown++; shown == d.limit {
			break
		}
	}
	return ended()
}

// abortedOf shows a partition's aborted transactions.
func (d *logDump) abortedOf(ctx context.Context, out *bufio.Writer, path string) error {
	records, ended := log.InspectAborted(path)
	shown, file := int64(0), ""
	for a := range records {
		if a.Last < d.from {
			continue
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := d.writeAborted(out, a, &file); err != nil {
			return err
		}
		if shown++; shown == d.limit {
			break
		}
	}
	return ended()
}

// writeAborted shows one; file is the file that was last named.
func (d *logDump) writeAborted(out *bufio.Writer, a log.StoredAborted, file *string) error {
	if d.format == render.AsJSON {
		return json.NewEncoder(out).Encode(dumpedAborted{a.Path, a.Position, a.ProducerID, a.First, a.Last, a.Stable})
	}
	if a.Path != *file {
		*file = a.Path
		fmt.Fprintln(out, a.Path)
	}
	_, err := fmt.Fprintf(out, "  @%d  producer %d  offsets %d-%d  last stable offset %d\n", a.Position, a.ProducerID, a.First, a.Last, a.Stable)
	return err
}

func describeBatch(s log.Stored, records bool) dumpedBatch {
	b := s.Batch
	out := dumpedBatch{
		File: s.Path, Index: s.Index, Position: s.Position, Size: len(b), Kind: kindOf(s),
		BaseOffset: b.BaseOffset(), LastOffset: b.LastOffset(), LeaderEpoch: b.LeaderEpoch(), Records: b.NumRecords(),
		Compression: b.Codec().String(), BaseTimestamp: b.BaseTimestamp(), MaxTimestamp: b.MaxTimestamp(),
		LogAppendTime: b.IsLogAppendTime(), Transactional: b.IsTransactional(),
		ProducerID: b.ProducerID(), ProducerEpoch: b.ProducerEpoch(), BaseSequence: b.BaseSequence(), CRCValid: b.ValidCRC(),
	}
	if !records || b.IsControl() {
		return out
	}
	seq, failed := b.Records(record.DefaultMaxDecompressed)
	for r := range seq {
		out.Content = append(out.Content, describeRecord(r))
	}
	if err := failed(); err != nil {
		out.Error = err.Error()
	}
	return out
}

func describeRecord(r record.Record) dumpedRecord {
	out := dumpedRecord{Offset: r.Offset, Timestamp: r.Timestamp, Headers: []recordio.Header{}}
	out.Key, out.KeyEncoding = recordio.Text(r.Key)
	out.Value, out.ValueEncoding = recordio.Text(r.Value)
	for _, h := range r.Headers {
		v, encoding := recordio.Text(h.Value)
		out.Headers = append(out.Headers, recordio.Header{Key: h.Key, Value: v, ValueEncoding: encoding})
	}
	return out
}

func (d *logDump) write(out *bufio.Writer, b dumpedBatch) error {
	if d.format == render.AsJSON {
		enc := json.NewEncoder(out)
		enc.SetEscapeHTML(false)
		return enc.Encode(b)
	}
	fmt.Fprintf(out, "  %s\n", b.line())
	for _, r := range b.Content {
		fmt.Fprintf(out, "    %d  %s  %s %s\n", r.Offset, render.Time(r.Timestamp), quoted(r.Key), quoted(r.Value))
	}
	if b.Error != "" {
		fmt.Fprintf(out, "    %s\n", b.Error)
	}
	return nil
}

// line is the batch on one line.
func (b dumpedBatch) line() string {
	parts := []string{fmt.Sprintf("@%d", b.Position), fmt.Sprintf("entry %d", b.Index)}
	switch {
	case b.LastOffset < b.BaseOffset:
		parts = append(parts, fmt.Sprintf("before %d", b.BaseOffset))
	case b.LastOffset == b.BaseOffset:
		parts = append(parts, fmt.Sprintf("offset %d", b.BaseOffset))
	default:
		parts = append(parts, fmt.Sprintf("offsets %d-%d", b.BaseOffset, b.LastOffset))
	}
	parts = append(parts, fmt.Sprintf("epoch %d", b.LeaderEpoch), b.Kind)
	if b.Kind == "data" {
		parts = append(parts, render.Plural(int64(b.Records), "record"), render.Time(b.MaxTimestamp))
	}
	parts = append(parts, render.Bytes(int64(b.Size)))
	if b.Compression != record.None.String() {
		parts = append(parts, b.Compression)
	}
	if b.ProducerID >= 0 {
		parts = append(parts, fmt.Sprintf("producer %d/%d #%d", b.ProducerID, b.ProducerEpoch, b.BaseSequence))
	}
	if b.Transactional {
		parts = append(parts, "transactional")
	}
	if !b.CRCValid {
		parts = append(parts, "BAD CRC")
	}
	return strings.Join(parts, "  ")
}

func quoted(s *string) string {
	if s == nil {
		return "null"
	}
	return fmt.Sprintf("%q", *s)
}
