package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

// hangingTransaction is an element of the JSON of "txn hanging".
type hangingTransaction struct {
	Topic         string `json:"topic"`
	Partition     int32  `json:"partition"`
	ProducerID    int64  `json:"producer_id"`
	ProducerEpoch int16  `json:"producer_epoch"`
	StartOffset   int64  `json:"start_offset"`
	LastTimestamp int64  `json:"last_timestamp"` // when the producer last wrote there, ms since 1970
	Why           string `json:"why"`
}

func newTxnHanging(a *app) *cobra.Command {
	older := 15 * time.Minute
	c := &cobra.Command{
		Use:   "hanging [TOPIC|PATTERN…]",
		Short: "Find transactions that no coordinator will end",
		Long: `Find transactions that are open in a partition though no coordinator knows of them, so that nobody will
ever end them: read_committed consumers do not get past their first offset, and compaction neither.
Looked at are those to which nothing was written for --older-than, which should be more than the longest
timeout of any transaction (transaction.max.timeout.ms, 15 minutes by default): younger ones may just be
beginning. logctl txn abort ends one. The status is 1 where any is found.`,
		Example:           "  logctl txn hanging\n  logctl txn hanging orders --older-than 1h -o json",
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, names []string) error {
			if older < 0 {
				return usage("--older-than must not be negative")
			}
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return a.showHanging(ctx, adm, names, older)
			})
		},
	}
	c.Flags().DurationVar(&older, "older-than", older, "only those to which nothing was written for this long")
	return c
}

func (a *app) showHanging(ctx context.Context, adm *kadm.Client, names []string, older time.Duration) error {
	found, err := a.hanging(ctx, adm, names, older)
	if err != nil {
		return err
	}
	table := render.NewTable("TOPIC~", "PARTITION>", "PRODUCER>", "EPOCH>", "START>", "LAST WRITTEN", "WHY")
	for _, h := range found {
		table.Row(h.Topic, h.Partition, h.ProducerID, h.ProducerEpoch, h.StartOffset, render.Time(h.LastTimestamp), h.Why)
	}
	if len(found) == 0 && a.format == render.AsTable {
		a.note("No transaction hangs.")
		return nil
	}
	if err := a.print(found, table); err != nil || len(found) == 0 {
		return err
	}
	h := found[0]
	return refused("%s; end each with logctl txn abort, as in: logctl txn abort %s:%d --start-offset %d",
		map[bool]string{true: "1 transaction hangs", false: fmt.Sprintf("%d transactions hang", len(found))}[len(found) == 1], h.Topic, h.Partition, h.StartOffset)
}

// hanging compares what is open in partitions with what coordinators know.
func (a *app) hanging(ctx context.Context, adm *kadm.Client, names []string, older time.Duration) ([]hangingTransaction, error) {
	topics, err := a.topics(ctx, adm, names, true)
	if err != nil {
		return nil, err
	}
	open, err := a.openTransactions(ctx, adm, topics)
	if err != nil {
		return nil, err
	}
	before := a.now().Add(-older).UnixMilli()
	open = slices.DeleteFunc(open, func(p kadm.DescribedProducer) bool { return p.LastTimestamp > before })
	out := []hangingTransaction{}
	if len(open) == 0 {
		return out, nil
	}
	listed, err := a.transactions(ctx, adm, producersOf(open), nil)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, t := range listed {
		ids = append(ids, t.TxnID)
	}
	described := kadm.DescribedTransactions{}
	if len(ids) > 0 {
		if described, err = adm.DescribeTransactions(ctx, ids...); err != nil {
			return nil, a.explain(err, "describe transactions")
		}
	}
	for _, p := range open {
		why := "no transactional id has this producer"
		for _, t := range described {
			if t.ProducerID != p.ProducerID {
				continue
			}
			if t.Topics.Lookup(p.Topic, p.Partition) {
				why = ""
				break
			}
			why = fmt.Sprintf("%s is %s, and not in this partition", t.TxnID, t.State)
		}
		if why != "" {
			out = append(out, hangingTransaction{p.Topic, p.Partition, p.ProducerID, p.ProducerEpoch, p.CurrentTxnStartOffset, p.LastTimestamp, why})
		}
	}
	return out, nil
}

// openTransactions are the producers that have one open in a partition of the topics.
func (a *app) openTransactions(ctx context.Context, adm *kadm.Client, topics []kadm.TopicDetail) ([]kadm.DescribedProducer, error) {
	set := kadm.TopicsSet{}
	for _, t := range topics {
		set.Add(t.Topic, t.Partitions.Numbers()...)
	}
	if len(set) == 0 {
		return nil, nil
	}
	producers, err := adm.DescribeProducers(ctx, set)
	if err != nil && !ofSomePartitions(err) {
		return nil, a.explain(err, "describe producers")
	}
	var open []kadm.DescribedProducer
	for _, p := range producers.SortedPartitions() {
		if p.Err != nil {
			a.note("%s-%d cannot be looked into: %s", p.Topic, p.Partition, reason(p.Err, p.ErrMessage))
		}
		for _, x := range p.ActiveProducers.Sorted() {
			if x.CurrentTxnStartOffset >= 0 {
				open = append(open, x)
			}
		}
	}
	return open, nil
}

func producersOf(all []kadm.DescribedProducer) []int64 {
	var ids []int64
	for _, p := range all {
		ids = append(ids, p.ProducerID)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}
