package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"quorumlog/cmd/logctl/internal/filter"
	"quorumlog/cmd/logctl/internal/position"
	"quorumlog/cmd/logctl/internal/recordio"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

type consume struct {
	*app
	from, until string
	limit       int64
	follow      bool
	group       string
	partitions  []int32
	layout      string
	uncommitted bool
	tail        int64
	keyAs       string
	valueAs     string
	choose      chooser

	write func(dst []byte, r *kgo.Record) ([]byte, error)
}

func newConsume(a *app) *cobra.Command {
	s := &consume{app: a}
	c := &cobra.Command{
		Use:   "consume TOPIC…",
		Short: "Read records from topics",
		Long: `Read records from topics and write them to standard output, by default each value on a line.

Reading begins at the start and stops at the end that the topics had when it began; --follow (-f)
goes on until Ctrl-C, as does --from end. Places (--from, --until) are
` + position.Syntax + `.
--until is the first place that is no longer read.

--key, --header and --filter choose records; all of them must hold. --filter is an expression in CEL
(https://cel.dev) over
` + filter.Syntax + `
A record for which it has no answer, such as one without a field that is asked for, is not chosen.
-n counts chosen records.

With --group, reading goes on from where the group stands (--from counts where it stands nowhere
yet), and what was written out is committed. Otherwise nothing is remembered. Records of
transactions that are open or were aborted are left out; --uncommitted shows them.

The layout (--format) is kcat's:
` + recordio.FormatSyntax + `

With -o json each record is an object on a line: topic, partition, offset, timestamp (ms), key,
value, headers. Bytes that are no UTF-8 are in base64, and key_encoding or value_encoding is there
to say so.`,
		Example: `  logctl consume orders
  logctl consume orders --from -10 -p 0
  logctl consume orders --from -1h --format '%T %k %s\n'
  logctl consume orders --from 2011-12-01T08:00:00Z --until 2011-12-01T09:00:00Z -o json
  logctl consume orders --tail 5 --filter 'value.Quantity > 10 && key != null'
  logctl consume orders --key 17850 --header source=shop
  logctl consume clicks --key-as int --format '%k %s\n'
  logctl consume orders -n 1 -o raw > order.bin
  logctl consume orders returns -f -g auditors -n 100`,
		Args:              arguments(1, -1),
		ValidArgsFunction: a.completeTopics,
		RunE: func(c *cobra.Command, topics []string) error {
			s.choose.hasKey = c.Flags().Changed("key")
			if c.Flags().Changed("tail") {
				if s.tail < 1 || c.Flags().Changed("from") {
					return usage("--tail must be 1 or more, and does not go with --from")
				}
				s.from = fmt.Sprint(-s.tail)
			}
			if err := s.validate(); err != nil {
				return err
			}
			return s.run(c.Context(), topics)
		},
	}
	f := c.Flags()
	f.StringVar(&s.from, "from", "start", "the `PLACE` to begin at")
	f.StringVar(&s.until, "until", "", "the `PLACE` to stop at (default the end)")
	f.Int64VarP(&s.limit, "number", "n", 0, "stop after this many records")
	f.BoolVarP(&s.follow, "follow", "f", false, "at the end, wait for more")
	f.StringVarP(&s.group, "group", "g", "", "read as a member of this consumer group, and commit")
	f.Int32SliceVarP(&s.partitions, "partition", "p", nil, "read only these partitions (default all)")
	f.StringVarP(&s.layout, "format", "F", `%s\n`, "how to write a record")
	f.Int64Var(&s.tail, "tail", 0, "begin `N` records before the end of each partition, as --from -N does")
	f.StringVarP(&s.choose.key, "key", "k", "", "only records with this key")
	f.StringArrayVarP(&s.choose.headers, "header", "H", nil, "only records with this header, as `NAME=VALUE` or NAME; repeat for more")
	f.StringVar(&s.choose.filter, "filter", "", "only records for which this `EXPRESSION` in CEL is true")
	f.StringVar(&s.keyAs, "key-as", "string", "write keys as `string`, int (big-endian), hex or base64")
	f.StringVar(&s.valueAs, "value-as", "string", "write values as `string`, int (big-endian), hex or base64")
	f.BoolVar(&s.uncommitted, "uncommitted", false, "show records of open and aborted transactions too")
	for _, name := range []string{"key-as", "value-as"} {
		_ = c.RegisterFlagCompletionFunc(name, cobra.FixedCompletions([]string{"string", "int", "hex", "base64"}, cobra.ShellCompDirectiveNoFileComp))
	}
	_ = c.RegisterFlagCompletionFunc("output", cobra.FixedCompletions([]string{"table", "json", "raw"}, cobra.ShellCompDirectiveNoFileComp))
	return c
}

