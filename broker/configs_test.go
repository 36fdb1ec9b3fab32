package broker

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/broker/config"
)

// another is a value that a setting can have and does not have by default.
func another(t *testing.T, s *config.Setting) string {
	t.Helper()
	candidates := []string{"false", "true", "1", "2", "1048577", "0.25", "compact", "gzip", "LogAppendTime", "127.0.0.9:3", "0:1", "x"}
	for _, c := range candidates {
		if c != s.Default && s.Validate(c) == nil {
			return c
		}
	}
	if s.Effect == config.Honoured || s.Effect == config.Accepted {
		t.Fatalf("%s: no other value is possible", s.Name)
	}
	return ""
}

// described asks for one setting with its synonyms and documentation.
func described(t *testing.T, b *testBroker, kind kmsg.ConfigResourceType, resource, name string) kmsg.DescribeConfigsResponseResourceConfig {
	t.Helper()
	q := kmsg.NewPtrDescribeConfigsRequest()
	q.Version, q.IncludeSynonyms, q.IncludeDocumentation = 4, true, true
	r := kmsg.NewDescribeConfigsRequestResource()
	r.ResourceType, r.ResourceName, r.ConfigNames = kind, resource, []string{name}
	q.Resources = append(q.Resources, r)
	got := raw[*kmsg.DescribeConfigsResponse](b, q).Resources[0]
	if got.ErrorCode != 0 || len(got.Configs) != 1 {
		t.Fatalf("%s of %q: %+v", name, resource, got)
	}
	return got.Configs[0]
}

// alter sets a setting, or removes it where value is nil.
func alter(t *testing.T, b *testBroker, kind kmsg.ConfigResourceType, resource, name string, value *string) error {
	t.Helper()
	q := kmsg.NewPtrIncrementalAlterConfigsRequest()
	q.Version = 1
	r := kmsg.NewIncrementalAlterConfigsRequestResource()
	r.ResourceType, r.ResourceName = kind, resource
	c := kmsg.NewIncrementalAlterConfigsRequestResourceConfig()
	c.Name, c.Value = name, value
	if value == nil {
		c.Op = kmsg.IncrementalAlterConfigOpDelete
	}
	r.Configs = append(r.Configs, c)
	q.Resources = append(q.Resources, r)
	return kerr.ErrorForCode(raw[*kmsg.IncrementalAlterConfigsResponse](b, q).Resources[0].ErrorCode)
}

// checkDescribed compares an answer with the table's row.
func checkDescribed(t *testing.T, s *config.Setting, got kmsg.DescribeConfigsResponseResourceConfig, value string, source kmsg.ConfigSource) {
	t.Helper()
	if got.Value == nil || *got.Value != value || got.Source != source || got.ConfigType != kmsg.ConfigType(s.Type) {
		t.Errorf("%s: %+v, want %q from %v", s.Name, got, value, source)
	}
	if got.Documentation == nil || *got.Documentation != s.Documentation() {
		t.Errorf("%s: documentation %v", s.Name, got.Documentation)
	}
	if len(got.ConfigSynonyms) == 0 || got.ConfigSynonyms[0].Source != source || *got.ConfigSynonyms[0].Value != value {
		t.Errorf("%s: synonyms %+v", s.Name, got.ConfigSynonyms)
	}
}

// Every row of the table of topics, through the protocol.
func TestEveryTopicSettingIsTakenAndReportedOrRefused(t *testing.T) {
	b := startBroker(t, nil)
	b.topic("t", 1, nil)
	for s := range config.Topic.All() {
		value := another(t, s)
		if value == "" {
			if err := alter(t, b, kmsg.ConfigResourceTypeTopic, "t", s.Name, kmsg.StringPtr("true")); !errors.Is(err, kerr.InvalidConfig) {
				t.Errorf("%s=true: %v", s.Name, err)
			}
			continue
		}
		before := described(t, b, kmsg.ConfigResourceTypeTopic, "t", s.Name)
		if err := alter(t, b, kmsg.ConfigResourceTypeTopic, "t", s.Name, &value); err != nil {
			t.Errorf("%s=%s: %v", s.Name, value, err)
			continue
		}
		checkDescribed(t, s, described(t, b, kmsg.ConfigResourceTypeTopic, "t", s.Name), value, kmsg.ConfigSourceDynamicTopicConfig)
		if err := alter(t, b, kmsg.ConfigResourceTypeTopic, "t", s.Name, nil); err != nil {
			t.Errorf("%s: %v", s.Name, err)
		}
		if after := described(t, b, kmsg.ConfigResourceTypeTopic, "t", s.Name); after.Source != before.Source {
			t.Errorf("%s: %v before it was set, %v after it was removed", s.Name, before.Source, after.Source)
		}
	}
	if err := alter(t, b, kmsg.ConfigResourceTypeTopic, "t", "no.such.setting", kmsg.StringPtr("1")); !errors.Is(err, kerr.InvalidConfig) {
		t.Errorf("an unknown setting: %v", err)
	}
}

