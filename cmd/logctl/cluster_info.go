package main

import (
	"context"
	"net"
	"strconv"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
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
}

type brokerInfo struct {
	ID         int32   `json:"id"`
	Host       string  `json:"host"`
	Port       int32   `json:"port"`
	Rack       *string `json:"rack"`
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
			return a.withAdmin(c.Context(), a.clusterInfo)
		},
	}
}

func (a *app) clusterInfo(ctx context.Context, adm *kadm.Client) error {
	meta, err := adm.Metadata(ctx)
	if err != nil {
		return a.explain(err, "describe the cluster")
	}
	info := clusterInfo{ClusterID: meta.Cluster, Controller: meta.Controller, Topics: len(meta.Topics), Brokers: []brokerInfo{}}
	leads, replicas := map[int32]int{}, map[int32]int{}
	meta.Topics.EachPartition(func(p kadm.PartitionDetail) {
		info.Partitions++
		if p.Leader < 0 {
			info.Offline++
		}
		if len(p.ISR) < len(p.Replicas) {
			info.Under++
		}
		leads[p.Leader]++
		for _, r := range p.Replicas {
			replicas[r]++
		}
	})
	dirs, _ := adm.DescribeAllLogDirs(ctx, nil) // a broker that is down shows as unknown
	for _, b := range meta.Brokers {
		info.Brokers = append(info.Brokers, brokerInfo{
			ID: b.NodeID, Host: b.Host, Port: b.Port, Rack: b.Rack, Controller: b.NodeID == meta.Controller,
			Leads: leads[b.NodeID], Replicas: replicas[b.NodeID], Size: sizeOf(dirs, b.NodeID),
		})
	}
	return a.print(info, info.fields(), brokerTable(info.Brokers))
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
	if c.Offline > 0 {
		f = append(f, render.Field{Name: "without a leader", Value: render.Styled(render.Bad, c.Offline)})
	}
	if c.Under > 0 {
		f = append(f, render.Field{Name: "under-replicated", Value: render.Styled(render.Warn, c.Under)})
	}
	return f
}

func brokerTable(brokers []brokerInfo) *render.Table {
	table := render.NewTable("BROKER>", "ADDRESS~", "RACK", "LEADS>", "REPLICAS>", "SIZE>", "")
	for _, b := range brokers {
		rack, size, role := "-", "?", ""
		if b.Rack != nil {
			rack = *b.Rack
		}
		if b.Size != nil {
			size = render.Bytes(*b.Size)
		}
		if b.Controller {
			role = "controller"
		}
		table.Row(b.ID, net.JoinHostPort(b.Host, strconv.Itoa(int(b.Port))), rack, b.Leads, b.Replicas, size, role)
	}
	return table
}