func (s *consume) validate() error {
	switch s.format {
	case render.AsJSON:
		s.write = recordio.AppendJSON
	case render.AsTable:
		f, err := recordio.ParseFormat(s.layout)
		if err != nil {
			return usage("--%v", err)
		}
		s.write = func(dst []byte, r *kgo.Record) ([]byte, error) { return f.Append(dst, r), nil }
	case render.AsRaw:
		s.write = func(dst []byte, r *kgo.Record) ([]byte, error) { return append(dst, r.Value...), nil }
	default:
		return usage("records are written by --format, or as -o json or raw, not as %s", s.format)
	}
	if err := s.decode(); err != nil {
		return err
	}
	if err := s.choose.compile(); err != nil {
		return err
	}
	switch {
	case s.limit < 0:
		return usage("--number must be 1 or more")
	case s.group != "" && len(s.partitions) > 0:
		return usage("--partition does not go with --group: a group divides the partitions itself")
	case s.follow && s.until != "":
		return usage("--follow has no end, so it does not go with --until")
	case s.group != "" && s.until != "":
		return usage("--until does not go with --group")
	}
	return nil
}

func (s *consume) run(ctx context.Context, names []string) error {
	var plan *readPlan
	err := s.withAdmin(ctx, func(ctx context.Context, adm *kadm.Client) error {
		var err error
		plan, err = s.plan(ctx, adm, names)
		return err
	})
	if err != nil || (!s.follow && plan.finished()) {
		return err
	}
	opts := []kgo.Opt{kgo.KeepControlRecords(), kgo.FetchMaxWait(500 * time.Millisecond)}
	if !s.uncommitted {
		opts = append(opts, kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	}
	if s.group != "" {
		opts = append(opts, plan.groupOptions(s.group)...)
	} else {
		opts = append(opts, kgo.ConsumePartitions(plan.starts))
	}
	cl, err := kgo.NewClient(s.options(opts...)...)
	if err != nil {
		return usage("%v", err)
	}
	err = s.read(ctx, cl, plan)
	s.choose.note(s.app)
	if s.group != "" {
		err = errors.Join(err, leave(ctx, cl))
	}
	cl.CloseAllowingRebalance()
	if s.follow && errors.Is(err, context.Canceled) {
		return nil // Ctrl-C is how following ends
	}
	return err
}

// leave commits what was written out and leaves the group, also after Ctrl-C.
func leave(ctx context.Context, cl *kgo.Client) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
	defer cancel()
	cl.AllowRebalance()
	err := cl.CommitMarkedOffsets(ctx)
	return errors.Join(err, cl.LeaveGroupContext(ctx))
}

// Reading a partition up to its end waits this long for a last piece in which there is no record,
// which compaction can leave.
const idleLimit = 5 * time.Second

// read writes records until the plan is finished, the limit is reached or ctx is done.
func (s *consume) read(ctx context.Context, cl *kgo.Client, plan *readPlan) error {
	out := bufio.NewWriterSize(s.out, 64<<10)
	var line []byte
	left := s.limit
	for s.follow || !plan.finished() {
		fetches := s.poll(ctx, cl)
		if err := fetchError(fetches); err != nil {
			return errors.Join(out.Flush(), s.explainEnd(ctx, cl, err))
		}
		var failed error
		stop := false
		fetches.EachRecord(func(r *kgo.Record) {
			if failed != nil || stop || !plan.wants(r) {
				return
			}
			if !r.Attrs.IsControl() && s.choose.matches(r) {
				if line, failed = s.write(line[:0], r); failed == nil {
					_, failed = out.Write(line)
				}
				left--
				stop = s.limit > 0 && left == 0
			}
			cl.MarkCommitRecords(r)
		})
		cl.AllowRebalance()
		if failed == nil {
			failed = out.Flush()
		}
		if failed != nil || stop {
			return failed
		}
	}
	return out.Flush()
}

func (s *consume) poll(ctx context.Context, cl *kgo.Client) kgo.Fetches {
	if s.follow {
		return cl.PollFetches(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, max(idleLimit, s.timeout))
	defer cancel()
	return cl.PollFetches(ctx)
}

// fetchError returns the first error among fetches that is worth stopping for.
func fetchError(fetches kgo.Fetches) error {
	var first error
	fetches.EachError(func(topic string, partition int32, err error) {
		if first != nil {
			return
		}
		if topic != "" {
			err = fmt.Errorf("%s-%d: %w", topic, partition, err)
		}
		first = err
	})
	return first
}

// explainEnd says why reading ended before the plan was finished; nil where that is the end too.
func (s *consume) explainEnd(ctx context.Context, cl *kgo.Client, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, context.DeadlineExceeded) {
		if err := s.ping(ctx, cl); err != nil {
			return err
		}
		s.note("Nothing more came for %v, though the end is not quite reached; stopping.", max(idleLimit, s.timeout))
		return nil
	}
	var lost *kgo.ErrDataLoss
	if errors.As(err, &lost) {
		return refused("%s-%d lost records: reading stood at offset %d, and the partition now ends at %d", lost.Topic, lost.Partition, lost.ConsumedTo, lost.ResetTo)
	}
	return s.explain(err, "read")
}
