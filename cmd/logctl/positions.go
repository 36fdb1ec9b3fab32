package main

import (
	"context"

	"quorumlog/cmd/logctl/internal/position"

	"github.com/twmb/franz-go/pkg/kadm"
)

// position parses a flag's position; those that shift are for groups alone.
func (a *app) position(flag, s string) (position.Position, error) {
	p, err := position.Parse(s, a.now())
	if err == nil && p.Kind == position.Shift {
		return p, usage("--%s %q: there is nothing to shift; use %s", flag, s, position.Syntax)
	}
	if err != nil {
		return p, usage("--%s: %v", flag, err)
	}
	return p, nil
}

// locate returns the offset that pos names in a partition. times are the answer to ListOffsets
// for a position that is a time, and present is where a shift begins.
func locate(pos position.Position, b bounds, times kadm.ListedOffsets, topic string, partition int32, present int64) int64 {
	if pos.Kind != position.Time {
		return pos.In(b.start, b.end, present)
	}
	if o, ok := times.Lookup(topic, partition); ok && o.Err == nil && o.Offset >= 0 {
		return min(max(o.Offset, b.start), b.end)
	}
	return b.end
}

// offsetsAt asks for the offsets of a position that is a time; for others there is nothing to ask.
func (a *app) offsetsAt(ctx context.Context, adm *kadm.Client, pos position.Position, topics []string) (kadm.ListedOffsets, error) {
	if pos.Kind != position.Time {
		return nil, nil
	}
	times, err := adm.ListOffsetsAfterMilli(ctx, pos.Time.UnixMilli(), topics...)
	if err != nil {
		return nil, a.explain(err, "look up offsets by time")
	}
	return times, nil
}
