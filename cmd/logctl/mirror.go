package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quorumlog/cmd/logctl/internal/render"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// mirrorResult is the JSON of "mirror".
type mirrorResult struct {
	Partitions []mirroredPartition `json:"partitions"`
	Groups     []mirroredGroup     `json:"groups"`
	Finished   bool                `json:"finished"` // false: a plan, or it was interrupted
}

// mirroredPartition is how far a partition is.
type mirroredPartition struct {
	Topic      string `json:"topic"`
	Target     string `json:"target"` // the topic's name there
	Partition  int32  `json:"partition"`
	Copied     int64  `json:"copied"`      // records, by this run
	Left       int64  `json:"left"`        // offsets, at most so many records
	SourceNext int64  `json:"source_next"` // the next offset to be read
	TargetNext int64  `json:"target_next"` // and where its record will be
	Offsets    string `json:"offsets"`     // kept or translated
}

type mirror struct {
	*app
	from, to  []string
	prefix    string
	groups    []string
	noGroups  bool
	follow    bool
	appending bool
	dryRun    bool
	produce   produce // for its flag of compression

	source, target *app // whose errors name their addresses
	copies         map[partitionID]*partitionCopy
}

func newMirror(a *app) *cobra.Command {
	m := &mirror{app: a, produce: produce{app: a, acks: "all", partition: 0}}
	c := &cobra.Command{
		Use:   "mirror --from HOST:PORT --to HOST:PORT TOPIC|PATTERN…",
		Short: "Copy topics from one cluster to another, with where groups stand in them",
		Long: `Copy topics from one cluster to another, from Apache Kafka too. Topics that are not there are made, with
the partitions and settings that they have at the source. Keys, headers and times stay as they are.

Offsets are kept in a partition that is empty at the target, begins at 0 at the source, and has no
holes. A client cannot write records at offsets of its choice, so where the source has lost its
beginning to retention, is compacted, or holds transactions (whose markers take offsets), records move
to smaller ones, and the result says "translated".

What groups have committed at the source is committed at the target, at the record that stands there
for the one at which they stood: exactly, but in what an earlier run copied and where there are holes
behind, a little before, so that nothing is missed. A group that has members there is left alone, and
none is moved back.

It ends at the end that the topics had when it began; --follow goes on until Ctrl-C. How far it is, is
committed at the target under the group logctl-mirror.CLUSTER-ID. Run again after Ctrl-C or a failure,
it goes on there: nothing is left out and, as long as nobody else writes to the target, nothing is
written twice.`,
		Example: `  logctl mirror --from kafka:9092 --to 127.0.0.1:9092 orders --dry-run
  logctl mirror --from kafka:9092 --to 127.0.0.1:9092 'order*'
  logctl mirror --from kafka:9092 --to 127.0.0.1:9092 orders --prefix old. --no-groups
  logctl mirror --from kafka:9092 --to 127.0.0.1:9092 orders --follow`,
		Args: arguments(1, -1),
		RunE: func(c *cobra.Command, names []string) error {
			if err := m.validate(); err != nil {
				return err
			}
			return m.run(c.Context(), names)
		},
	}
	f := c.Flags()
	f.StringSliceVar(&m.from, "from", nil, "brokers of the cluster to copy from, as `HOST:PORT,...`")
	f.StringSliceVar(&m.to, "to", nil, "brokers of the cluster to copy to, as `HOST:PORT,...`")
	f.StringVar(&m.prefix, "prefix", "", "put this before the topics' names at the target")
	f.StringArrayVar(&m.groups, "group", nil, "translate the offsets of these groups, names or patterns; repeat for more (default all)")
	f.BoolVar(&m.noGroups, "no-groups", false, "translate no group's offsets")
	f.BoolVarP(&m.follow, "follow", "f", false, "at the end, wait for more")
	f.BoolVar(&m.appending, "append", false, "copy also behind records that something else has written to the target")
	f.BoolVar(&m.dryRun, "dry-run", false, "show what would be copied, but copy nothing")
	f.StringVar(&m.produce.compression, "compression", "lz4", "none, gzip, snappy, lz4 or zstd")
	return c
}

func (m *mirror) validate() error {
	if len(m.from) == 0 || len(m.to) == 0 {
		return usage("--from and --to are both needed: the brokers to copy from, and those to copy to")
	}
	source, target := *m.app, *m.app
	var errFrom, errTo error
	source.bootstrap, errFrom = addresses(m.from)
	target.bootstrap, errTo = addresses(m.to)
	m.source, m.target = &source, &target
	if _, err := m.produce.producerOptions(); err != nil {
		return err
	}
	if m.noGroups && len(m.groups) > 0 {
		return usage("--no-groups does not go with --group")
	}
	return firstError(errFrom, errTo)
}

