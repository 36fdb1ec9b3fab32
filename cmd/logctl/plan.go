package main

import (
	"context"

	"quorumlog/cmd/logctl/internal/declare"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

func newPlan(a *app) *cobra.Command {
	file, prune, check := "", false, false
	c := &cobra.Command{
		Use:   "plan -f FILE",
		Short: "Show what logctl apply would change",
		Long:  "Show how a cluster differs from what a file declares. The brokers check what would be made; nothing\nis changed.\n\n" + declaredSyntax,
		Example: `  logctl plan -f cluster.yaml
  logctl plan -f cluster.yaml --prune -o json
  logctl plan -f cluster.yaml --check`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			want, err := a.readDeclared(file)
			if err != nil {
				return err
			}
			return a.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				d, err := a.compare(ctx, cl, want, prune)
				if err != nil {
					return err
				}
				if err := a.printPlan(d); err != nil {
					return err
				}
				if check && len(d.changes) > 0 {
					return refused("the cluster of %s is not as %s declares", a.at(), file)
				}
				return nil
			})
		},
	}
	c.Flags().StringVarP(&file, "file", "f", "", "the `FILE` that declares topics and settings; - is standard input")
	c.Flags().BoolVar(&prune, "prune", false, "plan to delete topics that are not in the file, but never the brokers' own")
	c.Flags().BoolVar(&check, "check", false, "exit with status 1 if anything differs")
	return c
}

// printPlan shows the changes, as a diff or as a list.
func (a *app) printPlan(d *declaration) error {
	changes := d.changes
	if changes == nil {
		changes = []declare.Change{}
	}
	return a.print(changes, d.lines())
}
