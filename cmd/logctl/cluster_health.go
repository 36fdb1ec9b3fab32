package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// clusterHealth is the JSON of "cluster health".
type clusterHealth struct {
	ClusterID  string    `json:"cluster_id"`
	Healthy    bool      `json:"healthy"` // no finding is a problem
	Brokers    int       `json:"brokers"` // that are registered
	Down       int       `json:"down"`    // of these
	Topics     int       `json:"topics"`
	Partitions int       `json:"partitions"`
	Findings   []finding `json:"findings"`
	quorum     *quorumView
}

func newClusterHealth(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "health",
		Short: "Show what is wrong with the cluster, and what to do",
		Long: "Show what is wrong with the cluster, and what to do about it. The exit status is 1 where\n" +
			"there is a problem, so that it can stand in scripts; what is only worth knowing, such as\n" +
			"leaders away from their first replicas, does not count.",
		Example: "  logctl cluster health\n  until logctl cluster health >/dev/null; do sleep 1; done\n  logctl cluster health -o json",
		Args:    arguments(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.withClient(c.Context(), a.clusterHealth)
		},
	}
}

func (a *app) clusterHealth(ctx context.Context, cl *kgo.Client) error {
	c, err := a.examine(ctx, cl)
	if err != nil {
		return err
	}
	h := clusterHealth{ClusterID: c.id, Brokers: len(c.brokers), Topics: c.topics, Partitions: len(c.partitions), Findings: c.findings(), quorum: c.quorum}
	problems := 0
	for i := range h.Findings {
		f := &h.Findings[i]
		f.Brokers = list(f.Brokers)
		if f.Partitions == nil {
			f.Partitions = []string{}
		}
		if f.Problem {
			problems++
		}
	}
	for _, b := range c.brokers {
		if b.fenced {
			h.Down++
		}
	}
	if h.Healthy = problems == 0; h.Findings == nil {
		h.Findings = []finding{}
	}
	if err := a.print(h, h.parts()...); err != nil || h.Healthy {
		return err
	}
	return refused("the cluster is not well: %s", render.Plural(int64(problems), "problem"))
}

func (h *clusterHealth) parts() []render.Part {
	brokers := any(h.Brokers)
	if h.Down > 0 {
		brokers = render.Styled(render.Bad, fmt.Sprintf("%d, of which %d %s down", h.Brokers, h.Down, be(h.Down)))
	}
	summary := render.Fields{
		{Name: "cluster", Value: h.ClusterID},
		{Name: "brokers", Value: brokers},
		{Name: "partitions", Value: fmt.Sprintf("%s in %s", render.Count(int64(h.Partitions)), render.Plural(int64(h.Topics), "topic"))},
	}
	if h.quorum != nil {
		summary = append(summary, render.Field{Name: "quorum", Value: h.quorum.String()})
	}
	if h.Healthy {
		summary = append(summary, render.Field{Name: "health", Value: render.Styled(render.Good, "nothing is wrong")})
	}
	parts := []render.Part{summary}
	for _, f := range h.Findings {
		name, style := "note", render.Style("")
		if f.Problem {
			name, style = "problem", render.Bad
		}
		parts = append(parts, render.Fields{{Name: name, Value: render.Styled(style, f.What)}, {Name: "do", Value: f.Remedy}})
	}
	return parts
}

// examine gathers what findings are made of.
func (a *app) examine(ctx context.Context, cl *kgo.Client) (*checkup, error) {
	v, err := a.view(ctx, cl)
	if err != nil {
		return nil, err
	}
	c := &checkup{clusterView: v, silent: silentBrokers(ctx, v.brokers), moving: kadm.TopicsSet{}}
	if c.minISR, err = minISROf(ctx, cl, v.partitions); err != nil {
		return nil, a.explain(err, "read topic settings")
	}
	if v.leaderless() {
		return c, nil // nobody would answer what else is asked
	}
	running, err := a.admin(cl).ListPartitionReassignments(ctx, setOf(v.partitions))
	if err != nil && !notServed(err) {
		return nil, a.explain(err, "list what is being moved")
	}
	running.Each(func(r kadm.ListPartitionReassignmentsResponse) { c.moving.Add(r.Topic, r.Partition) })
	return c, nil
}

// silentBrokers asks each broker that should run for a sign of life, and returns what it found
// instead.
func silentBrokers(ctx context.Context, brokers []brokerView) map[int32]string {
	var mu sync.Mutex
	var all sync.WaitGroup
	silent := map[int32]string{}
	for _, b := range brokers {
		if b.fenced {
			continue
		}
		all.Go(func() {
			if found, _ := probe(ctx, hostPort(b.host, b.port)); found != "" {
				mu.Lock()
				defer mu.Unlock()
				silent[b.id] = found
			}
		})
	}
	all.Wait()
	return silent
}

// minISROf returns min.insync.replicas of topics that have fewer replicas in sync than they should.
func minISROf(ctx context.Context, cl *kgo.Client, partitions []kadm.PartitionDetail) (map[string]int, error) {
	const name = "min.insync.replicas"
	req := kmsg.NewPtrDescribeConfigsRequest()
	var topics []string
	for _, p := range partitions {
		if lagging(p) > 0 && !slices.Contains(topics, p.Topic) {
			topics = append(topics, p.Topic)
			r := kmsg.NewDescribeConfigsRequestResource()
			r.ResourceType, r.ResourceName, r.ConfigNames = kmsg.ConfigResourceTypeTopic, p.Topic, []string{name}
			req.Resources = append(req.Resources, r)
		}
	}
	found := map[string]int{}
	if len(topics) == 0 {
		return found, nil
	}
	answer, err := req.RequestWith(ctx, cl)
	if err != nil {
		return nil, err
	}
	for _, r := range answer.Resources {
		if err := kerr.ErrorForCode(r.ErrorCode); err != nil {
			return nil, err
		}
		for _, c := range r.Configs {
			if c.Name == name && c.Value != nil {
				found[r.ResourceName], _ = strconv.Atoi(*c.Value)
			}
		}
	}
	return found, nil
}
