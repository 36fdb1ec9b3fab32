package main

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"

	"quorumlog/cmd/logctl/internal/placement"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newPartition(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "partition",
		Aliases: []string{"partitions"},
		Short:   "Show partitions, and choose where their replicas and leaders are",
		Example: "  logctl partition list --under-replicated\n  logctl partition reassign --drain 3\n  logctl partition leaders",
	}
	return group(c, a.watchable(newPartitionList(a)), newPartitionMove(a), newPartitionLeaders(a), newPartitionReassign(a))
}

// partitionsOf returns the partitions of topics that names and patterns select, sorted.
func (a *app) partitionsOf(ctx context.Context, adm *kadm.Client, names []string, internal bool) ([]kadm.PartitionDetail, error) {
	topics, err := a.topics(ctx, adm, names, internal)
	if err != nil {
		return nil, err
	}
	var all []kadm.PartitionDetail
	for _, t := range topics {
		all = append(all, t.Partitions.Sorted()...)
	}
	return all, nil
}

// namedPartitions returns the partitions that arguments of the form TOPIC or TOPIC:PARTITION name,
// each once; all partitions where there are none.
func (a *app) namedPartitions(ctx context.Context, adm *kadm.Client, args []string) ([]kadm.PartitionDetail, error) {
	if len(args) == 0 {
		return a.partitionsOf(ctx, adm, nil, true)
	}
	var all []kadm.PartitionDetail
	for _, arg := range args {
		topic, number, err := splitPartition(arg)
		if err != nil {
			return nil, err
		}
		found, err := a.partitionsOf(ctx, adm, []string{topic}, true)
		if err != nil {
			return nil, err
		}
		if number >= 0 {
			count := len(found)
			found = slices.DeleteFunc(found, func(p kadm.PartitionDetail) bool { return p.Partition != number })
			if len(found) == 0 {
				return nil, refused("topic %q has no partition %d; it has 0 to %d", topic, number, count-1)
			}
		}
		all = append(all, found...)
	}
	slices.SortStableFunc(all, func(x, y kadm.PartitionDetail) int {
		return cmp.Or(cmp.Compare(x.Topic, y.Topic), cmp.Compare(x.Partition, y.Partition))
	})
	return slices.CompactFunc(all, func(x, y kadm.PartitionDetail) bool {
		return x.Topic == y.Topic && x.Partition == y.Partition
	}), nil
}

// splitPartition reads TOPIC, whose partition is -1, or TOPIC:PARTITION.
func splitPartition(arg string) (topic string, number int32, err error) {
	topic, s, some := strings.Cut(arg, ":")
	if !some {
		return topic, -1, nil
	}
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 || topic == "" {
		return "", 0, usage("%q is not TOPIC:PARTITION", arg)
	}
	return topic, int32(n), nil
}

// setOf names partitions in a request.
func setOf(partitions []kadm.PartitionDetail) kadm.TopicsSet {
	set := kadm.TopicsSet{}
	for _, p := range partitions {
		set.Add(p.Topic, p.Partition)
	}
	return set
}

// placed is partitions as plans see them.
func placed(partitions []kadm.PartitionDetail) []placement.Partition {
	out := make([]placement.Partition, len(partitions))
	for i, p := range partitions {
		out[i] = placement.Partition{Topic: p.Topic, Number: p.Partition, Replicas: p.Replicas}
	}
	return out
}

// places is brokers as plans see them.
func places(brokers kadm.BrokerDetails) []placement.Broker {
	out := make([]placement.Broker, len(brokers))
	for i, b := range brokers {
		out[i].ID = b.NodeID
		if b.Rack != nil {
			out[i].Rack = *b.Rack
		}
	}
	return out
}

// known returns the brokers that can take replicas, after a check that ids name some of them.
func (m *mover) known(ctx context.Context, adm *kadm.Client, ids ...int32) (kadm.BrokerDetails, error) {
	brokers, err := adm.ListBrokers(ctx)
	if err != nil {
		return nil, m.explain(err, "list brokers")
	}
	have := brokers.NodeIDs()
	for _, id := range ids {
		if !slices.Contains(have, id) {
			return nil, refused("there is no broker %d, or it is down; there are %s", id, join(have))
		}
	}
	slices.SortFunc(brokers, func(x, y kadm.BrokerDetail) int { return cmp.Compare(x.NodeID, y.NodeID) })
	return brokers, nil
}

// isPreferred reports whether the first replica leads.
func isPreferred(p kadm.PartitionDetail) bool {
	return len(p.Replicas) == 0 || p.Leader == p.Replicas[0]
}

// lagging counts the replicas that are not in sync.
func lagging(p kadm.PartitionDetail) int {
	n := 0
	for _, id := range p.Replicas {
		if !slices.Contains(p.ISR, id) {
			n++
		}
	}
	return n
}

// completePartitions offers topics to the shell.
func (a *app) completePartitions(c *cobra.Command, _ []string, text string) ([]string, cobra.ShellCompDirective) {
	names, directive := a.completeTopics(c, nil, text)
	return names, directive | cobra.ShellCompDirectiveNoSpace
}
