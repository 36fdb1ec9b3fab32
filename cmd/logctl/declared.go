package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"

	"quorumlog/cmd/logctl/internal/declare"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const declaredSyntax = `The file is YAML:

  topics:
    orders:
      partitions: 6          # may grow; left out: the broker's default, or what there is
      replicas: 3
      configs:               # exactly these; left out: whatever they are
        retention.ms: 604800000
  cluster:                   # settings of all brokers
    log.retention.ms: 604800000
  brokers:
    1: {message.max.bytes: 2000000}
  groups:
    auditors: {consumer.session.timeout.ms: 50000}

What a section names is made exactly so, and what it does not name is left alone; --prune deletes
topics that are not named, but never the brokers' own.`

// declaration is what a file declares, beside what there is.
type declaration struct {
	want, is declare.File
	changes  []declare.Change
	records  map[string]int64 // in topics that go
}

// readDeclared reads a file; - is standard input.
func (a *app) readDeclared(path string) (declare.File, error) {
	if path == "" {
		return declare.File{}, usage("-f FILE is missing; logctl export writes one from a cluster")
	}
	in := a.in
	if path != "-" {
		f, err := os.Open(path)
		if err != nil {
			return declare.File{}, usage("cannot read the declaration: %v", err)
		}
		defer f.Close()
		in = f
	}
	got, err := declare.Read(io.LimitReader(in, maxDeclared))
	if err != nil {
		return got, usage("%s: %v", path, err)
	}
	return got, nil
}

// maxDeclared bounds a file, in bytes.
const maxDeclared = 64 << 20

// present reads from the cluster what a file could declare: topics that are not internal, and of
// brokers and groups those that want names, or, where it is nil, all that have settings.
func (a *app) present(ctx context.Context, cl *kgo.Client, patterns []string, want *declare.File) (declare.File, error) {
	topics, err := a.topics(ctx, a.admin(cl), patterns, false)
	if err != nil {
		return declare.File{}, err
	}
	out := declare.File{Topics: map[string]declare.Topic{}, Brokers: map[int32]declare.Settings{}, Groups: map[string]declare.Settings{}}
	resources := []resource{{kind: kmsg.ConfigResourceTypeBroker}}
	for _, t := range topics {
		resources = append(resources, resource{kmsg.ConfigResourceTypeTopic, t.Topic})
		out.Topics[t.Topic] = declare.Topic{Partitions: int32(len(t.Partitions)), Replicas: int16(t.Partitions.NumReplicas())}
	}
	others, err := a.others(ctx, cl, want)
	if err != nil {
		return out, err
	}
	resources = append(resources, others...)
	all, err := a.settingsOf(ctx, cl, resources)
	if err != nil {
		return out, err
	}
	for i, r := range resources {
		own := declare.Settings{}
		for _, s := range all[i] {
			if s.source == r.own() && s.value != nil {
				own[s.name] = *s.value
			}
		}
		switch {
		case r.kind == kmsg.ConfigResourceTypeTopic:
			t := out.Topics[r.name]
			t.Configs = own
			out.Topics[r.name] = t
		case r.kind == kmsg.ConfigResourceTypeGroupConfig:
			out.Groups[r.name] = own
		case r.name == "":
			out.Cluster = own
		default:
			id, _ := strconv.ParseInt(r.name, 10, 32)
			out.Brokers[int32(id)] = own
		}
	}
	return out, nil
}

// others are the brokers and groups that want names, or all brokers, and all groups with settings.
func (a *app) others(ctx context.Context, cl *kgo.Client, want *declare.File) ([]resource, error) {
	brokers, err := a.admin(cl).ListBrokers(ctx)
	if err != nil {
		return nil, a.explain(err, "list brokers")
	}
	var out []resource
	if want == nil {
		for _, b := range brokers {
			out = append(out, resource{kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(b.NodeID))})
		}
		groups, err := a.configuredGroups(ctx, cl)
		return append(out, groups...), err
	}
	for _, id := range slices.Sorted(maps.Keys(want.Brokers)) {
		if !slices.ContainsFunc(brokers, func(b kadm.BrokerDetail) bool { return b.NodeID == id }) {
			return nil, refused("broker %d is declared, but does not run in the cluster of %s", id, a.at())
		}
		out = append(out, resource{kmsg.ConfigResourceTypeBroker, strconv.Itoa(int(id))})
	}
	for _, name := range slices.Sorted(maps.Keys(want.Groups)) {
		out = append(out, resource{kmsg.ConfigResourceTypeGroupConfig, name})
	}
	return out, nil
}

// configuredGroups are the groups with settings of their own. Brokers of before Kafka 4.1 cannot list them.
func (a *app) configuredGroups(ctx context.Context, cl *kgo.Client) (out []resource, err error) {
	listed, err := a.admin(cl).ListConfigResources(ctx, kmsg.ConfigResourceTypeGroupConfig)
	if err == nil {
		err = listed.Err
	}
	switch {
	case notServed(err):
		a.note("the settings of groups are left out: these brokers cannot list them")
		return nil, nil
	case err != nil:
		return nil, a.explain(err, "list groups with settings")
	}
	for _, r := range listed.Resources {
		out = append(out, resource{kmsg.ConfigResourceTypeGroupConfig, r.Name})
	}
	slices.SortFunc(out, func(x, y resource) int { return strings.Compare(x.name, y.name) })
	return out, nil
}