func (m *mirror) run(ctx context.Context, names []string) error {
	return m.source.withClient(ctx, func(ctx context.Context, from *kgo.Client) error {
		return m.target.withClient(ctx, func(ctx context.Context, to *kgo.Client) error {
			source, target := m.source.admin(from), m.target.admin(to)
			id, err := m.twoClusters(ctx, source, target)
			if err != nil {
				return err
			}
			if err := m.plan(ctx, source, target, from, to, names, id); err != nil {
				return err
			}
			if m.dryRun {
				return m.report(nil, false)
			}
			return m.carryOut(ctx, source, target, id)
		})
	})
}

// twoClusters makes sure that a cluster is not copied over itself, and returns the source's id.
func (m *mirror) twoClusters(ctx context.Context, source, target *kadm.Client) (string, error) {
	from, err := source.BrokerMetadata(ctx)
	if err != nil {
		return "", m.source.explain(err, "describe the cluster to copy from")
	}
	to, err := target.BrokerMetadata(ctx)
	if err != nil {
		return "", m.target.explain(err, "describe the cluster to copy to")
	}
	if from.Cluster == to.Cluster && m.prefix == "" {
		return "", usage("--from and --to are the same cluster (%s); name another, or copy under other names with --prefix", from.Cluster)
	}
	return from.Cluster, nil
}

// positionsGroup keeps, at the target, how far the copies from a cluster are.
func (m *mirror) positionsGroup(cluster string) string { return "logctl-mirror." + cluster }

// mirrorSave is how often it is committed how far the copies are.
const mirrorSave = 2 * time.Second

// mirrorGroups is how often groups are translated while following.
const mirrorGroups = 10 * time.Second

func (m *mirror) carryOut(ctx context.Context, source, target *kadm.Client, id string) error {
	saver := &positionSaver{m: m, adm: target, group: m.positionsGroup(id)}
	if err := saver.save(ctx); err != nil { // so that what is in the target then is known to be ours
		return err
	}
	progress := m.progress()
	err := m.copy(ctx, saver, source, target, progress)
	progress.Done()
	interrupted := ctx.Err() != nil
	detached, cancel := context.WithTimeout(context.WithoutCancel(ctx), m.timeout)
	defer cancel()
	if saved := saver.save(detached); err == nil {
		err = saved
	}
	groups := []mirroredGroup{}
	var failed error
	if !m.noGroups && (err == nil || interrupted) {
		groups, failed = m.translate(detached, source, target)
	}
	if err == nil || interrupted {
		err = errors.Join(m.report(groups, !interrupted), failed)
	}
	if interrupted && err == nil && !m.follow {
		m.note("Interrupted; run it again to go on from there.")
		return ctx.Err()
	}
	return err
}

