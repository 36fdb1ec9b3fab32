package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"quorumlog/cmd/logctl/internal/local"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var errNoController = errors.New("the metadata quorum has no leader")

const (
	// askTimeout bounds one question to a node, askStep is the time between two.
	askTimeout = time.Second
	askStep    = 100 * time.Millisecond
)

// awaitNodes waits until each of nodes answers clients and knows all nodes that run. It gives up
// when a process ends, and after patience.
func (l *localCommand) awaitNodes(ctx context.Context, cl *local.Cluster, nodes []*local.Node, patience time.Duration) error {
	running, down := cl.Running()
	if patience == 0 || len(nodes) == 0 {
		return nil
	}
	if len(running) < cl.Majority() && len(down) > 0 {
		return l.tooFew(cl, nodes, down)
	}
	progress := l.progress()
	defer progress.Done()
	deadline := l.now().Add(patience)
	for i, n := range nodes {
		for {
			progress.Set(int64(i), int64(len(nodes)), fmt.Sprintf("waiting for node %d", n.ID))
			missing := notKnown(ctx, n, running)
			if missing == "" {
				break
			}
			switch {
			case ctx.Err() != nil:
				return ctx.Err()
			case !n.Process.Running():
				return refused("node %d ended at once%s; see logctl local logs %d%s", n.ID, lastWords(cl, n), n.ID, l.dirFlag())
			case l.now().After(deadline):
				return unreachable("node %d runs at %s, but after %v %s; see logctl local logs %d%s", n.ID, n.Kafka, patience, missing, n.ID, l.dirFlag())
			}
			pause(ctx, askStep)
		}
	}
	return nil
}

// tooFew tells why waiting would be in vain: a node that ended at once, or too few that were
// started.
func (l *localCommand) tooFew(cl *local.Cluster, started, down []*local.Node) error {
	for _, n := range started {
		if !n.Process.Running() {
			return refused("node %d ended at once%s; see logctl local logs %d%s", n.ID, lastWords(cl, n), n.ID, l.dirFlag())
		}
	}
	l.note("%d of %d nodes are down, and the cluster answers once %d run; see logctl local status%s", len(down), len(cl.Nodes), cl.Majority(), l.dirFlag())
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// notKnown is why a node is not ready: it does not answer clients, or does not list all of others.
func notKnown(ctx context.Context, n *local.Node, others []*local.Node) string {
	brokers, err := askBrokers(ctx, n.Kafka)
	if err != nil {
		return "does not answer clients: " + shortly(n.Kafka, err)
	}
	for _, o := range others {
		if !brokers[o.ID] {
			return fmt.Sprintf("has not heard of node %d", o.ID)
		}
	}
	return ""
}

// shortly is why an address does not answer as it should.
func shortly(addr string, err error) string {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer"
	case errors.Is(err, errNoController):
		return err.Error()
	}
	found, _ := dialError(addr, err)
	return found
}

// askBrokers asks the broker at addr, and nobody else, which brokers there are. It is an error
// as long as there is no controller.
func askBrokers(ctx context.Context, addr string) (map[int32]bool, error) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(addr), kgo.ClientID("logctl"), kgo.DialTimeout(askTimeout), kgo.RequestRetries(0))
	if err != nil {
		return nil, err
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req := kmsg.NewPtrMetadataRequest()
	req.Topics = []kmsg.MetadataRequestTopic{}
	answer, err := cl.SeedBrokers()[0].Request(ctx, req)
	if err != nil {
		return nil, err
	}
	meta := answer.(*kmsg.MetadataResponse)
	if meta.ControllerID < 0 {
		return nil, errNoController
	}
	brokers := map[int32]bool{}
	for _, b := range meta.Brokers {
		brokers[b.NodeID] = true
	}
	return brokers, nil
}

// lastWords quotes the last line of a node's log, "" where it has none.
func lastWords(cl *local.Cluster, n *local.Node) string {
	f, err := os.Open(cl.LogFile(n))
	if err != nil {
		return ""
	}
	defer f.Close()
	line, _, err := local.Tail(f, 1)
	text := strings.TrimSpace(string(line))
	if err != nil || text == "" {
		return ""
	}
	return fmt.Sprintf(" (%s)", text)
}

// uptime writes how long something runs: to the second, or to the hour after a day.
func uptime(d time.Duration) string {
	d = max(0, d.Round(time.Second))
	if hours := int64(d.Hours()); hours >= 24 {
		return fmt.Sprintf("%s %dh", render.Plural(hours/24, "day"), hours%24)
	}
	return d.String()
}
