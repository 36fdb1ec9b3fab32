package main

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// groupLag is an element of the JSON of "group lag".
type groupLag struct {
	Group      string         `json:"group"`
	State      string         `json:"state"`
	Partitions []partitionLag `json:"partitions"`
	TotalLag   int64          `json:"total_lag"` // of the partitions whose lag is known
}

// partitionLag is where a group stands in a partition.
type partitionLag struct {
	Topic     string  `json:"topic"`
	Partition int32   `json:"partition"`
	Committed *int64  `json:"committed"`  // null: nothing is committed
	EndOffset *int64  `json:"end_offset"` // null: unknown, as of a topic that was deleted
	Lag       *int64  `json:"lag"`
	Member    *string `json:"member"`    // the id of the member that reads it
	ClientID  *string `json:"client_id"` // and its client id
}

func newGroupLag(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "lag [GROUP…]",
		Short: "Show how far groups are behind, partition by partition",
		Long: "Show how far groups, or all groups, are behind: the distance between the offset they\n" +
			"committed and the end. A partition in which nothing is committed has no lag (-).",
		Example:           "  logctl group lag\n  logctl group lag auditors -o json",
		ValidArgsFunction: a.completeGroups,
		RunE: func(c *cobra.Command, names []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				groups, err := a.groups(ctx, adm, names)
				if err != nil {
					return err
				}
				lags, err := a.lags(ctx, adm, groups)
				if err != nil {
					return err
				}
				return a.print(lags, lagTable(lags, true))
			})
		},
	}
}

// lags finds where each group stands, in the groups' order.
func (a *app) lags(ctx context.Context, adm *kadm.Client, groups []consumerGroup) ([]groupLag, error) {
	commits := map[string]kadm.OffsetResponses{}
	topics := map[string]bool{}
	var names []string
	for _, g := range groups {
		names = append(names, g.Name)
	}
	many := kadm.FetchOffsetsResponses{}
	if len(names) > 0 {
		many = adm.FetchManyOffsets(ctx, names...)
	}
	for _, g := range groups {
		c := many[g.Name].Fetched
		if answer, ok := many[g.Name]; !ok || answer.Err != nil { // alone it is asked for as long as that takes
			var err error
			if c, err = a.offsets(ctx, adm, g.Name); err != nil {
				return nil, err
			}
		}
		commits[g.Name] = c
		for t := range c {
			topics[t] = true
		}
		for _, m := range g.Members {
			for _, t := range m.Assigned {
				topics[t.Topic] = true
			}
		}
	}
	var ends kadm.ListedOffsets
	if len(topics) > 0 {
		var err error
		if ends, err = adm.ListEndOffsets(ctx, slices.Collect(maps.Keys(topics))...); err != nil {
			return nil, a.explain(err, "list end offsets")
		}
	}
	out := []groupLag{}
	for _, g := range groups {
		out = append(out, lagOf(g, commits[g.Name], ends))
	}
	return out, nil
}

// lagOf puts together what a group committed and what its members read.
func lagOf(g consumerGroup, commits kadm.OffsetResponses, ends kadm.ListedOffsets) groupLag {
	out := groupLag{Group: g.Name, State: g.State, Partitions: []partitionLag{}}
	found := map[partitionID]bool{}
	for _, o := range commits.Sorted() {
		if o.Err == nil && o.At >= 0 {
			found[partitionID{o.Topic, o.Partition}] = true
		}
	}
	for _, m := range g.Members {
		for _, t := range m.Assigned {
			for _, p := range t.Partitions {
				found[partitionID{t.Topic, p}] = true
			}
		}
	}
	ids := slices.SortedFunc(maps.Keys(found), func(a, b partitionID) int {
		return cmp.Or(cmp.Compare(a.topic, b.topic), cmp.Compare(a.partition, b.partition))
	})
	for _, id := range ids {
		p := partitionLag{Topic: id.topic, Partition: id.partition}
		if o, ok := commits.Lookup(id.topic, id.partition); ok && o.Err == nil && o.At >= 0 {
			p.Committed = &o.At
		}
		if e, ok := ends.Lookup(id.topic, id.partition); ok && e.Err == nil && e.Offset >= 0 {
			p.EndOffset = &e.Offset
		}
		if p.Committed != nil && p.EndOffset != nil {
			lag := max(0, *p.EndOffset-*p.Committed)
			p.Lag = &lag
			out.TotalLag += lag
		}
		if m := g.owner(id.topic, id.partition); m != nil {
			p.Member, p.ClientID = &m.ID, &m.ClientID
		}
		out.Partitions = append(out.Partitions, p)
	}
	return out
}

// lagTable shows groups' partitions, with the group's name and a total where there are several.
func lagTable(lags []groupLag, named bool) *render.Table {
	table := render.NewTable("GROUP", "TOPIC~", "PARTITION>", "COMMITTED>", "END>", "LAG>", "MEMBER")
	if !named {
		table = render.NewTable("TOPIC~", "PARTITION>", "COMMITTED>", "END>", "LAG>", "MEMBER")
	}
	row := func(group string, cells ...any) {
		if named {
			cells = append([]any{group}, cells...)
		}
		table.Row(cells...)
	}
	total, partitions := int64(0), 0
	for _, g := range lags {
		total += g.TotalLag
		partitions += len(g.Partitions)
		for _, p := range g.Partitions {
			member := "-"
			if p.ClientID != nil {
				member = *p.ClientID
			}
			row(g.Group, p.Topic, p.Partition, dashed(p.Committed), dashed(p.EndOffset), lagCell(p.Lag), member)
		}
	}
	if partitions > 1 {
		cells := []any{"total", "", "", "", lagCell(&total), ""}
		if named {
			cells = []any{"total", "", "", "", "", lagCell(&total), ""}
		}
		table.Footer(cells...)
	}
	return table
}

func lagCell(lag *int64) any {
	if lag != nil && *lag > 0 {
		return render.Styled(render.Warn, *lag)
	}
	return dashed(lag)
}

func dashed(n *int64) string {
	if n == nil {
		return "-"
	}
	return orUnknown(n)
}
