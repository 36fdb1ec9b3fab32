//go:build linux

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"quorumlog/internal/clustertest"
)

// administrator changes topics at random while everything else goes on. What it asks for may fail:
// then it is not known whether it was done.
type administrator struct {
	l   *load
	rnd *rand.Rand
	cl  *kgo.Client
	adm *kadm.Client

	made int      // topics that come and go
	all  []*topic // that stay: the load's, which get more partitions, and others
}

func newAdministrator(l *load, rnd *rand.Rand, others ...*topic) *administrator {
	cl := l.c.NewClient(kgo.RequestRetries(5), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	return &administrator{l: l, rnd: rnd, cl: cl, adm: kadm.NewClient(cl), all: slices.Concat(l.topics, others)}
}

func (a *administrator) run(ctx context.Context) {
	defer a.cl.Close()
	for pause(ctx, time.Duration(a.rnd.IntN(600))*time.Millisecond) {
		call, cancel := context.WithTimeout(ctx, 10*time.Second)
		switch a.rnd.IntN(8) {
		case 0, 1:
			a.comeAndGo(call)
		case 2:
			a.addPartition(call)
		case 3, 4, 5:
			a.move(call)
		default:
			_, _ = a.adm.ElectLeaders(call, kadm.ElectPreferredReplica, nil)
		}
		cancel()
	}
}

// comeAndGo makes a topic, writes to it, reads that back and deletes it.
func (a *administrator) comeAndGo(ctx context.Context) {
	a.made++
	name := fmt.Sprint("passing-", a.made)
	if _, err := a.adm.CreateTopic(ctx, 2, 3, nil, name); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return
	}
	var last int64 = -1
	for i := range 20 {
		r := &kgo.Record{Topic: name, Partition: 1, Value: fmt.Append(nil, i)}
		if a.cl.ProduceSync(ctx, r).FirstErr() == nil {
			last = r.Offset
		}
	}
	if ends, err := a.adm.ListEndOffsets(ctx, name); err == nil {
		if e, ok := ends.Lookup(name, 1); ok && e.Err == nil && e.Offset <= last {
			a.l.m.t.Errorf("%s ends at %d, but a record was acknowledged at %d", name, e.Offset, last)
		}
	}
	_, _ = a.adm.DeleteTopic(ctx, name)
	a.cl.PurgeTopicsFromClient(name)
}

// mostPartitions is how many a topic gets.
const mostPartitions = 5

func (a *administrator) addPartition(ctx context.Context) {
	t := a.l.topics[a.rnd.IntN(len(a.l.topics))]
	if n := t.partitions.Load(); n < mostPartitions {
		if r, err := a.adm.UpdatePartitions(ctx, int(n)+1, t.name); err == nil && r.Error() == nil {
			t.partitions.Store(n + 1)
		}
	}
}

// move gives a partition other replicas: two or three of the nodes, in any order.
func (a *administrator) move(ctx context.Context) {
	t := a.all[a.rnd.IntN(len(a.all))]
	var nodes []int32
	for _, i := range a.rnd.Perm(3) {
		nodes = append(nodes, int32(i+1))
	}
	var q kadm.AlterPartitionAssignmentsReq
	q.Assign(t.name, a.rnd.Int32N(t.partitions.Load()), nodes[:2+a.rnd.IntN(len(nodes)-1)])
	_, _ = a.adm.AlterPartitionAssignments(ctx, q)
}

// settle gives every partition three replicas again. Of some it is not known whether they were added:
// now all are.
func (a *administrator) settle(ctx context.Context) error {
	var q kadm.AlterPartitionAssignmentsReq
	for _, t := range a.l.topics {
		if err := a.addAll(ctx, t); err != nil {
			return err
		}
	}
	for _, t := range a.all {
		for p := range t.partitions.Load() {
			q.Assign(t.name, p, []int32{1, 2, 3})
		}
	}
	for {
		r, err := a.adm.AlterPartitionAssignments(ctx, q)
		if err == nil && r.Error() == nil {
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return errors.Join(err, r.Error())
		}
	}
}

// addAll adds the partitions that a topic does not have yet.
func (a *administrator) addAll(ctx context.Context, t *topic) error {
	for {
		r, err := a.adm.UpdatePartitions(ctx, mostPartitions, t.name)
		if err == nil && (r.Error() == nil || errors.Is(r.Error(), kerr.InvalidPartitions)) {
			t.partitions.Store(mostPartitions)
			return nil
		}
		if !pause(ctx, 100*time.Millisecond) {
			return errors.Join(err, r.Error())
		}
	}
}

// whole returns when every partition is where it belongs, and all its replicas are in sync.
func (a *administrator) whole(ctx context.Context) error {
	for {
		missing := a.missing(ctx)
		if missing == "" {
			return nil
		}
		if !pause(ctx, 50*time.Millisecond) {
			return errors.New(missing)
		}
	}
}

func (a *administrator) missing(ctx context.Context) string {
	var names []string
	for _, t := range a.all {
		names = append(names, t.name)
	}
	call, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	moving, err := a.adm.ListPartitionReassignments(call, nil)
	if err != nil {
		return err.Error()
	}
	for _, partitions := range moving {
		for _, p := range partitions {
			return fmt.Sprintf("%s-%d moves", p.Topic, p.Partition)
		}
	}
	m, err := a.adm.Metadata(call, names...)
	if err != nil {
		return err.Error()
	}
	for _, t := range a.all {
		for i := range t.partitions.Load() {
			if p, ok := m.Topics[t.name].Partitions[i]; !ok || p.Leader < 1 || len(p.ISR) != 3 {
				return fmt.Sprintf("%s-%d: leader %d, in sync %v of %v", t.name, i, p.Leader, p.ISR, p.Replicas)
			}
		}
	}
	return ""
}

// leaderOf is the node that leads a partition, or any.
func leaderOf(ctx context.Context, adm *kadm.Client, c *clustertest.Cluster, t string, rnd *rand.Rand) *clustertest.Node {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	if m, err := adm.Metadata(ctx, t); err == nil {
		if p, ok := m.Topics[t].Partitions[0]; ok && p.Leader > 0 {
			return c.Node(p.Leader)
		}
	}
	return c.Nodes[rnd.IntN(len(c.Nodes))]
}
