package main

import (
	"context"
	"fmt"
	"slices"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clusterMember is an element of the JSON of "cluster members".
type clusterMember struct {
	memberView
	Role    memberRole `json:"role"`
	Address *string    `json:"address"` // HOST:PORT for clients; null: it is no broker
	Rack    *string    `json:"rack"`
	State   string     `json:"state"` // "running", "down", or "unknown" where it is no broker
}

// memberRole is a node's part in the metadata quorum.
type memberRole string

const (
	roleLeader   memberRole = "leader"
	roleVoter    memberRole = "voter"
	roleObserver memberRole = "observer"
	roleNone     memberRole = "none" // a broker of which the quorum does not tell
)

func newClusterMembers(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "members",
		Short: "Show the nodes and their parts in the metadata quorum",
		Long: "Show the nodes and their parts in the metadata quorum: its leader, the voters, a majority of\n" +
			"which must run, and the observers, which follow. BEHIND is how many entries of the metadata\n" +
			"log a node has not fetched, where the leader tells.",
		Example: "  logctl cluster members\n  logctl cluster members -o json",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(c.Context(), a.clusterMembers)
		},
	}
}

func (a *app) clusterMembers(ctx context.Context, cl *kgo.Client) error {
	v, err := a.view(ctx, cl)
	if err != nil {
		return err
	}
	members := v.members()
	table := render.NewTable("NODE>", "ROLE", "STATE", "ADDRESS~", "RACK", "BEHIND>")
	end := endOf(members)
	for _, m := range members {
		state, behind, address, rack := any(m.State), "?", "-", "-"
		if m.State == "down" {
			state = render.Styled(render.Bad, m.State)
		}
		if m.LogEndOffset != nil {
			behind = fmt.Sprint(end - *m.LogEndOffset)
		}
		if m.Address != nil {
			address = *m.Address
		}
		if m.Rack != nil {
			rack = *m.Rack
		}
		table.Row(m.ID, m.Role, state, address, rack, behind)
	}
	return a.print(members, table)
}

func endOf(members []clusterMember) int64 {
	end := int64(0)
	for _, m := range members {
		if m.LogEndOffset != nil {
			end = max(end, *m.LogEndOffset)
		}
	}
	return end
}

// members joins the quorum and the brokers.
func (v *clusterView) members() []clusterMember {
	all := []clusterMember{}
	if v.quorum != nil {
		for _, m := range v.quorum.Voters {
			role := roleVoter
			if m.ID == v.quorum.Leader {
				role = roleLeader
			}
			all = append(all, v.member(m, role))
		}
		for _, m := range v.quorum.Observers {
			all = append(all, v.member(m, roleObserver))
		}
	}
	for _, b := range v.brokers {
		if !slices.ContainsFunc(all, func(m clusterMember) bool { return m.ID == b.id }) {
			all = append(all, v.member(memberView{ID: b.id}, roleNone))
		}
	}
	return all
}

func (v *clusterView) member(m memberView, role memberRole) clusterMember {
	c := clusterMember{memberView: m, Role: role, State: "unknown"}
	if b := v.broker(m.ID); b != nil {
		addr := hostPort(b.host, b.port)
		c.Address, c.Rack, c.State = &addr, b.rack, "running"
		if b.fenced {
			c.State = "down"
		}
	}
	return c
}
