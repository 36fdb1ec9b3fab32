package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quorumlog/cmd/logctl/internal/placement"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// plannedMove is an element of the JSON of "partition move" and "partition reassign".
type plannedMove struct {
	Topic     string    `json:"topic"`
	Partition int32     `json:"partition"`
	From      []int32   `json:"from"`
	To        []int32   `json:"to"`
	Size      *int64    `json:"size"` // bytes to copy; null: unknown
	State     moveState `json:"state"`
	Error     string    `json:"error,omitempty"`

	late int // how often it was neither listed as moving nor where it should be
}

// moveState is what became of a planned move.
type moveState string

const (
	movePlanned moveState = "planned"
	moveRefused moveState = "refused"
	moveBegun   moveState = "moving"
	moveWaiting moveState = "waiting" // begun, but without a leader
	moveDone    moveState = "moved"
)

// mover shows a plan and carries it out.
type mover struct {
	*app
	yes, dryRun bool
}

func (m *mover) addFlags(c *cobra.Command) {
	c.Flags().BoolVarP(&m.yes, "yes", "y", false, "do it without asking")
	c.Flags().BoolVar(&m.dryRun, "dry-run", false, "show the plan, but change nothing")
}

// carryOut shows moves, asks, begins them, and waits until they are done. Ctrl-C ends the waiting
// alone.
func (m *mover) carryOut(ctx context.Context, adm *kadm.Client, partitions []kadm.PartitionDetail, moves []placement.Move) error {
	plan := m.plan(ctx, adm, partitions, moves)
	if len(plan) == 0 {
		m.note("Nothing has to move.")
		return m.print(plan)
	}
	people := m.format == render.AsTable
	if people || m.dryRun {
		if err := m.print(plan, planTable(plan)); err != nil || m.dryRun {
			return err
		}
	}
	if err := m.confirm(ctx, m.yes, "Move "+render.Plural(int64(len(plan)), "partition")); err != nil {
		return err
	}
	if err := m.begin(ctx, adm, plan); err != nil {
		return err
	}
	m.setApart(plan, partitions)
	err := m.await(ctx, adm, plan)
	if !people {
		err = errors.Join(m.print(plan), err)
	} else if n := count(plan, moveDone); err == nil && n > 0 {
		m.note("%s moved.%s", render.Plural(int64(n), "partition"), leadersNext(plan))
	}
	var failures []*failure
	for _, p := range plan {
		if p.Error != "" {
			failures = append(failures, refused("%s", p.Error))
		}
	}
	return errors.Join(err, firstOf(failures))
}

// leadersNext says what is left to do where a partition has another first replica now, but kept
// its leader.
func leadersNext(plan []plannedMove) string {
	if slices.ContainsFunc(plan, func(p plannedMove) bool {
		return p.State == moveDone && p.From[0] != p.To[0] && slices.Contains(p.To, p.From[0])
	}) {
		return " logctl partition leaders makes their first replicas lead."
	}
	return ""
}

// plan adds to moves how much they copy.
func (m *mover) plan(ctx context.Context, adm *kadm.Client, partitions []kadm.PartitionDetail, moves []placement.Move) []plannedMove {
	sizes := largestReplicas(ctx, adm, partitions)
	plan := make([]plannedMove, len(moves))
	for i, move := range moves {
		plan[i] = plannedMove{Topic: move.Topic, Partition: move.Number, From: move.From, To: move.To, State: movePlanned}
		if n, ok := sizes[move.Topic][move.Number]; ok {
			n *= int64(len(move.Added()))
			plan[i].Size = &n
		}
	}
	return plan
}

// largestReplicas tells what a copy of each partition takes. Brokers that do not answer are left
// out.
func largestReplicas(ctx context.Context, adm *kadm.Client, partitions []kadm.PartitionDetail) map[string]map[int32]int64 {
	out := map[string]map[int32]int64{}
	brokers, _ := adm.DescribeAllLogDirs(ctx, setOf(partitions))
	brokers.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if out[p.Topic] == nil {
				out[p.Topic] = map[int32]int64{}
			}
			out[p.Topic][p.Partition] = max(out[p.Topic][p.Partition], p.Size)
		})
	})
	return out
}

func planTable(plan []plannedMove) *render.Table {
	table := render.NewTable("TOPIC~", "PARTITION>", "FROM", "TO", "COPY>")
	total := int64(0)
	for _, p := range plan {
		size := "?"
		if p.Size != nil {
			size, total = render.Bytes(*p.Size), total+*p.Size
		}
		table.Row(p.Topic, p.Partition, join(p.From), join(p.To), size)
	}
	table.Footer("", "", "", "", render.Bytes(total))
	return table
}

