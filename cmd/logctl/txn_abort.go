package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// abortedTransaction is the JSON of "txn abort".
type abortedTransaction struct {
	Topic         string `json:"topic"`
	Partition     int32  `json:"partition"`
	ProducerID    int64  `json:"producer_id"`
	ProducerEpoch int16  `json:"producer_epoch"`
	StartOffset   int64  `json:"start_offset"`
	Aborted       bool   `json:"aborted"` // false: with --dry-run
}

type txnAbort struct {
	*app
	start       int64
	yes, dryRun bool
}

func newTxnAbort(a *app) *cobra.Command {
	t := &txnAbort{app: a}
	c := &cobra.Command{
		Use:   "abort TOPIC:PARTITION --start-offset N",
		Short: "Abort a transaction that hangs in a partition",
		Long: `Abort the transaction that begins at an offset of a partition, past its coordinator. It is for what
logctl txn hanging finds. A transaction that its coordinator still knows is better ended by its producer,
or by its timeout: in the other partitions it would go on. What it wrote to this partition is
then never seen by read_committed consumers.`,
		Example:           "  logctl txn abort orders:0 --start-offset 1200 --dry-run\n  logctl txn abort orders:0 --start-offset 1200 --yes",
		Args:              arguments(1, 1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, args []string) error {
			name, number, ok := strings.Cut(args[0], ":")
			partition, err := strconv.ParseInt(number, 10, 32)
			if !ok || err != nil || partition < 0 || name == "" {
				return usage("%q is not TOPIC:PARTITION", args[0])
			}
			if t.start < 0 {
				return usage("--start-offset is missing; logctl txn hanging shows it")
			}
			return t.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return t.run(ctx, adm, name, int32(partition))
			})
		},
	}
	f := c.Flags()
	f.Int64Var(&t.start, "start-offset", -1, "the first offset of the transaction")
	f.BoolVarP(&t.yes, "yes", "y", false, "do not ask")
	f.BoolVar(&t.dryRun, "dry-run", false, "show what would be aborted, but abort nothing")
	return c
}

func (t *txnAbort) run(ctx context.Context, adm *kadm.Client, name string, partition int32) error {
	topics, err := t.topics(ctx, adm, []string{name}, true)
	if err != nil {
		return err
	}
	if _, err := choosePartitions(topics[0], []int32{partition}); err != nil {
		return err
	}
	open, err := t.openTransactions(ctx, adm, topics)
	if err != nil {
		return err
	}
	open = slices.DeleteFunc(open, func(p kadm.DescribedProducer) bool { return p.Partition != partition })
	i := slices.IndexFunc(open, func(p kadm.DescribedProducer) bool { return p.CurrentTxnStartOffset == t.start })
	if i < 0 {
		var others []string
		for _, p := range open {
			others = append(others, fmt.Sprint(p.CurrentTxnStartOffset))
		}
		return refused("no transaction of %s:%d that is open begins at offset %d%s", name, partition, t.start, unlessEmpty("; there are some at ", strings.Join(others, ", ")))
	}
	p := open[i]
	out := abortedTransaction{Topic: name, Partition: partition, ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch, StartOffset: t.start}
	if !t.dryRun {
		if err := t.confirm(ctx, t.yes, fmt.Sprintf("Abort the transaction of producer %d in %s:%d from offset %d on", p.ProducerID, name, partition, t.start)); err != nil {
			return err
		}
		if err := t.write(ctx, adm, p); err != nil {
			return err
		}
		out.Aborted = true
	}
	result := render.Styled(render.Good, "aborted")
	if t.dryRun {
		result = "would be aborted"
	}
	table := render.NewTable("TOPIC~", "PARTITION>", "PRODUCER>", "EPOCH>", "START>", "RESULT")
	table.Row(out.Topic, out.Partition, out.ProducerID, out.ProducerEpoch, out.StartOffset, result)
	return t.print(out, table)
}

// write has the partition's leader write the marker.
func (t *txnAbort) write(ctx context.Context, adm *kadm.Client, p kadm.DescribedProducer) error {
	set := kadm.TopicsSet{}
	set.Add(p.Topic, p.Partition)
	answers, err := adm.WriteTxnMarkers(ctx, kadm.TxnMarkers{
		ProducerID: p.ProducerID, ProducerEpoch: p.ProducerEpoch, CoordinatorEpoch: max(0, p.CoordinatorEpoch), Topics: set,
	})
	if err != nil {
		return t.explain(err, "abort the transaction")
	}
	answered := false
	var failed error
	answers.EachPartition(func(r kadm.TxnMarkersPartitionResponse) {
		answered = true
		if r.Err != nil {
			failed = refused("the transaction was not aborted: %s", reason(r.Err, ""))
		}
	})
	if !answered {
		return refused("the transaction was not aborted: the leader of %s:%d did not answer for it", p.Topic, p.Partition)
	}
	return failed
}
