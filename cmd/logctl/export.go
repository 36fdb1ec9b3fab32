package main

import (
	"bytes"
	"context"
	"maps"

	"quorumlog/cmd/logctl/internal/declare"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newExport(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "export [NAME|PATTERN…]",
		Short: "Write the topics and settings of a cluster as a file for logctl apply",
		Long: `Write topics, all or those that are named, with their partitions, replicas and the settings that were
made for them, and what was set for all brokers, for one while they ran, and for groups. With names it
is topics alone. logctl apply reads it. The brokers' own topics are left out, and secrets, which nobody
can read.`,
		Example: `  logctl export > cluster.yaml
  logctl export 'order*' > orders.yaml`,
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, patterns []string) error {
			return a.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				f, err := a.present(ctx, cl, patterns, nil)
				if err != nil {
					return err
				}
				if len(patterns) > 0 {
					f = declare.File{Topics: f.Topics}
				}
				maps.DeleteFunc(f.Brokers, func(_ int32, s declare.Settings) bool { return len(s) == 0 })
				maps.DeleteFunc(f.Groups, func(_ string, s declare.Settings) bool { return len(s) == 0 })
				if a.format == render.AsJSON {
					return a.print(f)
				}
				var out bytes.Buffer
				if err := declare.Write(&out, f); err != nil {
					return err
				}
				_, err = a.out.Write(out.Bytes())
				return err
			})
		},
	}
}