// begin asks the cluster for the moves. Those that it refuses have an Error; the others go on.
func (m *mover) begin(ctx context.Context, adm *kadm.Client, plan []plannedMove) error {
	var req kadm.AlterPartitionAssignmentsReq
	for _, p := range plan {
		req.Assign(p.Topic, p.Partition, p.To)
	}
	answers, err := adm.AlterPartitionAssignments(ctx, req)
	if err != nil {
		return m.explain(err, "move partitions")
	}
	for i := range plan {
		p := &plan[i]
		answer, ok := answers[p.Topic][p.Partition]
		if ok && answer.Err == nil {
			p.State = moveBegun
			continue
		}
		why := "the cluster did not answer for it"
		if ok {
			why = reason(answer.Err, answer.ErrMessage)
		}
		p.State, p.Error = moveRefused, fmt.Sprintf("%s-%d does not move: %s", p.Topic, p.Partition, why)
	}
	return nil
}

// moveStep is how often the cluster is asked whether moves are done.
const moveStep = 300 * time.Millisecond

// setApart marks moves that nobody can carry out yet, as nobody leads the partition.
func (m *mover) setApart(plan []plannedMove, partitions []kadm.PartitionDetail) {
	leaderless := setOf(slices.DeleteFunc(slices.Clone(partitions), func(p kadm.PartitionDetail) bool { return p.Leader >= 0 }))
	for i := range plan {
		if p := &plan[i]; p.State == moveBegun && leaderless.Lookup(p.Topic, p.Partition) {
			p.State = moveWaiting
		}
	}
	if n := count(plan, moveWaiting); n > 0 {
		m.note("%s without a leader, and moved once a replica that was in sync is back; see logctl cluster health.", isAre(n))
	}
}

// await waits until no move of the plan runs any more, but for those that were set apart.
func (m *mover) await(ctx context.Context, adm *kadm.Client, plan []plannedMove) error {
	set := kadm.TopicsSet{}
	for _, p := range plan {
		if p.State == moveBegun {
			set.Add(p.Topic, p.Partition)
		}
	}
	progress := m.progress()
	defer progress.Done()
	total := count(plan, moveBegun)
	for moving := total; moving > 0; {
		err := settle(ctx, adm, set, plan)
		if err == nil {
			moving = count(plan, moveBegun)
			progress.Set(int64(total-moving), int64(total), fmt.Sprintf("%d of %s moved", total-moving, render.Plural(int64(total), "partition")))
		}
		if moving > 0 && err == nil {
			pause(ctx, moveStep)
			err = ctx.Err()
		}
		if moving > 0 && err != nil {
			progress.Done()
			m.note("%s still moving; see logctl partition reassign --status, or stop it with --cancel.", isAre(moving))
			return firstError(ctx.Err(), m.explain(err, "see how far it is"))
		}
	}
	return nil
}

func isAre(n int) string {
	if n == 1 {
		return "1 partition is"
	}
	return render.Plural(int64(n), "partition") + " are"
}

// settle marks the moves that are done: those that the cluster lists no more, and whose new
// replicas are all in sync.
func settle(ctx context.Context, adm *kadm.Client, set kadm.TopicsSet, plan []plannedMove) error {
	running, err := adm.ListPartitionReassignments(ctx, set)
	if err != nil {
		return err
	}
	topics, err := adm.ListTopicsWithInternal(ctx, set.Topics()...)
	if err != nil {
		return err
	}
	for i := range plan {
		p := &plan[i]
		_, still := running[p.Topic][p.Partition]
		now := topics[p.Topic].Partitions[p.Partition]
		switch there := slices.Equal(now.Replicas, p.To); {
		case p.State != moveBegun || still:
		case there && lagging(now) == 0:
			p.State = moveDone
		case there:
		case p.late < maxLate: // brokers hear of a change one after the other
			p.late++
		default:
			p.State, p.Error = moveRefused, fmt.Sprintf("%s-%d is on %s and not on %s: somebody else has changed it", p.Topic, p.Partition, join(now.Replicas), join(p.To))
		}
	}
	return nil
}

// maxLate is how many times a partition is looked at before it counts as moved elsewhere.
const maxLate = 10

func count(plan []plannedMove, state moveState) int {
	n := 0
	for _, p := range plan {
		if p.State == state {
			n++
		}
	}
	return n
}
