package main

import (
	"context"
	"fmt"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// describedTopic is an element of the JSON of "topic describe".
type describedTopic struct {
	Name              string               `json:"name"`
	ID                string               `json:"id"`
	Internal          bool                 `json:"internal"`
	ReplicationFactor int                  `json:"replication_factor"`
	Partitions        []describedPartition `json:"partitions"`
	Configs           []describedConfig    `json:"configs"` // those that differ from the broker's default
}

type describedPartition struct {
	Partition   int32   `json:"partition"`
	Leader      int32   `json:"leader"` // -1: none
	LeaderEpoch int32   `json:"leader_epoch"`
	Replicas    []int32 `json:"replicas"`
	ISR         []int32 `json:"isr"`
	StartOffset *int64  `json:"start_offset"`
	EndOffset   *int64  `json:"end_offset"` // the next offset to be written
	Size        *int64  `json:"size"`       // bytes on all replicas
	Error       string  `json:"error,omitempty"`
}

type describedConfig struct {
	Name  string  `json:"name"`
	Value *string `json:"value"` // null: secret
}

func newTopicDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "describe NAME|PATTERN…",
		Short: "Show topics' partitions, leaders, offsets, sizes and settings",
		Long: "Show topics in detail: where each partition's leader and replicas are, which replicas\n" +
			"are in sync, its first and next offset, its size on all replicas, and the settings that\n" +
			"were made for the topic.",
		Example:           "  logctl topic describe orders\n  logctl topic describe 'order*' -o yaml",
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return a.describeTopics(ctx, adm, names)
			})
		},
	}
}

func (a *app) describeTopics(ctx context.Context, adm *kadm.Client, names []string) error {
	topics, err := a.topics(ctx, adm, names, false)
	if err != nil {
		return err
	}
	bounds, err := a.bounds(ctx, adm, topics, true)
	if err != nil {
		return err
	}
	configs, err := adm.DescribeTopicConfigs(ctx, namesOf(topics)...)
	if err != nil {
		return a.explain(err, "describe settings")
	}
	results := []describedTopic{}
	var parts []render.Part
	for _, t := range topics {
		r := describedTopic{
			Name: t.Topic, ID: topicID(t.ID), Internal: isInternal(t),
			ReplicationFactor: t.Partitions.NumReplicas(), Partitions: []describedPartition{}, Configs: []describedConfig{},
		}
		for _, p := range t.Partitions.Sorted() {
			r.Partitions = append(r.Partitions, describePartition(p, bounds[t.Topic][p.Partition]))
		}
		if rc, err := configs.On(t.Topic, nil); err == nil {
			r.Configs = madeForTopic(rc.Configs)
		}
		results = append(results, r)
		parts = append(parts, topicFields(r), partitionTable(r))
	}
	return a.print(results, parts...)
}

func describePartition(p kadm.PartitionDetail, b bounds) describedPartition {
	r := describedPartition{
		Partition: p.Partition, Leader: p.Leader, LeaderEpoch: p.LeaderEpoch,
		Replicas: append([]int32{}, p.Replicas...), ISR: append([]int32{}, p.ISR...),
	}
	if b.err != nil {
		r.Error = reason(b.err, "")
	} else {
		r.StartOffset, r.EndOffset = &b.start, &b.end
	}
	if b.size >= 0 {
		r.Size = &b.size
	}
	return r
}

// sourceTopic is the source, in Kafka's words, of a setting that was made for one topic.
const sourceTopic = "DYNAMIC_TOPIC_CONFIG"

// madeForTopic keeps the settings that the topic has for itself.
func madeForTopic(all []kadm.Config) []describedConfig {
	out := []describedConfig{}
	for _, c := range all {
		if c.Source.String() == sourceTopic {
			out = append(out, describedConfig{c.Key, c.Value})
		}
	}
	return out
}

func topicFields(t describedTopic) render.Fields {
	f := render.Fields{
		{Name: "topic", Value: t.Name},
		{Name: "id", Value: t.ID},
		{Name: "partitions", Value: len(t.Partitions)},
		{Name: "replicas", Value: t.ReplicationFactor},
	}
	for _, c := range t.Configs {
		value := "(secret)"
		if c.Value != nil {
			value = *c.Value
		}
		f = append(f, render.Field{Name: c.Name, Value: value})
	}
	return f
}

func partitionTable(t describedTopic) *render.Table {
	table := render.NewTable("PARTITION>", "LEADER>", "EPOCH>", "REPLICAS~", "IN SYNC", "START>", "END>", "SIZE>", "")
	for _, p := range t.Partitions {
		style := render.Style("")
		if len(p.ISR) < len(p.Replicas) {
			style = render.Warn
		}
		leader := render.Styled(render.Bad, "none")
		if p.Leader >= 0 {
			leader = p.Leader
		}
		size := "?"
		if p.Size != nil {
			size = render.Bytes(*p.Size)
		}
		table.Row(p.Partition, leader, p.LeaderEpoch, join(p.Replicas), render.Styled(style, join(p.ISR)),
			orUnknown(p.StartOffset), orUnknown(p.EndOffset), size, render.Styled(render.Bad, p.Error))
	}
	return table
}

func orUnknown(n *int64) string {
	if n == nil {
		return "?"
	}
	return fmt.Sprint(*n)
}
