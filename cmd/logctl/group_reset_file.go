package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
)

// offsetsInFile is what a file says of one partition, in either of the JSON's that logctl writes.
type offsetsInFile struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	Offset    *int64 `json:"offset"`
	Committed *int64 `json:"committed"` // of "group lag"
	Before    *int64 `json:"before"`    // of "group reset": the way back
}

// readOffsets reads offsets from a file: lines TOPIC,PARTITION,OFFSET, as Kafka's tool exports
// them, or JSON of "group lag", "group describe" or "group reset". - is standard input.
func (r *groupReset) readOffsets() (map[string]map[int32]int64, error) {
	in := r.in
	if r.file != "-" {
		f, err := os.Open(r.file)
		if err != nil {
			return nil, usage("cannot read the offsets: %v", err)
		}
		defer f.Close()
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxDeclared))
	if err != nil {
		return nil, usage("cannot read the offsets: %v", err)
	}
	parse := parseOffsetLines
	if b = bytes.TrimSpace(b); bytes.HasPrefix(b, []byte("[")) {
		parse = parseOffsetJSON
	}
	found, err := parse(b)
	if err != nil {
		return nil, usage("%s: %v", r.file, err)
	}
	out := map[string]map[int32]int64{}
	for _, o := range found {
		switch {
		case o.Topic == "" || o.Partition < 0:
			return nil, usage("%s: %q, %d is no partition", r.file, o.Topic, o.Partition)
		case o.Offset == nil:
			continue // nothing is committed there
		case *o.Offset < 0:
			return nil, usage("%s: offset %d of %s-%d is negative", r.file, *o.Offset, o.Topic, o.Partition)
		}
		if out[o.Topic] == nil {
			out[o.Topic] = map[int32]int64{}
		}
		out[o.Topic][o.Partition] = *o.Offset
	}
	if len(out) == 0 {
		return nil, usage("%s holds no offsets", r.file)
	}
	return out, nil
}

func parseOffsetLines(b []byte) ([]offsetsInFile, error) {
	lines := csv.NewReader(bytes.NewReader(b))
	lines.FieldsPerRecord, lines.Comment, lines.TrimLeadingSpace = 3, '#', true
	var out []offsetsInFile
	for {
		row, err := lines.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("no lines of TOPIC,PARTITION,OFFSET: %w", err)
		}
		line, _ := lines.FieldPos(0)
		partition, errP := strconv.ParseInt(strings.TrimSpace(row[1]), 10, 32)
		offset, errO := strconv.ParseInt(strings.TrimSpace(row[2]), 10, 64)
		if err := errors.Join(errP, errO); err != nil {
			return nil, fmt.Errorf("line %d is not TOPIC,PARTITION,OFFSET", line)
		}
		out = append(out, offsetsInFile{Topic: row[0], Partition: int32(partition), Offset: &offset})
	}
}

func parseOffsetJSON(b []byte) ([]offsetsInFile, error) {
	var elements []struct {
		offsetsInFile
		Partitions []offsetsInFile `json:"partitions"` // of "group lag"
		Offsets    []offsetsInFile `json:"offsets"`    // of "group describe"
	}
	if err := json.Unmarshal(b, &elements); err != nil {
		return nil, fmt.Errorf("no JSON of logctl group lag or group reset: %w", err)
	}
	var out []offsetsInFile
	for _, e := range elements {
		all := slices.Concat(e.Partitions, e.Offsets)
		if all == nil {
			all = []offsetsInFile{e.offsetsInFile}
		}
		for _, o := range all {
			for _, other := range []*int64{o.Committed, o.Before} {
				if o.Offset == nil {
					o.Offset = other
				}
			}
			out = append(out, o)
		}
	}
	return out, nil
}

// fromFile is the plan that a file makes.
func (r *groupReset) fromFile(ctx context.Context, adm *kadm.Client, group string, offsets map[string]map[int32]int64) ([]resetPartition, error) {
	r.topics = nil
	for topic, partitions := range offsets {
		var numbers []string
		for n := range partitions {
			numbers = append(numbers, strconv.Itoa(int(n)))
		}
		r.topics = append(r.topics, topic+":"+strings.Join(numbers, ","))
	}
	committed, err := r.committed(ctx, adm, group)
	if err != nil {
		return nil, err
	}
	wanted, err := r.wanted(ctx, adm, group, committed)
	if err != nil {
		return nil, err
	}
	return r.planned(ctx, adm, committed, wanted, func(topic string, n int32, b bounds, _ int64) int64 {
		return min(max(offsets[topic][n], b.start), b.end)
	})
}
