package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newGroup(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "group",
		Aliases: []string{"groups"},
		Short:   "List, inspect, reset and delete consumer groups",
		Example: "  logctl group lag\n  logctl group reset auditors --to -1d --topic orders",
	}
	return group(c, a.watchable(newGroupList(a)), a.watchable(newGroupDescribe(a)), a.watchable(newGroupLag(a)), newGroupMembers(a), newGroupReset(a), newGroupDelete(a))
}

// consumerGroup is one group, of the classic protocol or of KIP-848's.
type consumerGroup struct {
	Name        string        `json:"name"`
	State       string        `json:"state"`
	Type        string        `json:"type"`     // "classic" or "consumer" (KIP-848)
	Protocol    string        `json:"protocol"` // the assignor
	Coordinator int32         `json:"coordinator"`
	Members     []groupMember `json:"members"`
}

type groupMember struct {
	ID         string            `json:"id"`
	InstanceID *string           `json:"instance_id"` // of a static member (KIP-345)
	ClientID   string            `json:"client_id"`
	Host       string            `json:"host"`
	Assigned   []topicPartitions `json:"assigned"`
}

type topicPartitions struct {
	Topic      string  `json:"topic"`
	Partitions []int32 `json:"partitions"`
}

// groups describes the named groups, or all, sorted. A group that is not there is an error.
func (a *app) groups(ctx context.Context, adm *kadm.Client, names []string) ([]consumerGroup, error) {
	listed, err := adm.ListGroups(ctx)
	if err != nil {
		return nil, a.explain(err, "list groups")
	}
	all := listed.Groups()
	if len(names) == 0 {
		names = all
	}
	for _, n := range names {
		if !slices.Contains(all, n) {
			return nil, refused("group %q does not exist on %s%s", n, a.at(), didYouMeanOr(n, all, "; see logctl group list"))
		}
	}
	if len(names) == 0 {
		return nil, nil
	}
	return a.describe(ctx, adm, names)
}

// describe asks for groups of both protocols.
func (a *app) describe(ctx context.Context, adm *kadm.Client, names []string) ([]consumerGroup, error) {
	classic, err := adm.DescribeGroups(ctx, names...)
	if err != nil {
		return nil, a.explain(err, "describe groups")
	}
	var out []consumerGroup
	var others []string // groups of KIP-848 are not found, or dead, where classic ones are described
	for _, g := range classic.Sorted() {
		switch {
		case errors.Is(g.Err, kerr.GroupIDNotFound), g.State == "Dead":
			others = append(others, g.Group)
		case g.Err != nil:
			return nil, refused("group %q cannot be described: %s", g.Group, reason(g.Err, g.ErrMessage))
		default:
			out = append(out, fromClassic(g))
		}
	}
	if len(others) > 0 {
		modern, err := adm.DescribeConsumerGroups(ctx, others...)
		if err != nil {
			return nil, a.explain(err, "describe groups")
		}
		for _, g := range modern.Sorted() {
			if g.Err == nil {
				out = append(out, fromConsumer(g))
			}
		}
	}
	slices.SortFunc(out, func(a, b consumerGroup) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

func didYouMeanOr(s string, names []string, otherwise string) string {
	if hint := didYouMean(s, names); hint != "" {
		return hint
	}
	return otherwise
}

func fromClassic(g kadm.DescribedGroup) consumerGroup {
	out := consumerGroup{
		Name: g.Group, State: g.State, Type: "classic", Protocol: g.Protocol,
		Coordinator: g.Coordinator.NodeID, Members: []groupMember{},
	}
	for _, m := range g.Members {
		member := groupMember{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: trimHost(m.ClientHost), Assigned: []topicPartitions{}}
		if c, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range c.Topics {
				member.Assigned = append(member.Assigned, sortedPartitions(t.Topic, t.Partitions))
			}
		}
		out.Members = append(out.Members, member)
	}
	return out
}

func fromConsumer(g kadm.DescribedConsumerGroup) consumerGroup {
	out := consumerGroup{
		Name: g.Group, State: g.State, Type: "consumer", Protocol: g.AssignorName,
		Coordinator: g.Coordinator.NodeID, Members: []groupMember{},
	}
	for _, m := range g.Members {
		member := groupMember{ID: m.MemberID, InstanceID: m.InstanceID, ClientID: m.ClientID, Host: trimHost(m.ClientHost), Assigned: []topicPartitions{}}
		for _, t := range m.Assignment.Sorted() {
			member.Assigned = append(member.Assigned, sortedPartitions(t.Topic, t.Partitions))
		}
		out.Members = append(out.Members, member)
	}
	return out
}

// trimHost takes away the slash that brokers in Java put before an address.
func trimHost(h string) string { return strings.TrimPrefix(h, "/") }

func sortedPartitions(topic string, partitions []int32) topicPartitions {
	p := append([]int32{}, partitions...)
	slices.Sort(p)
	return topicPartitions{topic, p}
}

// owner returns the member that reads a partition; nil where none does.
func (g *consumerGroup) owner(topic string, partition int32) *groupMember {
	for i, m := range g.Members {
		for _, t := range m.Assigned {
			if t.Topic == topic && slices.Contains(t.Partitions, partition) {
				return &g.Members[i]
			}
		}
	}
	return nil
}

// completeGroups offers group names to the shell.
func (a *app) completeGroups(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	q := a.quiet()
	var names []string
	if q.settle() == nil {
		_ = q.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
			all, err := adm.ListGroups(ctx)
			names = all.Groups()
			return err
		})
	}
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) })
	return names, cobra.ShellCompDirectiveNoFileComp
}
