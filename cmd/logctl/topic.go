package main

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"sync"

	"quorumlog/cmd/logctl/internal/declare"

	"github.com/spf13/cobra"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
)

func newTopic(a *app) *cobra.Command {
	c := &cobra.Command{
		Use:     "topic",
		Aliases: []string{"topics"},
		Short:   "Create, list, describe, change and delete topics",
		Example: "  logctl topic list\n  logctl topic create orders --partitions 6",
	}
	return group(c, newTopicCreate(a), a.watchable(newTopicList(a)), a.watchable(newTopicDescribe(a)), newTopicAlter(a),
		newTopicDelete(a), newTopicAddPartitions(a), newTopicTrim(a))
}

// topics returns the topics that the names and patterns select, sorted. A name that is not there
// is an error; a pattern may select nothing unless all of them do. No names select all topics,
// the internal ones where internal is set.
func (a *app) topics(ctx context.Context, adm *kadm.Client, names []string, internal bool) ([]kadm.TopicDetail, error) {
	for _, n := range names {
		if !isPattern(n) && !declare.ValidTopicName(n) {
			return nil, usage("%q cannot be a topic's name: use up to 249 letters, digits, dots, underscores and hyphens", n)
		}
	}
	all, err := adm.ListTopicsWithInternal(ctx)
	if err != nil {
		return nil, a.explain(err, "list topics")
	}
	var selected []kadm.TopicDetail
	for _, t := range all.Sorted() {
		if len(names) == 0 && (internal || !isInternal(t)) || selects(names, t, internal) {
			selected = append(selected, t)
		}
	}
	for _, n := range names {
		if !isPattern(n) && !all.Has(n) {
			return nil, a.unknownTopic(n, all)
		}
	}
	if len(names) > 0 && len(selected) == 0 {
		return nil, refused("no topic on %s matches %s; see logctl topic list", a.at(), strings.Join(names, " "))
	}
	return selected, nil
}

func (a *app) unknownTopic(name string, all kadm.TopicDetails) *failure {
	if hint := didYouMean(name, all.Names()); hint != "" {
		return refused("topic %q does not exist on %s%s", name, a.at(), hint)
	}
	return refused("topic %q does not exist on %s; make it with logctl topic create %s", name, a.at(), name)
}

// isInternal is true for a broker's own topics: those it calls so and those named like them.
func isInternal(t kadm.TopicDetail) bool { return t.IsInternal || strings.HasPrefix(t.Topic, "__") }

func isPattern(name string) bool { return strings.ContainsAny(name, "*?[") }

// selects reports whether t is named, or matched by a pattern. Patterns leave internal topics out
// unless internal is set or the pattern itself begins like one.
func selects(names []string, t kadm.TopicDetail, internal bool) bool {
	return slices.ContainsFunc(names, func(n string) bool {
		if !isPattern(n) {
			return n == t.Topic
		}
		ok, err := path.Match(n, t.Topic)
		return err == nil && ok && (internal || !isInternal(t) || strings.HasPrefix(n, "__"))
	})
}

func namesOf(topics []kadm.TopicDetail) []string {
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Topic
	}
	return names
}

// topicID writes an id as Kafka does, in url-safe base64 without padding.
func topicID(id kadm.TopicID) string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// bounds is how far a partition's records reach, and what they take on disk.
type bounds struct {
	start, end int64 // offsets; end is the next to be written
	size       int64 // bytes on all replicas together; -1 unknown
	err        error
}

type boundsMap map[string]map[int32]bounds

// records sums what lies between start and end; false where some partition is unknown.
func (m boundsMap) records(topic string) (n int64, whole bool) {
	whole = true
	for _, b := range m[topic] {
		if b.err != nil {
			whole = false
			continue
		}
		n += b.end - b.start
	}
	return n, whole
}

// unsettled is an error that will soon be over, of any partition; nil where there is none.
func (m boundsMap) unsettled() error {
	for _, partitions := range m {
		for _, b := range partitions {
			if kerr.IsRetriable(b.err) {
				return b.err
			}
		}
	}
	return nil
}

func (m boundsMap) size(topic string) int64 {
	n := int64(0)
	for _, b := range m[topic] {
		if b.size < 0 {
			return -1
		}
		n += b.size
	}
	return n
}