// compare finds what has to change, and has the brokers check it.
func (a *app) compare(ctx context.Context, cl *kgo.Client, want declare.File, prune bool) (*declaration, error) {
	is, err := a.present(ctx, cl, nil, &want)
	if err != nil {
		return nil, err
	}
	d := &declaration{want: want, is: is, records: map[string]int64{}}
	if d.changes, err = declare.Compare(is, want, prune); err != nil {
		return nil, refused("%v", err)
	}
	if err := a.check(ctx, cl, d); err != nil {
		return nil, err
	}
	return d, a.countLost(ctx, cl, d)
}

// check has the brokers check new topics and settings, without making anything.
func (a *app) check(ctx context.Context, cl *kgo.Client, d *declaration) error {
	changes := d.settingChanges()
	resources := make([]resource, len(changes))
	for i, c := range changes {
		resources[i] = c.resource
	}
	if len(resources) > 0 {
		known, err := a.knownFor(ctx, cl, resources)
		if err != nil {
			return err
		}
		for i, c := range changes {
			for _, k := range slices.Sorted(maps.Keys(c.values)) {
				if err := settable(c.resource, known[i], k); err != nil {
					return err
				}
			}
		}
	}
	refusals, err := a.change(ctx, cl, changes, true)
	if err != nil {
		return err
	}
	for _, r := range slices.SortedFunc(maps.Keys(refusals), func(a, b resource) int { return strings.Compare(a.String(), b.String()) }) {
		return refused("%s cannot be so: %s", r, refusals[r])
	}
	for _, name := range d.created() {
		t := d.want.Topics[name]
		answers, err := a.admin(cl).ValidateCreateTopics(ctx, orDefault(t.Partitions), orDefault(t.Replicas), pointers(t.Configs), name)
		if err != nil {
			return a.explain(err, "check topic "+name)
		}
		if r := answers[name]; r.Err != nil {
			return refused("topic %s cannot be created: %s", name, reason(r.Err, r.ErrMessage))
		}
	}
	return nil
}

// countLost counts the records of topics that are to be deleted.
func (a *app) countLost(ctx context.Context, cl *kgo.Client, d *declaration) error {
	gone := d.deleted()
	if len(gone) == 0 {
		return nil
	}
	topics, err := a.topics(ctx, a.admin(cl), gone, false)
	if err != nil {
		return err
	}
	bounds, err := a.bounds(ctx, a.admin(cl), topics, false)
	for _, name := range gone {
		d.records[name], _ = bounds.records(name)
	}
	return err
}

func (d *declaration) named(action declare.Action) []string {
	var out []string
	for _, c := range d.changes {
		if c.Action == action {
			out = append(out, strings.TrimPrefix(c.Resource, "topic/"))
		}
	}
	return out
}

func (d *declaration) created() []string { return d.named(declare.CreateTopic) }
func (d *declaration) deleted() []string { return d.named(declare.DeleteTopic) }

// settingChanges are the changes of settings of what is there already, by resource. New topics get
// theirs when they are created.
func (d *declaration) settingChanges() []resourceChange {
	var out []resourceChange
	created := d.created()
	for _, c := range d.changes {
		r, err := parseResource(c.Resource)
		if c.Action != declare.Set && c.Action != declare.Reset || err != nil || r.kind == kmsg.ConfigResourceTypeTopic && slices.Contains(created, r.name) {
			continue
		}
		if len(out) == 0 || out[len(out)-1].resource != r {
			out = append(out, resourceChange{r, map[string]*string{}})
		}
		out[len(out)-1].values[c.Name] = c.After
	}
	return out
}

func orDefault[T int16 | int32](n T) T {
	if n == 0 {
		return -1
	}
	return n
}

func pointers(s declare.Settings) map[string]*string {
	out := map[string]*string{}
	for k, v := range s {
		out[k] = &v
	}
	return out
}

// lines shows the changes as a diff.
func (d *declaration) lines() render.Lines {
	var out render.Lines
	last := ""
	for _, c := range d.changes {
		switch c.Action {
		case declare.CreateTopic:
			out = append(out, render.Line{Style: render.Good, Text: fmt.Sprintf("+ %s  %s", c.Resource, *c.After)})
			last = c.Resource
			continue
		case declare.DeleteTopic:
			out = append(out, render.Line{Style: render.Bad, Text: fmt.Sprintf("- %s  %s, %s", c.Resource, *c.Before, render.Plural(d.records[strings.TrimPrefix(c.Resource, "topic/")], "record"))})
			continue
		default:
		}
		if c.Resource != last {
			out = append(out, render.Line{Style: render.Warn, Text: "~ " + c.Resource})
			last = c.Resource
		}
		switch {
		case c.Before == nil:
			out = append(out, render.Line{Style: render.Good, Text: fmt.Sprintf("+   %s = %s", c.Name, *c.After)})
		case c.After == nil:
			out = append(out, render.Line{Style: render.Bad, Text: fmt.Sprintf("-   %s = %s", c.Name, *c.Before)})
		default:
			out = append(out, render.Line{Style: render.Warn, Text: fmt.Sprintf("~   %s = %s -> %s", c.Name, *c.Before, *c.After)})
		}
	}
	return append(out, render.Line{Text: d.summary()})
}

// summary counts topics to create, resources to change and topics to delete.
func (d *declaration) summary() string {
	if len(d.changes) == 0 {
		return "Everything is as declared."
	}
	created, deleted := d.created(), d.deleted()
	changed := map[string]bool{}
	for _, c := range d.changes {
		if name := strings.TrimPrefix(c.Resource, "topic/"); !slices.Contains(created, name) && !slices.Contains(deleted, name) {
			changed[c.Resource] = true
		}
	}
	return fmt.Sprintf("%d to create, %d to change, %d to delete.", len(created), len(changed), len(deleted))
}
