package main

import (
	"cmp"
	"context"
	"errors"
	"path"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

// mirroredGroup is where a group stands in a partition.
type mirroredGroup struct {
	Group     string `json:"group"`
	Topic     string `json:"topic"` // at the target
	Partition int32  `json:"partition"`
	Source    int64  `json:"source"`
	Target    int64  `json:"target"`
	Exact     bool   `json:"exact"` // false: it may be a little before where it should
	Done      bool   `json:"done"`  // false: it stands there or further already, or see Error
	Error     string `json:"error,omitempty"`
}

// translate commits at the target what groups have committed at the source.
func (m *mirror) translate(ctx context.Context, source, target *kadm.Client) ([]mirroredGroup, error) {
	names, err := m.groupNames(ctx, source)
	if err != nil {
		return nil, err
	}
	out := []mirroredGroup{}
	for _, name := range names {
		committed, err := m.source.offsets(ctx, source, name)
		if err != nil {
			return out, err
		}
		moved := m.translated(name, committed)
		if len(moved) == 0 {
			continue
		}
		if err := m.commitGroup(ctx, target, name, moved); err != nil {
			return out, err
		}
		out = append(out, moved...)
	}
	return out, nil
}

// groupNames are the groups of the source that were asked for, sorted, but for what keeps positions.
func (m *mirror) groupNames(ctx context.Context, source *kadm.Client) ([]string, error) {
	listed, err := source.ListGroups(ctx)
	if err != nil {
		return nil, m.source.explain(err, "list groups")
	}
	var out []string
	for _, name := range listed.Groups() {
		wanted := len(m.groups) == 0 || slices.ContainsFunc(m.groups, func(p string) bool {
			ok, err := path.Match(p, name)
			return p == name || err == nil && ok
		})
		if wanted && !strings.HasPrefix(name, m.positionsGroup("")) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out, nil
}

// translated finds where a group is to stand in the topics that are copied.
func (m *mirror) translated(group string, committed kadm.OffsetResponses) []mirroredGroup {
	var out []mirroredGroup
	for _, o := range committed.Sorted() {
		c, ok := m.copies[partitionID{o.Topic, o.Partition}]
		if !ok || o.Err != nil || o.At < 0 {
			continue
		}
		at, exact := c.translate(o.At)
		out = append(out, mirroredGroup{Group: group, Topic: c.target, Partition: o.Partition, Source: o.At, Target: at, Exact: exact})
	}
	slices.SortFunc(out, func(a, b mirroredGroup) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return out
}

// commitGroup moves a group forward where it stands further back at the target, and has no members.
func (m *mirror) commitGroup(ctx context.Context, target *kadm.Client, group string, moved []mirroredGroup) error {
	now, err := m.target.offsets(ctx, target, group)
	if err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	for _, g := range moved {
		if o, ok := now.Lookup(g.Topic, g.Partition); !ok || o.Err != nil || o.At < g.Target {
			offsets.AddOffset(g.Topic, g.Partition, g.Target, -1)
		}
	}
	if len(offsets) == 0 {
		return nil
	}
	answers, err := patiently(ctx, m.target, func() (kadm.OffsetResponses, error) { return target.CommitOffsets(ctx, group, offsets) })
	if err != nil {
		return m.target.explain(err, "commit for group "+group)
	}
	for i, g := range moved {
		o, asked := answers.Lookup(g.Topic, g.Partition)
		switch {
		case !asked:
		case errors.Is(o.Err, kerr.UnknownMemberID):
			moved[i].Error = "left alone: it has members there"
		case o.Err != nil:
			moved[i].Error = reason(o.Err, "")
		default:
			moved[i].Done = true
		}
	}
	return nil
}