// bounds asks for the first and last offsets of topics and, withSize, for their sizes.
func (a *app) bounds(ctx context.Context, adm *kadm.Client, topics []kadm.TopicDetail, withSize bool) (boundsMap, error) {
	m := boundsMap{}
	if len(topics) == 0 {
		return m, nil
	}
	names := namesOf(topics)
	var starts, ends kadm.ListedOffsets
	var errStarts, errEnds error
	var sizes map[string]map[int32]int64
	var all sync.WaitGroup // with many partitions each of these takes its time
	all.Go(func() { starts, errStarts = adm.ListStartOffsets(ctx, names...) })
	all.Go(func() { ends, errEnds = adm.ListEndOffsets(ctx, names...) })
	if withSize {
		all.Go(func() { sizes = replicaSizes(ctx, adm, topics) })
	}
	all.Wait()
	for _, err := range []error{errStarts, errEnds} {
		if err != nil && !ofSomePartitions(err) {
			return nil, a.explain(err, "list offsets")
		}
	}
	for _, t := range topics {
		m[t.Topic] = map[int32]bounds{}
		for _, p := range t.Partitions.Sorted() {
			s, begins := starts.Lookup(t.Topic, p.Partition)
			e, ends := ends.Lookup(t.Topic, p.Partition)
			b := bounds{start: s.Offset, end: e.Offset, size: -1, err: firstError(p.Err, s.Err, e.Err)}
			if b.err == nil && !(begins && ends) {
				b.err = kerr.LeaderNotAvailable
			}
			if n, ok := sizes[t.Topic][p.Partition]; ok {
				b.size = n
			}
			m[t.Topic][p.Partition] = b
		}
	}
	return m, nil
}

// ofSomePartitions reports whether an answer is there but for some partitions or brokers, such as
// those without a leader.
func ofSomePartitions(err error) bool {
	var shards *kadm.ShardErrors
	if errors.As(err, &shards) {
		return !shards.AllFailed || !slices.ContainsFunc(shards.Errs, func(e kadm.ShardError) bool { return !ofSomePartitions(e.Err) })
	}
	var refusal *kerr.Error
	return errors.As(err, &refusal) && refusal.Retriable
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// replicaSizes sums each partition's replicas. Brokers that do not answer are left out: sizes are
// a service, not a reason to fail.
func replicaSizes(ctx context.Context, adm *kadm.Client, topics []kadm.TopicDetail) map[string]map[int32]int64 {
	set := kadm.TopicsSet{}
	for _, t := range topics {
		set.Add(t.Topic, t.Partitions.Numbers()...)
	}
	out := map[string]map[int32]int64{}
	brokers, _ := adm.DescribeAllLogDirs(ctx, set)
	brokers.Each(func(d kadm.DescribedLogDir) {
		d.Topics.Each(func(p kadm.DescribedLogDirPartition) {
			if out[p.Topic] == nil {
				out[p.Topic] = map[int32]int64{}
			}
			out[p.Topic][p.Partition] += p.Size
		})
	})
	return out
}

// keyValues parses repeated k=v flags. A nil value is never in it.
func keyValues(flag string, pairs []string) (map[string]*string, error) {
	out := map[string]*string{}
	for _, p := range pairs {
		k, v, ok := strings.Cut(p, "=")
		if !ok || k == "" {
			return nil, usage("--%s %q is not KEY=VALUE", flag, p)
		}
		if _, twice := out[k]; twice {
			return nil, usage("--%s %s is given twice", flag, k)
		}
		out[k] = &v
	}
	return out, nil
}

// completeTopics offers topic names to the shell.
func (a *app) completeTopics(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	q := a.quiet()
	var names []string
	if q.settle() == nil {
		_ = q.withAdmin(c.Context(), func(ctx context.Context, adm *kadm.Client) error {
			all, err := adm.ListTopics(ctx)
			names = all.Names()
			return err
		})
	}
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(args, n) })
	return names, cobra.ShellCompDirectiveNoFileComp
}

// join writes broker ids as 1,2,3.
func join(ids []int32) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(ids), "[]"), " ", ",")
}