// Every row of the table of brokers: for all brokers, for this one, and refused where it is decided
// at start.
func TestEveryBrokerSettingIsTakenAndReportedOrRefused(t *testing.T) {
	b := startBroker(t, nil)
	for s := range config.Broker.All() {
		value := another(t, s)
		if s.Update == config.ReadOnly || s.Effect == config.FromFlag {
			if err := alter(t, b, kmsg.ConfigResourceTypeBroker, "", s.Name, &value); !errors.Is(err, kerr.InvalidRequest) {
				t.Errorf("%s is %s and was answered %v", s.Name, s.Update, err)
			}
			if got := described(t, b, kmsg.ConfigResourceTypeBroker, "1", s.Name); !got.ReadOnly {
				t.Errorf("%s: %+v", s.Name, got)
			}
			continue
		}
		if value == "" {
			if err := alter(t, b, kmsg.ConfigResourceTypeBroker, "", s.Name, kmsg.StringPtr("true")); !errors.Is(err, kerr.InvalidConfig) {
				t.Errorf("%s=true: %v", s.Name, err)
			}
			continue
		}
		for _, at := range []struct {
			resource string
			source   kmsg.ConfigSource
		}{{"", kmsg.ConfigSourceDynamicDefaultBrokerConfig}, {"1", kmsg.ConfigSourceDynamicBrokerConfig}} {
			if strings.HasPrefix(s.Name, "max.connection") && s.Type == config.Int {
				value = "1000" // this test connects
			}
			if err := alter(t, b, kmsg.ConfigResourceTypeBroker, at.resource, s.Name, &value); err != nil {
				t.Errorf("%s=%s on %q: %v", s.Name, value, at.resource, err)
				continue
			}
			got := described(t, b, kmsg.ConfigResourceTypeBroker, "1", s.Name)
			checkDescribed(t, s, got, value, at.source)
			if got.ReadOnly {
				t.Errorf("%s is said to be read-only", s.Name)
			}
		}
		for _, resource := range []string{"", "1"} {
			if err := alter(t, b, kmsg.ConfigResourceTypeBroker, resource, s.Name, nil); err != nil {
				t.Errorf("%s: %v", s.Name, err)
			}
		}
	}
}

// What is marked as honoured is read somewhere: nothing is taken and swallowed.
func TestEveryHonouredSettingIsRead(t *testing.T) {
	var source strings.Builder
	for _, pattern := range []string{"*.go", "config/topic.go", "config/group.go"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if text, err := os.ReadFile(f); err == nil && !strings.HasSuffix(f, "_test.go") {
				source.Write(text)
			}
		}
	}
	isRead := func(name string) bool {
		return strings.Contains(source.String(), `"`+name+`"`) ||
			strings.HasPrefix(name, "compression.") && strings.HasSuffix(name, ".level") // by the codec's name
	}
	reached := map[string]bool{}
	for _, table := range []*config.Table{config.Topic, config.Group, config.Broker} {
		for s := range table.All() {
			if s.Effect != config.Honoured || !isRead(s.Name) && !reached[s.Name] {
				continue
			}
			for d := s; len(d.From) > 0; { // what decides in its place is read with it
				reached[d.From[0].Name] = true
				d, _ = config.Broker.Lookup(d.From[0].Name)
			}
		}
	}
	for _, table := range []*config.Table{config.Topic, config.Group, config.Broker} {
		for s := range table.All() {
			if s.Effect == config.Honoured && !isRead(s.Name) && !reached[s.Name] {
				t.Errorf("%s is said to be honoured and nothing reads it", s.Name)
			}
			if s.Effect != config.Honoured && s.Effect != config.FromFlag && s.Why == "" {
				t.Errorf("%s does not say why it has no effect", s.Name)
			}
		}
	}
}

func TestSettingsOfEveryBrokerAreSetThroughAnyBroker(t *testing.T) {
	c := startCluster(t, 3, nil)
	admin := c.admin()
	for id := int32(1); id <= 3; id++ {
		value := fmt.Sprint(2_000_000 + id)
		for _, via := range c.nodes {
			if err := alter(t, via, kmsg.ConfigResourceTypeBroker, fmt.Sprint(id), "message.max.bytes", &value); err != nil {
				t.Fatalf("of broker %d through broker %d: %v", id, via.id, err)
			}
		}
	}
	if _, err := admin.AlterBrokerConfigs(t.Context(), []kadm.AlterConfig{{Name: "log.retention.ms", Value: kmsg.StringPtr("5000")}}); err != nil {
		t.Fatal(err)
	}
	for _, b := range c.nodes {
		want := fmt.Sprint(2_000_000 + b.id)
		c.eventually("the settings are in force on all", func() bool {
			got := described(t, b, kmsg.ConfigResourceTypeBroker, fmt.Sprint(b.id), "message.max.bytes")
			all := described(t, b, kmsg.ConfigResourceTypeBroker, fmt.Sprint(b.id), "log.retention.ms")
			return *got.Value == want && got.Source == kmsg.ConfigSourceDynamicBrokerConfig &&
				all.Value != nil && *all.Value == "5000" && all.Source == kmsg.ConfigSourceDynamicDefaultBrokerConfig
		})
	}
	if err := alter(t, c.nodes[0], kmsg.ConfigResourceTypeBroker, "9", "message.max.bytes", kmsg.StringPtr("1")); err == nil {
		t.Error("a broker that does not exist got a setting")
	}
}
