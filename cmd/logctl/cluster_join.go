package main

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// joinedBroker is the JSON of "cluster join".
type joinedBroker struct {
	ID      int32    `json:"id"`
	Command []string `json:"command"` // that starts the broker
	Joined  bool     `json:"joined"`
}

type clusterJoin struct {
	*app
	wait time.Duration
}

func newClusterJoin(a *app) *cobra.Command {
	j := &clusterJoin{app: a}
	c := &cobra.Command{
		Use:   "join [NODE]",
		Short: "Show how a new broker joins, and wait for it",
		Long: "Show the command that starts a new broker of this cluster, and wait until it has joined. A\n" +
			"broker joins by itself, once it is started with the address of any member; the number is the\n" +
			"next one that is free where none is given. It holds nothing at first: logctl partition\n" +
			"reassign --spread gives it its part.",
		Example: "  logctl cluster join --wait 0\n  logctl cluster join 4",
		Args:    arguments(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			id := int64(-1)
			if len(args) > 0 {
				var err error
				if id, err = strconv.ParseInt(args[0], 10, 32); err != nil || id < 0 {
					return usage("%q is no node's number", args[0])
				}
			}
			return a.withClient(c.Context(), func(ctx context.Context, cl *kgo.Client) error {
				return j.run(ctx, cl, int32(id))
			})
		},
	}
	c.Flags().DurationVar(&j.wait, "wait", 10*time.Minute, "how long to wait for the broker; 0 shows the command alone")
	return c
}

func (j *clusterJoin) run(ctx context.Context, cl *kgo.Client, id int32) error {
	v, err := j.view(ctx, cl)
	if err != nil {
		return err
	}
	if id < 0 {
		id = v.nextID()
	}
	if b := v.broker(id); b != nil && !b.fenced {
		return refused("broker %d is there already, at %s; logctl cluster join without a number takes a free one", id, hostPort(b.host, b.port))
	}
	members, assumed := v.raftAddresses(ctx, cl)
	if assumed {
		j.note("The cluster does not tell the --raft-listen of its brokers; %s is the default.", defaultRaftPort)
	}
	result := joinedBroker{ID: id, Command: joinCommand(id, members)}
	command := render.Note(strings.Join(result.Command, " "))
	if j.wait > 0 {
		j.note("Start it on its machine (add --listen and --raft-listen with an address that others can reach):\n\n  %s\n", command)
		if err := j.await(ctx, cl, id); err != nil {
			return err
		}
		result.Joined, command = true, render.Note(fmt.Sprintf("broker %d has joined; logctl partition reassign --spread gives it its part", id))
	}
	return j.print(result, command)
}

// nextID is one more than the highest number.
func (v *clusterView) nextID() int32 {
	id := int32(0)
	for _, b := range v.brokers {
		id = max(id, b.id)
	}
	if v.quorum != nil {
		for _, m := range slices.Concat(v.quorum.Voters, v.quorum.Observers) {
			id = max(id, m.ID)
		}
	}
	return id + 1
}

func joinCommand(id int32, members []string) []string {
	return []string{"brokerd", "--node-id", strconv.Itoa(int(id)), "--join", strings.Join(members, ",")}
}

// defaultRaftPort is where brokers listen for each other unless told otherwise.
const defaultRaftPort = "9093"

// raftAddresses is where other nodes connect to the members. The quorum tells it; where it names
// the port for clients instead, nobody knows, and the default is assumed.
func (v *clusterView) raftAddresses(ctx context.Context, cl *kgo.Client) (addrs []string, assumed bool) {
	told := map[int32]kmsg.DescribeQuorumResponseNodeListener{}
	if answer, err := askQuorum(ctx, cl); err == nil && answer != nil {
		for _, n := range answer.Nodes {
			for _, l := range n.Listeners {
				told[n.NodeID] = l
			}
		}
	}
	for _, b := range v.brokers {
		l, ok := told[b.id]
		switch {
		case b.fenced:
		case ok && int32(l.Port) != b.port:
			addrs = append(addrs, hostPort(l.Host, int32(l.Port)))
		default:
			addrs, assumed = append(addrs, net.JoinHostPort(b.host, defaultRaftPort)), true
		}
	}
	slices.Sort(addrs)
	return slices.Compact(addrs), assumed
}

// joinStep is how often the cluster is asked whether a broker has joined.
const joinStep = 500 * time.Millisecond

func (j *clusterJoin) await(ctx context.Context, cl *kgo.Client, id int32) error {
	progress := j.progress()
	defer progress.Done()
	for deadline := j.now().Add(j.wait); ; pause(ctx, joinStep) {
		brokers, err := registered(ctx, cl)
		if slices.ContainsFunc(brokers, func(b brokerView) bool { return b.id == id && !b.fenced }) {
			return nil
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case j.now().After(deadline) && err != nil:
			return j.explain(err, "see whether it joins")
		case j.now().After(deadline):
			return refused("broker %d has not joined within %v; see its log", id, j.wait)
		}
		progress.Set(0, 0, fmt.Sprintf("waiting for broker %d", id))
	}
}
