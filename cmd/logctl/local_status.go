package main

import (
	"context"
	"sync"
	"time"

	"quorumlog/cmd/logctl/internal/local"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
)

// localStatus is the JSON of "local status" and "local up".
type localStatus struct {
	Dir       string      `json:"dir"`
	Bootstrap string      `json:"bootstrap"`
	Nodes     []localNode `json:"nodes"`
}

type localNode struct {
	ID      int32     `json:"id"`
	State   nodeState `json:"state"`
	PID     *int      `json:"pid"` // null: it does not run
	Kafka   string    `json:"kafka"`
	Raft    string    `json:"raft"`
	Admin   string    `json:"admin"`
	Since   *int64    `json:"since"` // ms since 1970; null: it does not run
	Size    int64     `json:"size"`  // bytes of data on disk
	Started bool      `json:"started,omitempty"`
	now     time.Time
}

// nodeState is what became of a node's process.
type nodeState string

const (
	nodeRunning nodeState = "running"
	nodeSilent  nodeState = "not answering" // its process runs
	nodeStopped nodeState = "stopped"
	nodeDead    nodeState = "dead" // its process ended, and nobody stopped it
)

func newLocalStatus(l *localCommand) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show the nodes and whether they run",
		Long: "Show the nodes: \"not answering\" is a process that does not answer clients, \"dead\" one that\n" +
			"was killed or ended by itself. The status is 0 also where nodes are down.",
		Example: "  logctl local status\n  logctl local status -o json",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			cl, err := l.load()
			if err != nil {
				return err
			}
			s := l.status(c.Context(), cl)
			return l.print(s, s.table(false), s.fields())
		},
	}
}

// status asks every node that runs whether it answers.
func (l *localCommand) status(ctx context.Context, cl *local.Cluster) localStatus {
	s := localStatus{Dir: cl.Dir(), Bootstrap: cl.Bootstrap(), Nodes: make([]localNode, len(cl.Nodes))}
	var all sync.WaitGroup
	for i, n := range cl.Nodes {
		all.Go(func() { s.Nodes[i] = l.nodeStatus(ctx, cl, n) })
	}
	all.Wait()
	return s
}

func (l *localCommand) nodeStatus(ctx context.Context, cl *local.Cluster, n *local.Node) localNode {
	r := localNode{ID: n.ID, State: nodeStopped, Kafka: n.Kafka, Raft: n.Raft, Admin: n.Admin, Size: cl.Size(n), now: l.now()}
	switch {
	case n.Process == nil:
		return r
	case !n.Process.Running():
		r.State = nodeDead
		return r
	}
	r.State, r.PID, r.Since = nodeRunning, &n.Process.PID, &n.Process.Since
	if _, err := askBrokers(ctx, n.Kafka); err != nil {
		r.State = nodeSilent
	}
	return r
}

func (s localStatus) fields() render.Fields {
	return render.Fields{{Name: "bootstrap", Value: s.Bootstrap}, {Name: "directory", Value: s.Dir}}
}

// table shows the nodes, and withResult whether they were started just now.
func (s localStatus) table(withResult bool) *render.Table {
	headings := []string{"NODE>", "STATE", "PID>", "KAFKA~", "RAFT", "ADMIN", "UPTIME>", "DATA>"}
	if withResult {
		headings = append(headings, "RESULT")
	}
	t := render.NewTable(headings...)
	for _, n := range s.Nodes {
		pid, up, result := any("-"), "-", "ran already"
		if n.PID != nil {
			pid, up = *n.PID, uptime(n.now.Sub(time.UnixMilli(*n.Since)))
		}
		if n.Started {
			result = "started"
		}
		row := []any{n.ID, n.State.styled(), pid, n.Kafka, n.Raft, n.Admin, up, render.Bytes(n.Size), result}
		t.Row(row[:len(headings)]...)
	}
	return t
}

func (s nodeState) styled() any {
	switch s {
	case nodeRunning:
		return render.Styled(render.Good, s)
	case nodeSilent:
		return render.Styled(render.Warn, s)
	case nodeDead:
		return render.Styled(render.Bad, s)
	case nodeStopped:
	}
	return s
}