// copy reads and writes until the ends are reached or ctx is done, and everything that was handed
// over is acknowledged.
func (m *mirror) copy(ctx context.Context, saver *positionSaver, source, target *kadm.Client, progress *render.Progress) error {
	plan := &readPlan{starts: map[string]map[int32]kgo.Offset{}, stops: map[partitionID]int64{}, left: map[partitionID]bool{}, endless: m.follow, assigned: true}
	total := int64(0)
	for id, c := range m.copies {
		plan.add(id, c.next, c.stop)
		total += c.stop - c.next
	}
	if plan.finished() && !m.follow {
		return nil
	}
	reader, err := kgo.NewClient(m.source.options(kgo.ConsumePartitions(plan.starts), kgo.KeepControlRecords(),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.FetchMaxWait(500*time.Millisecond))...)
	if err != nil {
		return usage("%v", err)
	}
	defer reader.Close()
	opts, err := m.produce.producerOptions()
	if err != nil {
		return err
	}
	writer, err := kgo.NewClient(m.target.options(append(opts, kgo.ProducerBatchMaxBytes(m.largest(ctx, target)))...)...)
	if err != nil {
		return usage("%v", err)
	}
	defer writer.Close()
	s := newSender(ctx, writer, "", m.timeout)
	from := &consume{app: m.source, follow: m.follow}
	err = m.pump(s, from, reader, plan, saver, source, target, func() { progress.Set(m.done(), total, render.Plural(m.copied(), "record")+" ") })
	if flushed := s.finish(); flushed != nil && (err == nil || errors.Is(err, context.Canceled)) {
		err = flushed
	}
	if err == nil {
		for _, c := range m.copies {
			c.reached(plan)
		}
	}
	if m.follow && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func (m *mirror) pump(s *sender, from *consume, reader *kgo.Client, plan *readPlan, saver *positionSaver, source, target *kadm.Client, show func()) error {
	saved, translated := m.now(), m.now()
	for m.follow || !plan.finished() {
		fetches := from.poll(s.ctx, reader)
		if err := fetchError(fetches); err != nil {
			if m.follow && errors.Is(err, context.Canceled) {
				return err
			}
			return from.explainEnd(s.ctx, reader, err)
		}
		fetches.EachRecord(func(r *kgo.Record) {
			if plan.wants(r) {
				m.copies[partitionID{r.Topic, r.Partition}].take(s, r)
			}
		})
		if s.ctx.Err() != nil {
			return s.ctx.Err()
		}
		show()
		if m.now().Sub(saved) > mirrorSave {
			if err := saver.save(s.ctx); err != nil {
				return err
			}
			saved = m.now()
		}
		if m.follow && !m.noGroups && m.now().Sub(translated) > mirrorGroups {
			if _, err := m.translate(s.ctx, source, target); err != nil {
				return err
			}
			translated = m.now()
		}
	}
	return nil
}

// largest is the largest batch that all targets take.
func (m *mirror) largest(ctx context.Context, target *kadm.Client) int32 {
	n := int32(largestMaxBatch)
	for _, name := range m.targets() {
		p := &produce{app: m.target, partition: -1}
		if most, err := p.check(ctx, target, name); err == nil {
			n = min(n, most)
		}
	}
	return n
}

// targets are the topics that are written to.
func (m *mirror) targets() []string {
	var names []string
	for _, c := range m.copies {
		names = append(names, c.target)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (m *mirror) copied() (n int64) {
	for _, c := range m.copies {
		n += c.count()
	}
	return n
}

// done is how many offsets have been passed.
func (m *mirror) done() (n int64) {
	for _, c := range m.copies {
		n += c.passed()
	}
	return n
}

// sorted are the copies by topic and partition.
func (m *mirror) sorted() []*partitionCopy {
	var out []*partitionCopy
	for _, c := range m.copies {
		out = append(out, c)
	}
	slices.SortFunc(out, func(a, b *partitionCopy) int {
		return cmp.Or(cmp.Compare(a.id.topic, b.id.topic), cmp.Compare(a.id.partition, b.id.partition))
	})
	return out
}

func (m *mirror) report(groups []mirroredGroup, finished bool) error {
	out := mirrorResult{Partitions: []mirroredPartition{}, Groups: groups, Finished: finished}
	if groups == nil {
		out.Groups = []mirroredGroup{}
	}
	table := render.NewTable("TOPIC~", "PARTITION>", "COPIED>", "LEFT>", "SOURCE>", "TARGET>", "OFFSETS")
	for _, c := range m.sorted() {
		r := c.result()
		out.Partitions = append(out.Partitions, r)
		name := r.Topic
		if r.Target != r.Topic {
			name += " -> " + r.Target
		}
		table.Row(name, r.Partition, render.Count(r.Copied), render.Count(r.Left), r.SourceNext, r.TargetNext, r.Offsets)
	}
	parts := []render.Part{table}
	if len(groups) > 0 {
		parts = append(parts, groupMirrorTable(groups))
	}
	return m.print(out, parts...)
}

func groupMirrorTable(groups []mirroredGroup) *render.Table {
	table := render.NewTable("GROUP", "TOPIC~", "PARTITION>", "SOURCE>", "TARGET>", "RESULT")
	for _, g := range groups {
		result := any("as before")
		switch {
		case g.Error != "":
			result = render.Styled(render.Warn, g.Error)
		case g.Done && g.Exact:
			result = render.Styled(render.Good, "translated")
		case g.Done:
			result = render.Styled(render.Good, "translated, at most a little early")
		}
		table.Row(g.Group, g.Topic, g.Partition, g.Source, g.Target, result)
	}
	return table
}

// describeMode says what became of a partition's offsets.
func describeMode(kept bool) string {
	if kept {
		return "kept"
	}
	return "translated"
}

func (id partitionID) String() string { return fmt.Sprintf("%s-%d", id.topic, id.partition) }
