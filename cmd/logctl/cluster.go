package main

import "github.com/spf13/cobra"

func newCluster(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "cluster",
		Short:   "Show the cluster, and what is wrong with it",
		Example: "  logctl cluster health\n  logctl cluster info\n  logctl cluster members",
	}
	return group(c, a.watchable(newClusterInfo(a)), a.watchable(newClusterHealth(a)), a.watchable(newClusterMembers(a)), newClusterJoin(a), newClusterRemove(a))
}
