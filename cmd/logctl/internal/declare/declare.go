// Package declare reads and writes files that say which topics and settings a cluster is to have,
// and finds what has to change for that.
package declare

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// File is what a cluster is to have. What a section names is made exactly so; what it does not
// name is left alone.
type File struct {
	Topics  map[string]Topic    `yaml:"topics,omitempty" json:"topics,omitempty"`
	Cluster Settings            `yaml:"cluster,omitempty" json:"cluster,omitempty"` // for all brokers
	Brokers map[int32]Settings  `yaml:"brokers,omitempty" json:"brokers,omitempty"`
	Groups  map[string]Settings `yaml:"groups,omitempty" json:"groups,omitempty"`
}

// Topic is a topic as it is to be. Where Partitions or Replicas are 0 the broker's defaults hold
// for a new topic, and an old one keeps what it has.
type Topic struct {
	Partitions int32    `yaml:"partitions,omitempty" json:"partitions,omitempty"`
	Replicas   int16    `yaml:"replicas,omitempty" json:"replicas,omitempty"`
	Configs    Settings `yaml:"configs,omitempty" json:"configs,omitempty"` // nil: whatever they are
}

// Settings are values under Kafka's names.
type Settings map[string]string

// UnmarshalYAML takes numbers, truth values and lists for the text that they are to Kafka.
func (s *Settings) UnmarshalYAML(n *yaml.Node) error {
	var raw map[string]yaml.Node
	if err := n.Decode(&raw); err != nil {
		return err
	}
	*s = Settings{}
	for k, v := range raw {
		switch {
		case v.Kind == yaml.ScalarNode && v.Tag != "!!null":
			(*s)[k] = v.Value
		case v.Kind == yaml.SequenceNode:
			var list []string
			if err := v.Decode(&list); err != nil {
				return err
			}
			(*s)[k] = strings.Join(list, ",")
		default:
			return fmt.Errorf("line %d: %s is neither a value nor a list of values", v.Line, k)
		}
	}
	return nil
}

// topicName is what Kafka allows.
var topicName = regexp.MustCompile(`^[a-zA-Z0-9._-]{1,249}$`)

// ValidTopicName reports whether Kafka allows a topic of this name.
func ValidTopicName(name string) bool {
	return topicName.MatchString(name) && name != "." && name != ".."
}

// Read reads one file. Names that the format does not have, and numbers that nothing can have,
// are errors.
func Read(r io.Reader) (File, error) {
	var f File
	dec := yaml.NewDecoder(r)
	dec.KnownFields(true)
	if err := dec.Decode(&f); err != nil && !errors.Is(err, io.EOF) {
		return f, errors.New(strings.Join(strings.Fields(err.Error()), " "))
	}
	var more yaml.Node
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return f, errors.New("it holds more than one document")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Topics)) {
		t := f.Topics[name]
		switch {
		case !ValidTopicName(name):
			return f, fmt.Errorf("%q cannot be a topic's name", name)
		case strings.HasPrefix(name, "__"):
			return f, fmt.Errorf("%s is one of the broker's own topics", name)
		case t.Partitions < 0 || t.Replicas < 0:
			return f, fmt.Errorf("topic %s: partitions and replicas must be 1 or more", name)
		}
	}
	for id := range f.Brokers {
		if id < 0 {
			return f, fmt.Errorf("%d is no broker's id", id)
		}
	}
	return f, nil
}

// Write writes a file that Read reads.
func Write(w io.Writer, f File) error {
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := errors.Join(enc.Encode(f), enc.Close()); err != nil {
		return err
	}
	_, err := w.Write(out.Bytes())
	return err
}

// Change is one step from what is to what is declared.
type Change struct {
	Action   Action  `json:"action"`
	Resource string  `json:"resource"`       // topic/NAME, broker/ID, group/NAME or cluster
	Name     string  `json:"name,omitempty"` // of the setting, or "partitions"
	Before   *string `json:"before"`         // null: not there, or not set
	After    *string `json:"after"`          // null: gone, or no longer set
}

// Action is what a Change does.
type Action string

// The actions.
const (
	CreateTopic   Action = "create"
	DeleteTopic   Action = "delete"
	AddPartitions Action = "add_partitions"
	Set           Action = "set"
	Reset         Action = "reset"
)

// Compare finds the changes from is to want, in the order in which they are to be made. Topics
// that are not wanted are deleted where prune is set. What cannot be done is an error.
func Compare(is, want File, prune bool) ([]Change, error) {
	var out []Change
	for _, name := range slices.Sorted(maps.Keys(want.Topics)) {
		w := want.Topics[name]
		resource := "topic/" + name
		t, there := is.Topics[name]
		if !there {
			out = append(out, Change{Action: CreateTopic, Resource: resource, After: text(sizeOf(w))})
			out = append(out, settings(resource, nil, w.Configs)...)
			continue
		}
		switch {
		case w.Partitions > 0 && w.Partitions < t.Partitions:
			return nil, fmt.Errorf("topic %s has %d partitions, and %d are declared: partitions cannot be taken away", name, t.Partitions, w.Partitions)
		case w.Replicas > 0 && w.Replicas != t.Replicas:
			return nil, fmt.Errorf("topic %s has %d replicas, and %d are declared: move its partitions with logctl partition move, or declare what it has", name, t.Replicas, w.Replicas)
		case w.Partitions > t.Partitions:
			out = append(out, Change{AddPartitions, resource, "partitions", text(strconv.Itoa(int(t.Partitions))), text(strconv.Itoa(int(w.Partitions)))})
		}
		if w.Configs != nil {
			out = append(out, settings(resource, t.Configs, w.Configs)...)
		}
	}
	if want.Cluster != nil {
		out = append(out, settings("cluster", is.Cluster, want.Cluster)...)
	}
	for _, id := range slices.Sorted(maps.Keys(want.Brokers)) {
		out = append(out, settings(fmt.Sprintf("broker/%d", id), is.Brokers[id], want.Brokers[id])...)
	}
	for _, name := range slices.Sorted(maps.Keys(want.Groups)) {
		out = append(out, settings("group/"+name, is.Groups[name], want.Groups[name])...)
	}
	if prune {
		for _, name := range slices.Sorted(maps.Keys(is.Topics)) {
			if _, wanted := want.Topics[name]; !wanted && !strings.HasPrefix(name, "__") {
				out = append(out, Change{Action: DeleteTopic, Resource: "topic/" + name, Before: text(sizeOf(is.Topics[name]))})
			}
		}
	}
	return out, nil
}

func settings(resource string, is, want Settings) []Change {
	var out []Change
	for _, k := range slices.Sorted(maps.Keys(want)) {
		if v, ok := is[k]; !ok {
			out = append(out, Change{Set, resource, k, nil, text(want[k])})
		} else if v != want[k] {
			out = append(out, Change{Set, resource, k, text(v), text(want[k])})
		}
	}
	for _, k := range slices.Sorted(maps.Keys(is)) {
		if _, ok := want[k]; !ok {
			out = append(out, Change{Reset, resource, k, text(is[k]), nil})
		}
	}
	return out
}

func text(s string) *string { return &s }

// sizeOf says how large a topic is, or is to be.
func sizeOf(t Topic) string {
	part := func(n int64, noun string) string {
		if n == 0 {
			return "default " + noun + "s"
		}
		if n == 1 {
			return "1 " + noun
		}
		return fmt.Sprintf("%d %ss", n, noun)
	}
	return part(int64(t.Partitions), "partition") + ", " + part(int64(t.Replicas), "replica")
}
