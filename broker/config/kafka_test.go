package config

import (
	"os"
	"strings"
	"testing"
)

// kafkaRow is a line of testdata/kafka-4.3.1.tsv.
type kafkaRow struct{ resource, name, typ, def, valid, update string }

func kafkaRows(t *testing.T, resource string) []kafkaRow {
	t.Helper()
	var rows []kafkaRow
	for _, f := range readTSV(t, "testdata/kafka-4.3.1.tsv", 6) {
		if f[0] == resource {
			rows = append(rows, kafkaRow{f[0], f[1], f[2], f[3], f[4], f[5]})
		}
	}
	if len(rows) == 0 {
		t.Fatalf("no row of %s", resource)
	}
	return rows
}

func readTSV(t *testing.T, file string, fields int) [][]string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSuffix(line, "\n")
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if len(f) != fields {
			t.Fatalf("%s: %d fields in %q", file, len(f), line)
		}
		rows = append(rows, f)
	}
	return rows
}

// differs compares a setting with Kafka's row, returning what is different.
func differs(s *Setting, k kafkaRow) []string {
	var diff []string
	add := func(what, ours, theirs string) {
		if ours != theirs {
			diff = append(diff, what+" "+ours+", Kafka's "+theirs)
		}
	}
	def := s.Default
	if s.Unset {
		def = "null"
	}
	add("type", s.Type.String(), k.typ)
	add("default", def, k.def)
	add("valid", s.Valid.Text, k.valid)
	if k.update != "" {
		add("update", s.Update.String(), k.update)
	}
	return diff
}

func TestEveryTopicConfigOfKafkaIsKnownWithItsTypeDefaultAndRange(t *testing.T) {
	rows := kafkaRows(t, "topic")
	for _, k := range rows {
		s, ok := Topic.Lookup(k.name)
		if !ok {
			t.Errorf("%s is missing", k.name)
			continue
		}
		if d := differs(s, k); d != nil {
			t.Errorf("%s: %s", k.name, strings.Join(d, "; "))
		}
	}
	if got := len(Topic.Names()); got != len(rows) {
		t.Errorf("%d topic configurations, Kafka has %d", got, len(rows))
	}
}

// ourRanges are broker settings and groups' where more is checked than Kafka does at start, or
// where a flag decides.
var ourRanges = map[string]string{
	"default.replication.factor":       "0 replicas are none",
	"group.initial.rebalance.delay.ms": "a negative delay is none",
	"group.max.session.timeout.ms":     "a session needs a time",
	"group.min.session.timeout.ms":     "a session needs a time",
	"log.retention.hours":              "Kafka checks it at start, not in its table",
	"log.retention.minutes":            "Kafka checks it at start, not in its table",
	"log.retention.ms":                 "Kafka checks it at start, not in its table",
	"log.roll.jitter.ms":               "Kafka checks it at start, not in its table",
	"log.roll.ms":                      "Kafka checks it at start, not in its table",
	"max.connections.per.ip.overrides": "Kafka fails later",
	"offset.metadata.max.bytes":        "a negative length is none",
	"offsets.topic.compression.codec":  "Kafka fails later",
	"queued.max.request.bytes":         "a budget too small for a batch stalls producers",
}

func TestBrokerSettingsUnderKafkasNamesHaveItsTypeDefaultAndRange(t *testing.T) {
	theirs := make(map[string]kafkaRow)
	for _, k := range kafkaRows(t, "broker") {
		theirs[k.name] = k
	}
	for s := range Broker.All() {
		k, ok := theirs[s.Name]
		if ok == s.Own {
			t.Errorf("%s: in Kafka %v, marked our own %v", s.Name, ok, s.Own)
		}
		if !ok || s.Effect == FromFlag {
			continue
		}
		if _, more := ourRanges[s.Name]; more {
			if k.valid == s.Valid.Text {
				t.Errorf("%s has Kafka's range and needs no exception", s.Name)
			}
			k.valid = s.Valid.Text
		}
		if d := differs(s, k); d != nil {
			t.Errorf("%s: %s", s.Name, strings.Join(d, "; "))
		}
	}
}

func TestGroupConfigsHaveKafkasTypeDefaultAndRange(t *testing.T) {
	theirs := make(map[string]kafkaRow)
	for _, k := range kafkaRows(t, "group") {
		theirs[k.name] = k
	}
	for s := range Group.All() {
		if d := differs(s, theirs[s.Name]); d != nil {
			t.Errorf("%s: %s", s.Name, strings.Join(d, "; "))
		}
	}
}

func TestValuesAreTakenAndRefusedInKafkasWords(t *testing.T) {
	// Values that Kafka takes, or refuses in other words, because it does what is not done here.
	ours := map[string]string{
		"unclean.leader.election.enable=true": "Invalid value true for configuration unclean.leader.election.enable: a replica that lacks acknowledged records is never elected",
		"remote.storage.enable=true":          "Invalid value true for configuration remote.storage.enable: Tiered storage is not available. Topic cannot be configured with remote log storage.",
	}
	v := mustValues(t, nil)
	for _, f := range readTSV(t, "testdata/kafka-answers.tsv", 4) {
		name, text, want := f[1], f[2], f[3]
		if w, ok := ours[name+"="+text]; ok {
			want = w
		}
		validate := v.ValidateTopic
		if f[0] == "group" {
			validate = v.ValidateGroup
		}
		if got := message(validate(map[string]string{name: text})); got != want {
			t.Errorf("%s=%q: %q, want %q", name, text, got, want)
		}
	}
}
