package main

import (
	"context"
	"errors"
	"time"

	"quorumlog/cmd/logctl/internal/local"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
)

type localUp struct {
	*localCommand
	nodes    int
	port     int
	settings []string
	brokerd  string
	wait     time.Duration
	given    func(flag string) bool
}

// A cluster has 3 nodes where nobody says otherwise, and not more than a machine bears.
const (
	localNodes    = 3
	maxLocalNodes = 25
	localPort     = 9092
	localWait     = 30 * time.Second
)

func newLocalUp(l *localCommand) *cobra.Command {
	u := &localUp{localCommand: l}
	c := &cobra.Command{
		Use:   "up",
		Short: "Start a cluster, or what is down of it",
		Long: "Start a cluster of brokerd processes, and wait until each answers. A cluster that is there\n" +
			"already keeps its nodes, ports and data: what is down is started, what runs is left alone.\n" +
			"Ports for Kafka's protocol follow each other from --port on; those for other nodes and for\n" +
			"metrics lie above, or are free ones. All listen on 127.0.0.1. Ctrl-C ends the waiting alone; the\n" +
			"processes go on, and logctl local status shows them.",
		Example: `  logctl local up
  logctl local up -n 1 --set auto.create.topics.enable=true
  logctl local up -n 5 --port 19092 --dir ./five
  logctl local up --port 0 -o json`,
		Args: arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			u.given = c.Flags().Changed
			return u.run(c.Context())
		},
	}
	f := c.Flags()
	f.IntVarP(&u.nodes, "nodes", "n", localNodes, "how many nodes a new cluster gets")
	f.IntVar(&u.port, "port", localPort, "the first Kafka `PORT` of a new cluster; 0 takes free ones")
	f.StringArrayVar(&u.settings, "set", nil, "a broker setting, as `NAME=VALUE`, for the nodes that are started; may be repeated")
	f.StringVar(&u.brokerd, "brokerd", "", "the program to run, as `PATH` (default: beside logctl, or in PATH)")
	addWait(c, &u.wait)
	return c
}

func addWait(c *cobra.Command, wait *time.Duration) {
	c.Flags().DurationVar(wait, "wait", localWait, "how long to wait until nodes answer; 0 does not wait")
}

func (u *localUp) run(ctx context.Context) error {
	if u.nodes < 1 || u.nodes > maxLocalNodes {
		return usage("-n must be from 1 to %d", maxLocalNodes)
	}
	if u.port < 0 || u.port > 65535 {
		return usage("--port must be from 0 to 65535")
	}
	if _, err := keyValues("set", u.settings); err != nil {
		return err
	}
	var cl *local.Cluster
	var started []*local.Node
	err := u.locked(func() (err error) {
		cl, started, err = u.start()
		return err
	})
	if err == nil {
		err = u.awaitNodes(ctx, cl, cl.Nodes, u.wait)
	}
	if err != nil {
		return err
	}
	return u.report(ctx, cl, started)
}

// start starts what is down of the cluster, which is made where it is not there.
func (u *localUp) start() (*local.Cluster, []*local.Node, error) {
	cl, err := u.open()
	if err != nil {
		return nil, nil, err
	}
	if cl.Brokerd, err = findBrokerd(u.brokerd, cl.Brokerd); err != nil {
		return nil, nil, err
	}
	running, down := cl.Running()
	if u.given("set") {
		cl.Settings = u.settings
		if len(running) > 0 {
			u.note("what runs keeps its settings until it is stopped and started")
		}
	}
	return cl, down, u.startNodes(cl, down)
}

func (u *localUp) open() (*local.Cluster, error) {
	dir, err := u.directory()
	if err != nil {
		return nil, err
	}
	cl, err := local.Load(dir)
	if errors.Is(err, local.ErrNone) {
		cl, err = local.New(dir, u.nodes, u.port)
		return cl, u.failed(err)
	}
	if err != nil {
		return nil, u.failed(err)
	}
	if u.given("nodes") && u.nodes != len(cl.Nodes) || u.given("port") && u.port != 0 && !startsAt(cl, u.port) {
		return nil, usage("the cluster in %s has %s, at %s; delete it with logctl local down --delete%s, or make another with --dir",
			dir, render.Plural(int64(len(cl.Nodes)), "node"), cl.Bootstrap(), u.dirFlag())
	}
	return cl, nil
}

func (u *localUp) report(ctx context.Context, cl *local.Cluster, started []*local.Node) error {
	status := u.status(ctx, cl)
	for _, n := range started {
		status.Nodes[n.ID-1].Started = true
	}
	return u.print(status, status.table(true), status.fields(), render.Note(u.whatNext(cl)))
}

// whatNext shows commands that work now.
func (u *localUp) whatNext(cl *local.Cluster) string {
	first := "  logctl topic create orders --partitions 6\n  echo hello | logctl produce orders\n  logctl consume orders\n"
	if !startsAt(cl, localPort) {
		first = "  export LOGCTL_BOOTSTRAP=" + cl.Bootstrap() + "\n" + first
	}
	if len(cl.Nodes) > 1 {
		first += "  logctl local kill 1" + u.dirFlag() + "\n"
	}
	return "Try next:\n" + first + "  logctl local down" + u.dirFlag()
}

func startsAt(cl *local.Cluster, port int) bool {
	return cl.Nodes[0].Kafka == local.Address(port)
}
