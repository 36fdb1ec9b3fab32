package main

import (
	"context"
	"path"
	"slices"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
)

func newTxn(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "txn",
		Aliases: []string{"transaction", "transactions"},
		Short:   "List and inspect transactions, and end those that hang",
		Example: "  logctl txn list\n  logctl txn hanging",
	}
	return group(c, a.watchable(newTxnList(a)), newTxnDescribe(a), newTxnHanging(a), newTxnAbort(a))
}

// listedTransaction is an element of the JSON of "txn list".
type listedTransaction struct {
	ID          string `json:"transactional_id"`
	ProducerID  int64  `json:"producer_id"`
	State       string `json:"state"`
	Coordinator int32  `json:"coordinator"`
}

func newTxnList(a *app) *cobra.Command {
	var states []string
	c := &cobra.Command{
		Use:     "list [ID|PATTERN…]",
		Aliases: []string{"ls"},
		Short:   "List transactional producers with the state of their last transaction",
		Example: `  logctl txn list
  logctl txn list 'payments-*' --state Ongoing
  logctl txn list -o json`,
		RunE: func(c *cobra.Command, patterns []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				all, err := a.transactions(ctx, adm, nil, states)
				if err != nil {
					return err
				}
				results := []listedTransaction{}
				table := render.NewTable("TRANSACTIONAL ID~", "PRODUCER>", "STATE", "COORDINATOR>")
				for _, t := range all {
					if len(patterns) > 0 && !slices.ContainsFunc(patterns, func(p string) bool {
						ok, err := path.Match(p, t.TxnID)
						return p == t.TxnID || err == nil && ok
					}) {
						continue
					}
					results = append(results, listedTransaction{t.TxnID, t.ProducerID, t.State, t.Coordinator})
					table.Row(t.TxnID, t.ProducerID, txnState(t.State), t.Coordinator)
				}
				return a.print(results, table)
			})
		},
	}
	c.Flags().StringSliceVar(&states, "state", nil, "only those in this `STATE`: Empty, Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, CompleteAbort, Dead; repeat for more")
	_ = c.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(txnStates, cobra.ShellCompDirectiveNoFileComp))
	return c
}

var txnStates = []string{"Empty", "Ongoing", "PrepareCommit", "PrepareAbort", "CompleteCommit", "CompleteAbort", "PrepareEpochFence", "Dead"}

// transactions lists those of the given producers and states, or all, sorted by id.
func (a *app) transactions(ctx context.Context, adm *kadm.Client, producers []int64, states []string) ([]kadm.ListedTransaction, error) {
	for _, s := range states {
		if !slices.Contains(txnStates, s) {
			return nil, usage("no transaction is in state %q%s", s, didYouMean(s, txnStates))
		}
	}
	listed, err := adm.ListTransactions(ctx, producers, states)
	if err != nil {
		return nil, a.explain(err, "list transactions")
	}
	return listed.Sorted(), nil
}

func txnState(s string) any {
	switch s {
	case "Ongoing", "PrepareCommit", "PrepareAbort":
		return render.Styled(render.Warn, s)
	}
	return s
}

// describedTransaction is an element of the JSON of "txn describe".
type describedTransaction struct {
	ID            string            `json:"transactional_id"`
	ProducerID    int64             `json:"producer_id"`
	ProducerEpoch int16             `json:"producer_epoch"`
	State         string            `json:"state"`
	Coordinator   int32             `json:"coordinator"`
	TimeoutMs     int32             `json:"timeout_ms"`
	Started       *int64            `json:"started"`    // ms since 1970; null: no transaction is open
	Partitions    []topicPartitions `json:"partitions"` // of the open transaction
}

func newTxnDescribe(a *app) *cobra.Command {
	return &cobra.Command{
		Use:               "describe ID…",
		Short:             "Show a transactional producer's open transaction: since when, and where it has written",
		Example:           "  logctl txn describe payments-1\n  logctl txn describe payments-1 -o json",
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeTransactions,
		RunE: func(c *cobra.Command, ids []string) error {
			return a.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
				return a.describeTransactions(ctx, adm, ids)
			})
		},
	}
}

func (a *app) describeTransactions(ctx context.Context, adm *kadm.Client, ids []string) error {
	found, err := adm.DescribeTransactions(ctx, ids...)
	if err != nil && !ofSomePartitions(err) {
		return a.explain(err, "describe transactions")
	}
	results := []describedTransaction{}
	var parts []render.Part
	var failures []*failure
	for _, id := range ids {
		t, ok := found[id]
		switch {
		case !ok:
			failures = append(failures, refused("transactional id %q cannot be described: its coordinator does not answer", id))
			continue
		case t.Err != nil:
			failures = append(failures, refused("transactional id %q cannot be described: %s; see logctl txn list", id, reason(t.Err, "")))
			continue
		}
		d := describedTransaction{
			ID: id, ProducerID: t.ProducerID, ProducerEpoch: t.ProducerEpoch, State: t.State,
			Coordinator: t.Coordinator, TimeoutMs: t.TimeoutMillis, Partitions: []topicPartitions{},
		}
		open, where := "no transaction is open", ""
		if t.StartTimestamp >= 0 && len(t.Topics) > 0 {
			d.Started = &t.StartTimestamp
			open = render.Time(t.StartTimestamp)
		}
		for _, x := range t.Topics.Sorted() {
			p := sortedPartitions(x.Topic, x.Partitions)
			d.Partitions = append(d.Partitions, p)
			where += unlessEmpty(map[bool]string{true: " ", false: ""}[where != ""], p.Topic+":"+join(p.Partitions))
		}
		results = append(results, d)
		parts = append(parts, render.Fields{
			{Name: "transactional id", Value: id},
			{Name: "producer", Value: d.ProducerID},
			{Name: "epoch", Value: d.ProducerEpoch},
			{Name: "state", Value: txnState(d.State)},
			{Name: "coordinator", Value: d.Coordinator},
			{Name: "timeout", Value: (time.Duration(d.TimeoutMs) * time.Millisecond).String()},
			{Name: "begun", Value: open},
			{Name: "partitions", Value: orDash(where)},
		})
	}
	if len(results) > 0 || a.format != render.AsTable {
		if err := a.print(results, parts...); err != nil {
			return err
		}
	}
	return firstOf(failures)
}

// completeTransactions offers transactional ids to the shell.
func (a *app) completeTransactions(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	q := a.quiet()
	var ids []string
	if q.settle() == nil {
		_ = q.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
			all, err := adm.ListTransactions(ctx, nil, nil)
			for _, t := range all.Sorted() {
				ids = append(ids, t.TxnID)
			}
			return err
		})
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return slices.Contains(args, id) })
	return ids, cobra.ShellCompDirectiveNoFileComp
}
