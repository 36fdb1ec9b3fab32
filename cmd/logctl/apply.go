package main

import (
	"context"
	"fmt"
	"strconv"

	"quorumlog/cmd/logctl/internal/declare"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
)

type apply struct {
	*app
	file               string
	prune, yes, dryRun bool
}

func newApply(a *app) *cobra.Command {
	p := &apply{app: a}
	c := &cobra.Command{
		Use:   "apply -f FILE",
		Short: "Make topics and settings as a file declares them",
		Long: `Make topics and settings as a file declares them. What will change is shown first as a diff, and done
if you say yes; elsewhere than on a terminal --yes is required. Names and values are checked before
anything is changed. Ctrl-C ends after the step that is under way, and a second run does what is left;
where everything is as declared, nothing is done.

` + declaredSyntax,
		Example: `  logctl apply -f cluster.yaml
  logctl apply -f cluster.yaml --dry-run
  logctl export | logctl -b other:9092 apply -f - --yes
  logctl apply -f cluster.yaml --prune --yes`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return p.run(c.Context())
		},
	}
	f := c.Flags()
	f.StringVarP(&p.file, "file", "f", "", "the `FILE` that declares topics and settings; - is standard input")
	f.BoolVar(&p.prune, "prune", false, "delete topics that are not in the file, but never the brokers' own")
	f.BoolVarP(&p.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&p.dryRun, "dry-run", false, "show what would change, but change nothing")
	return c
}

func (p *apply) run(ctx context.Context) error {
	if p.file == "-" && !p.yes && !p.dryRun {
		return usage("the declaration comes from standard input, so nobody can be asked; add --yes or --dry-run")
	}
	want, err := p.readDeclared(p.file)
	if err != nil {
		return err
	}
	return p.withClient(ctx, func(ctx context.Context, cl *kgo.Client) error {
		d, err := p.compare(ctx, cl, want, p.prune)
		if err != nil {
			return err
		}
		if err := p.printPlan(d); err != nil || p.dryRun || len(d.changes) == 0 {
			return err
		}
		if err := p.confirm(ctx, p.yes, "Make these changes"); err != nil {
			return err
		}
		return p.make(ctx, cl, d)
	})
}

// step is one request of an apply.
type step struct {
	what string // of people: "create topic orders"
	do   func(ctx context.Context) error
}

// make carries the changes out, step by step: what is new first, what goes last.
func (p *apply) make(ctx context.Context, cl *kgo.Client, d *declaration) error {
	steps := p.steps(cl, d)
	progress := p.progress()
	defer progress.Done()
	for i, s := range steps {
		if ctx.Err() != nil {
			progress.Done()
			p.note("Interrupted after %d of %s; run it again for the rest.", i, render.Plural(int64(len(steps)), "step"))
			return ctx.Err()
		}
		progress.Set(int64(i), int64(len(steps)), s.what)
		// A step that was begun is ended, so that what is told is true.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
		err := s.do(limited)
		cancel()
		if err != nil {
			progress.Done()
			f := p.explain(err, s.what)
			f.message += fmt.Sprintf("; %d of %s done, run it again for the rest", i, areOf(int64(len(steps)), "step"))
			return f
		}
	}
	p.appear(ctx, cl, d.created())
	everywhere(ctx, cl, d.deleted(), gone)
	progress.Done()
	p.note("Done: %s.", render.Plural(int64(len(steps)), "step"))
	return nil
}

func (p *apply) steps(cl *kgo.Client, d *declaration) []step {
	adm := p.admin(cl)
	var out []step
	for _, name := range d.created() {
		t := d.want.Topics[name]
		out = append(out, step{"create topic " + name, func(ctx context.Context) error {
			answer, err := adm.CreateTopic(ctx, orDefault(t.Partitions), orDefault(t.Replicas), pointers(t.Configs), name)
			if err != nil && answer.ErrMessage != "" {
				return refused("topic %s was not created: %s", name, reason(err, answer.ErrMessage))
			}
			return err
		}})
	}
	for _, c := range d.changes {
		if c.Action != declare.AddPartitions {
			continue
		}
		r, _ := parseResource(c.Resource)
		total, _ := strconv.Atoi(*c.After)
		out = append(out, step{"add partitions to " + r.name, func(ctx context.Context) error {
			answers, err := adm.UpdatePartitions(ctx, total, r.name)
			if err == nil {
				err = answers[r.name].Err
			}
			return err
		}})
	}
	for _, c := range d.settingChanges() {
		out = append(out, step{"change " + c.resource.String(), func(ctx context.Context) error {
			refusals, err := p.change(ctx, cl, []resourceChange{c}, false)
			if why, bad := refusals[c.resource]; bad {
				return refused("%s was not changed: %s", c.resource, why)
			}
			return err
		}})
	}
	for _, name := range d.deleted() {
		out = append(out, step{"delete topic " + name, func(ctx context.Context) error {
			_, err := adm.DeleteTopic(ctx, name)
			return err
		}})
	}
	return out
}
