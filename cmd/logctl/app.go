package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
)

// app is what a command has of the world: its streams, the environment, the clock, and the flags
// that all commands share.
type app struct {
	in          io.Reader
	out         *pipe
	err         io.Writer
	env         func(string) string
	now         func() time.Time
	interactive bool // somebody is there to be asked
	color       bool
	width       int // columns of the terminal that is written to; 0: it is none
	height      int // and its lines
	progress    func() *render.Progress

	bootstrap []string
	output    string
	profile   string
	timeout   time.Duration

	format render.Format // set by settle
}

const rootExample = `  logctl cluster info
  logctl topic create orders --partitions 6
  logctl produce orders --format csv --key-column InvoiceNo orders.csv
  logctl consume orders --from -1h -o json
  logctl group lag`

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:           "logctl",
		Short:         "Work with topics, records and consumer groups of a Kafka-compatible log",
		Example:       rootExample,
		SilenceErrors: true,
		SilenceUsage:  true,
		PersistentPreRunE: func(c *cobra.Command, _ []string) error {
			if err := a.settle(); err != nil {
				return err
			}
			if a.format == render.AsRaw && c.Name() != "consume" {
				return usage("-o raw is for logctl consume alone; use table, json or yaml")
			}
			return nil
		},
	}
	flags := root.PersistentFlags()
	flags.StringSliceVarP(&a.bootstrap, "bootstrap", "b", nil, "brokers to ask first, as `HOST:PORT,...` (default 127.0.0.1:9092; LOGCTL_BOOTSTRAP)")
	flags.StringVarP(&a.output, "output", "o", "", "how to write results: `table`, json or yaml (default table)")
	flags.StringVar(&a.profile, "profile", "", "use profile `NAME` of ~/.config/logctl/config.yaml")
	flags.DurationVar(&a.timeout, "timeout", 10*time.Second, "how long to wait for the cluster to answer")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usage("%v; see %s --help", err, c.CommandPath())
	})
	group(root, newTopic(a), newProduce(a), newConsume(a), newGroup(a), newTxn(a), newCluster(a), newPartition(a), newConfig(a), newBench(a), newMirror(a), newPlan(a), newApply(a), newExport(a), newDoctor(a), newLog(a), newLocal(a), newVersion(a))
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "yaml"}, cobra.ShellCompDirectiveNoFileComp))
	return root
}

// group puts commands below parent, which by itself only explains them.
func group(parent *cobra.Command, children ...*cobra.Command) *cobra.Command {
	parent.AddCommand(children...)
	parent.Args = cobra.ArbitraryArgs
	parent.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			return c.Help()
		}
		var names []string
		for _, child := range c.Commands() {
			if child.IsAvailableCommand() {
				names = append(names, child.Name())
			}
		}
		return usage("there is no command %q under %s%s; see %s --help", args[0], c.CommandPath(), didYouMean(args[0], names), c.CommandPath())
	}
	return parent
}

// arguments accepts at least least arguments and at most most (negative: any number).
func arguments(least, most int) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least {
			return usage("%s is missing; usage: %s", missing(c.Use, len(args)), c.UseLine())
		}
		if most >= 0 && len(args) > most {
			return usage("argument %q is one too many; usage: %s", args[most], c.UseLine())
		}
		return nil
	}
}

// missing names the argument that stands at place i of a usage line.
func missing(use string, i int) string {
	words := strings.Fields(use)[1:]
	return strings.Trim(words[min(i, len(words)-1)], "[]….")
}

// settle completes the flags from the environment and the profile.
func (a *app) settle() error {
	p, err := a.loadProfile()
	if err != nil {
		return err
	}
	fromEnv := strings.FieldsFunc(a.env("LOGCTL_BOOTSTRAP"), func(r rune) bool { return r == ',' })
	candidates := [][]string{a.bootstrap, fromEnv, p.Bootstrap, {defaultBootstrap}}
	if a.profile != "" { // a profile that was asked for goes before the environment
		candidates = [][]string{a.bootstrap, p.Bootstrap, fromEnv, {defaultBootstrap}}
	}
	i := slices.IndexFunc(candidates, func(c []string) bool { return len(c) > 0 })
	if a.bootstrap, err = addresses(candidates[i]); err != nil {
		return err
	}
	if a.output == "" {
		a.output = p.Output
	}
	if a.format, err = render.ParseFormat(a.output); err != nil {
		return usage("%v", err)
	}
	if a.timeout <= 0 {
		return usage("--timeout must be more than 0")
	}
	return nil
}

const (
	defaultBootstrap = "127.0.0.1:" + defaultPort
	defaultPort      = "9092"
)

// addresses checks broker addresses and adds the port where there is none.
func addresses(in []string) ([]string, error) {
	var out []string
	for _, s := range in {
		s = strings.TrimSpace(s)
		host, port, err := net.SplitHostPort(s)
		if err != nil {
			host, port = strings.Trim(s, "[]"), defaultPort
		}
		_, notIP := netip.ParseAddr(host)
		_, badPort := net.LookupPort("tcp", port)
		if host == "" || port == "" || badPort != nil || strings.ContainsAny(host, "/ ") || notIP != nil && strings.Contains(host, ":") {
			return nil, usage("broker address %q is not HOST:PORT", s)
		}
		out = append(out, net.JoinHostPort(host, port))
	}
	return out, nil
}

// print writes a result.
func (a *app) print(v any, parts ...render.Part) error {
	buffered := bufio.NewWriter(a.out)
	p := render.Printer{W: buffered, Format: a.format, Color: a.color, Width: a.width}
	if err := p.Print(v, parts...); err != nil {
		return err
	}
	return buffered.Flush()
}

// note says something to people beside the result.
func (a *app) note(format string, args ...any) {
	fmt.Fprintf(a.err, format+"\n", args...)
}

// confirm asks before something is destroyed. Where nobody can be asked, --yes is required.
func (a *app) confirm(ctx context.Context, yes bool, question string) error {
	if yes {
		return nil
	}
	if !a.interactive {
		return usage("nobody can be asked here; add --yes to %s", lowerFirst(question))
	}
	fmt.Fprintf(a.err, "%s? [y/N] ", question)
	answer := make(chan string, 1)
	go func() { // ends with the process where nobody answers
		line, _ := bufio.NewReader(a.in).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case got := <-answer:
		if got == "y" || got == "yes" {
			return nil
		}
		return refused("nothing was changed")
	case <-ctx.Done():
		fmt.Fprintln(a.err)
		return ctx.Err()
	}
}

func lowerFirst(s string) string { return strings.ToLower(s[:1]) + s[1:] }
