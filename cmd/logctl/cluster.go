package main

import "github.com/spf13/cobra"

func newCluster(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "cluster",
		Short:   "Show the cluster",
		Example: "  logctl cluster info",
	}
	return group(c, newClusterInfo(a))
}
