package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"quorumlog/cmd/logctl/internal/render"
	"quorumlog/cmd/logctl/internal/segfile"
	"quorumlog/record"

	"github.com/spf13/cobra"
)

// verifiedFile is an element of the JSON of "log verify".
type verifiedFile struct {
	File        string   `json:"file"`
	Bytes       int64    `json:"bytes"` // that hold batches
	Batches     int64    `json:"batches"`
	Records     int64    `json:"records"`
	StartOffset int64    `json:"start_offset"`
	EndOffset   int64    `json:"end_offset"`
	Problems    []string `json:"problems"`
}

type logVerify struct{ *app }

func newLogVerify(a *app) *cobra.Command {
	v := &logVerify{a}
	return &cobra.Command{
		Use:   "verify PATH…",
		Short: "Check segment files from end to end",
		Long: `Check segment files (*.log), or all that are below a directory: every batch's checksum, that its
records can be unpacked and lie within its offsets, that offsets and epochs never go back, and that
nothing but empty space follows the last batch. Nothing is changed. The status is 1 where anything
is wrong. The broker should be stopped: a batch that is being written looks torn.`,
		Example: "  logctl log verify data\n  logctl log verify data/topics/orders-*/0 -o json",
		Args:    arguments(1, -1),
		RunE: func(c *cobra.Command, paths []string) error {
			return v.run(c.Context(), paths)
		},
	}
}

func (v *logVerify) run(ctx context.Context, paths []string) error {
	files, err := segments(paths)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, path := range files {
		if info, err := os.Stat(path); err == nil {
			total += info.Size()
		}
	}
	progress := v.progress()
	results := []verifiedFile{}
	damaged, read := 0, int64(0)
	var last checker
	for i, path := range files {
		if filepath.Dir(path) != last.dir {
			last = checker{dir: filepath.Dir(path)}
		}
		progress.Set(read, total, fmt.Sprintf("%d of %s", i, render.Plural(int64(len(files)), "file")))
		r, err := last.verify(ctx, path)
		if err != nil {
			progress.Done()
			return err
		}
		if len(r.Problems) > 0 {
			damaged++
		}
		read += r.Bytes
		results = append(results, r)
	}
	progress.Done()
	if err := v.report(results); err != nil {
		return err
	}
	if damaged > 0 {
		return refused("%s of %s damaged; a replica is rebuilt from the others when its partition's directory is moved away while its broker is stopped",
			render.Count(int64(damaged)), fileCount(len(files)))
	}
	return nil
}

func fileCount(n int) string {
	if n == 1 {
		return "1 file is"
	}
	return render.Count(int64(n)) + " files are"
}

func (v *logVerify) report(results []verifiedFile) error {
	table := render.NewTable("FILE~", "BATCHES>", "RECORDS>", "START>", "END>", "BYTES>", "RESULT")
	for _, r := range results {
		result := render.Styled(render.Good, "ok")
		if len(r.Problems) > 0 {
			result = render.Styled(render.Bad, r.Problems[0])
		}
		table.Row(r.File, r.Batches, r.Records, r.StartOffset, r.EndOffset, r.Bytes, result)
	}
	return v.print(results, table)
}

// checker goes through a directory's files in order of offsets.
type checker struct {
	dir   string
	begun bool
	next  int64 // the least offset that may follow
	epoch int32 // the least epoch that may follow
}

// maxProblems bounds how many problems of a file are told.
const maxProblems = 10

// verify checks a file. The error is for what is no property of its content.
func (c *checker) verify(ctx context.Context, path string) (verifiedFile, error) {
	out := verifiedFile{File: path, Problems: []string{}}
	problem := func(at int64, format string, args ...any) {
		if len(out.Problems) < maxProblems {
			out.Problems = append(out.Problems, (&segfile.Damage{Position: at, Reason: fmt.Sprintf(format, args...)}).Error())
		}
	}
	s, err := segfile.Open(path)
	if err != nil {
		return out, usage("cannot read the log: %v", err)
	}
	defer s.Close()
	if base, ok := segfile.BaseOffset(path); ok {
		if c.begun && base < c.next {
			problem(0, "the file is named %d, but the one before ends at offset %d", base, c.next)
		}
		out.StartOffset, c.next, c.begun = base, max(base, c.next), true
	}
	for {
		b, at, err := s.Next()
		var damage *segfile.Damage
		switch {
		case errors.Is(err, io.EOF):
		case errors.As(err, &damage):
			problem(damage.Position, "%s", damage.Reason)
		case err != nil:
			return out, refused("cannot read %s: %v", path, err)
		case ctx.Err() != nil:
			return out, ctx.Err()
		}
		if err != nil {
			out.Bytes, out.EndOffset = s.Position(), c.next
			return out, nil
		}
		out.Batches++
		if !isHidden(b) {
			out.Records += int64(b.NumRecords())
		}
		c.batch(b, func(format string, args ...any) { problem(at, format, args...) })
	}
}

// batch checks one batch against what went before.
func (c *checker) batch(b record.Batch, problem func(format string, args ...any)) {
	if !b.ValidCRC() {
		problem("the checksum of the batch at offset %d does not match", b.BaseOffset())
		c.next = max(c.next, b.NextOffset())
		return
	}
	if b.BaseOffset() < c.next {
		problem("offset %d comes after %d", b.BaseOffset(), c.next-1)
	}
	if b.LeaderEpoch() < c.epoch {
		problem("epoch %d comes after %d", b.LeaderEpoch(), c.epoch)
	}
	c.epoch = max(c.epoch, b.LeaderEpoch())
	c.next = max(c.next, b.NextOffset())
	if isHidden(b) {
		return
	}
	at := b.BaseOffset()
	seq, failed := b.Records(record.DefaultMaxDecompressed)
	for r := range seq {
		if r.Offset < at || r.Offset > b.LastOffset() {
			problem("record %d lies outside its batch, %d-%d", r.Offset, at, b.LastOffset())
		}
		at = r.Offset + 1
	}
	if err := failed(); err != nil {
		problem("the records from offset %d cannot be read: %v", b.BaseOffset(), err)
	}
}
