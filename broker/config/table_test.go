package config

import (
	"errors"
	"strings"
	"testing"
)

func tables() []*Table { return []*Table{Topic, Broker, Group} }

func TestEveryRowIsWhole(t *testing.T) {
	for _, table := range tables() {
		if len(table.byName) != len(table.sorted) {
			t.Errorf("%s: a name stands twice", table.kind)
		}
		for s := range table.All() {
			if !strings.HasSuffix(s.Doc, ".") {
				t.Errorf("%s: its sentence has no end: %q", s.Name, s.Doc)
			}
			if (s.Effect == Honoured) != (s.Why == "") {
				t.Errorf("%s: effect %s with reason %q", s.Name, s.Effect, s.Why)
			}
			for _, f := range s.From {
				if _, ok := Broker.Lookup(f.Name); !ok {
					t.Errorf("%s comes from %s, which is not in the table", s.Name, f.Name)
				}
			}
			if len(s.From) > 1 {
				t.Errorf("%s comes from more than one; the others belong in the first one's row", s.Name)
			}
		}
	}
}

func TestEveryDefaultIsPossible(t *testing.T) {
	for _, table := range tables() {
		for s := range table.All() {
			if s.Unset || s.Effect == FromFlag {
				continue
			}
			if err := s.Validate(s.Default); err != nil {
				t.Errorf("%v", err)
			}
		}
	}
}

func TestTopicDefaultsAreThoseOfTheBrokerSettingsTheyComeFrom(t *testing.T) {
	v := mustValues(t, nil)
	for _, entries := range [][]Entry{v.DescribeTopic(nil), v.DescribeGroup(nil)} {
		for _, e := range entries {
			if *e.Value != e.Default {
				t.Errorf("%s is %s by default, resolved it is %s", e.Name, e.Default, *e.Value)
			}
		}
	}
}

func TestErrorsAreOfTheirKind(t *testing.T) {
	for name, want := range map[string]error{"nope": ErrUnknown, "retention.ms": ErrInvalid, "remote.storage.enable": ErrInvalid} {
		if err := Topic.Validate(name, "true"); !errors.Is(err, want) {
			t.Errorf("%s: %v is not of kind %q", name, err, want)
		}
	}
	if err := ValidateDynamic("num.partitions", "3"); !errors.Is(err, ErrReadOnly) || err.Error() != "Cannot update these configs dynamically: [num.partitions]" {
		t.Errorf("num.partitions while running: %v", err)
	}
	if err := ValidateDynamic("message.max.bytes", "5"); err != nil {
		t.Error(err)
	}
}

func TestNearestFindsASlipAndNothingElse(t *testing.T) {
	for word, want := range map[string]string{
		"log.retention.hour":        "log.retention.hours",
		"auto.create.topic.enable":  "auto.create.topics.enable",
		"MESSAGE.MAX.BYTES":         "message.max.bytes",
		"ssl.keystore.location.pem": "",
		"":                          "",
	} {
		if got := Broker.Nearest(word); got != want {
			t.Errorf("nearest to %q is %q, want %q", word, got, want)
		}
	}
}

func FuzzValidate(f *testing.F) {
	f.Add("retention.ms", "-1")
	f.Add("cleanup.policy", "compact, delete")
	f.Add("min.cleanable.dirty.ratio", "NaN")
	f.Add("leader.replication.throttled.replicas", "0:1,x")
	v, err := NewValues(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, name, text string) {
		if Topic.Validate(name, text) != nil {
			return
		}
		// What was taken can be used: resolved, described, never worse than its own type allows.
		c := v.Topic(map[string]string{name: text})
		if c.SegmentBytes < 1<<20 || c.SegmentMs < 1 || c.MaxMessageBytes < 0 || !(c.MinCleanableRatio >= 0 && c.MinCleanableRatio <= 1) {
			t.Fatalf("%s=%q gives %+v", name, text, c)
		}
		for _, e := range v.DescribeTopic(map[string]string{name: text}) {
			if e.Name == name && e.Source != DynamicTopic {
				t.Fatalf("%s=%q is reported as %s", name, text, e.Source)
			}
		}
	})
}
