package main

import (
	"context"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// listedTopic is an element of the JSON of "topic list".
type listedTopic struct {
	Name              string `json:"name"`
	ID                string `json:"id"`
	Internal          bool   `json:"internal"`
	Partitions        int    `json:"partitions"`
	ReplicationFactor int    `json:"replication_factor"`
	UnderReplicated   int    `json:"under_replicated"` // partitions with fewer replicas in sync than they have
	Records           *int64 `json:"records"`          // end offset less start offset, summed; null: unknown
	Size              *int64 `json:"size"`             // bytes on all replicas; null: unknown
}

func newTopicList(a *app) *cobra.Command {
	internal := false
	c := &cobra.Command{
		Use:     "list [NAME|PATTERN…]",
		Aliases: []string{"ls"},
		Short:   "List topics with their partitions, replicas, records and sizes",
		Long: "List topics. RECORDS is the distance between the first and the next offset: compacted\n" +
			"topics hold fewer. SIZE is what all replicas together take on disk.",
		Example: `  logctl topic list
  logctl topic list 'order*' 'return?'
  logctl topic list --internal -o json`,
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, patterns []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return a.listTopics(ctx, adm, patterns, internal)
			})
		},
	}
	c.Flags().BoolVar(&internal, "internal", false, "list the broker's own topics too")
	return c
}

func (a *app) listTopics(ctx context.Context, adm *kadm.Client, patterns []string, internal bool) error {
	topics, err := a.topics(ctx, adm, patterns, internal)
	if err != nil {
		return err
	}
	bounds, err := a.bounds(ctx, adm, topics, true)
	if err != nil {
		return err
	}
	results := []listedTopic{}
	table := render.NewTable("TOPIC~", "PARTITIONS>", "REPLICAS>", "RECORDS>", "SIZE>")
	for _, t := range topics {
		r := listedTopic{
			Name: t.Topic, ID: topicID(t.ID), Internal: isInternal(t),
			Partitions: len(t.Partitions), ReplicationFactor: t.Partitions.NumReplicas(),
		}
		for _, p := range t.Partitions {
			if len(p.ISR) < len(p.Replicas) {
				r.UnderReplicated++
			}
		}
		records, size := "?", "?"
		if n, whole := bounds.records(t.Topic); whole {
			r.Records, records = &n, render.Count(n)
		}
		if n := bounds.size(t.Topic); n >= 0 {
			r.Size, size = &n, render.Bytes(n)
		}
		style := render.Style("")
		if r.UnderReplicated > 0 {
			style = render.Warn
		}
		results = append(results, r)
		table.Row(r.Name, r.Partitions, render.Styled(style, r.ReplicationFactor), records, size)
	}
	return a.print(results, table)
}
