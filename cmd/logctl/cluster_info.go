package main

import (
	"context"
	"net"
	"strconv"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// clusterInfo is the JSON of "cluster info".
type clusterInfo struct {
	ClusterID  string       `json:"cluster_id"`
	Controller int32        `json:"controller"` // -1: none
	Topics     int          `json:"topics"`     // internal ones included, as in what follows
	Partitions int          `json:"partitions"`
	Offline    int          `json:"offline_partitions"` // without a leader
	Under      int          `json:"under_replicated_partitions"`
	Brokers    []brokerInfo `json:"brokers"`
	Quorum     *quorumView  `json:"quorum"` // of the metadata; null: unknown
}

type brokerInfo struct {
	ID         int32   `json:"id"`
	Host       string  `json:"host"`
	Port       int32   `json:"port"`
	Rack       *string `json:"rack"`
	Fenced     bool    `json:"fenced"` // registered, but not heard of
	Controller bool    `json:"controller"`
	Leads      int     `json:"leads"`    // partitions
	Replicas   int     `json:"replicas"` // partitions, those it leads included
	Size       *int64  `json:"size"`     // bytes; null: the broker did not say
}

func newClusterInfo(a *app) *cobra.Command {
	return &cobra.Command{
		Use:     "info",
		Short:   "Show the brokers and what they hold",
		Example: "  logctl cluster info\n  logctl -b broker1:9092 cluster info -o json",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(c.Context(), a.clusterInfo)
		},
	}
}

func (a *app) clusterInfo(ctx context.Context, cl *kgo.Client) error {
	v, err := a.view(ctx, cl)
	if err != nil {
		return err
	}
	info := v.info()
	dirs, _ := a.admin(cl).DescribeAllLogDirs(ctx, nil) // a broker that is down shows as unknown
	for i := range info.Brokers {
		info.Brokers[i].Size = sizeOf(dirs, info.Brokers[i].ID)
	}
	return a.print(info, info.fields(), brokerTable(info.Brokers))
}

// info is all of "cluster info" but the sizes.
func (v *clusterView) info() clusterInfo {
	info := clusterInfo{
		ClusterID: v.id, Controller: v.controller, Topics: v.topics, Partitions: len(v.partitions),
		Brokers: []brokerInfo{}, Quorum: v.quorum,
	}
	leads := map[int32]int{}
	for _, p := range v.partitions {
		if p.Leader < 0 {
			info.Offline++
		}
		if lagging(p) > 0 {
			info.Under++
		}
		leads[p.Leader]++
	}
	for _, b := range v.brokers {
		info.Brokers = append(info.Brokers, brokerInfo{
			ID: b.id, Host: b.host, Port: b.port, Rack: b.rack, Fenced: b.fenced, Controller: b.id == v.controller,
			Leads: leads[b.id], Replicas: v.holds(b.id),
		})
	}
	return info
}

// sizeOf sums a broker's directories; nil where it did not tell.
func sizeOf(all kadm.DescribedAllLogDirs, broker int32) *int64 {
	dirs, ok := all[broker]
	if !ok || len(dirs) == 0 {
		return nil
	}
	n := dirs.Size()
	return &n
}

func (c clusterInfo) fields() render.Fields {
	f := render.Fields{
		{Name: "cluster", Value: c.ClusterID},
		{Name: "topics", Value: c.Topics},
		{Name: "partitions", Value: c.Partitions},
	}
	if c.Quorum != nil {
		f = append(f, render.Field{Name: "quorum", Value: c.Quorum.String()})
	}
	if c.Offline > 0 {
		f = append(f, render.Field{Name: "without a leader", Value: render.Styled(render.Bad, c.Offline)})
	}
	if c.Under > 0 {
		f = append(f, render.Field{Name: "under-replicated", Value: render.Styled(render.Warn, c.Under)})
	}
	return f
}

func hostPort(host string, port int32) string {
	return net.JoinHostPort(host, strconv.Itoa(int(port)))
}

func brokerTable(brokers []brokerInfo) *render.Table {
	table := render.NewTable("BROKER>", "ADDRESS~", "RACK", "LEADS>", "REPLICAS>", "SIZE>", "")
	for _, b := range brokers {
		rack, size, role := "-", "?", any("")
		if b.Rack != nil {
			rack = *b.Rack
		}
		if b.Size != nil {
			size = render.Bytes(*b.Size)
		}
		switch {
		case b.Fenced:
			role = render.Styled(render.Bad, "down")
		case b.Controller:
			role = "controller"
		}
		table.Row(b.ID, hostPort(b.Host, b.Port), rack, b.Leads, b.Replicas, size, role)
	}
	return table
}
