package config

import (
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
)

func mustValues(t *testing.T, static map[string]string) *Values {
	t.Helper()
	v, err := NewValues(static)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestTheNearestRetentionSettingDecides(t *testing.T) {
	const week = 7 * 24 * hour
	for _, c := range []struct {
		name              string
		static, dynamic   map[string]string
		overrides         map[string]string
		want              int64
		source            Source
		sourceOfSynonyms  []string
		valueAsConfigured string
	}{
		{name: "nothing is set", want: week, source: Default,
			sourceOfSynonyms: []string{"log.retention.hours=168 DEFAULT_CONFIG"}},
		{name: "hours", static: map[string]string{"log.retention.hours": "24"}, want: 24 * hour, source: StaticBroker,
			sourceOfSynonyms: []string{"log.retention.hours=24 STATIC_BROKER_CONFIG", "log.retention.hours=168 DEFAULT_CONFIG"}},
		{name: "minutes before hours", static: map[string]string{"log.retention.hours": "24", "log.retention.minutes": "120"}, want: 2 * hour, source: StaticBroker,
			sourceOfSynonyms: []string{"log.retention.minutes=120 STATIC_BROKER_CONFIG", "log.retention.hours=24 STATIC_BROKER_CONFIG", "log.retention.hours=168 DEFAULT_CONFIG"}},
		{name: "milliseconds before minutes", static: map[string]string{"log.retention.minutes": "120", "log.retention.ms": "77"}, want: 77, source: StaticBroker},
		{name: "set while running before set at start", static: map[string]string{"log.retention.ms": "77"}, dynamic: map[string]string{"log.retention.ms": "99999"}, want: 99999, source: DynamicBroker},
		{name: "the topic's own before all", static: map[string]string{"log.retention.hours": "24", "log.retention.minutes": "120"},
			dynamic: map[string]string{"log.retention.ms": "99999"}, overrides: map[string]string{"retention.ms": "5000"}, want: 5000, source: DynamicTopic,
			sourceOfSynonyms: []string{"retention.ms=5000 DYNAMIC_TOPIC_CONFIG", "log.retention.ms=99999 DYNAMIC_BROKER_CONFIG", "log.retention.minutes=120 STATIC_BROKER_CONFIG",
				"log.retention.hours=24 STATIC_BROKER_CONFIG", "log.retention.hours=168 DEFAULT_CONFIG"}},
		{name: "for ever", static: map[string]string{"log.retention.hours": "-1"}, want: -1, source: StaticBroker},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := mustValues(t, c.static)
			v.SetDynamic(nil, c.dynamic)
			if got := v.Topic(c.overrides).RetentionMs; got != c.want {
				t.Errorf("retention.ms is %d, want %d", got, c.want)
			}
			e := entry(t, v.DescribeTopic(c.overrides), "retention.ms")
			if e.Source != c.source {
				t.Errorf("its source is %s, want %s", e.Source, c.source)
			}
			if c.sourceOfSynonyms != nil && !slices.Equal(links(e), c.sourceOfSynonyms) {
				t.Errorf("its synonyms are\n%q, want\n%q", links(e), c.sourceOfSynonyms)
			}
		})
	}
}

func entry(t *testing.T, entries []Entry, name string) Entry {
	t.Helper()
	for _, e := range entries {
		if e.Name == name {
			return e
		}
	}
	t.Fatalf("%s is not described", name)
	return Entry{}
}

func links(e Entry) []string {
	var all []string
	for _, l := range e.Chain {
		all = append(all, l.Name+"="+l.Value+" "+l.Source.String())
	}
	return all
}

func TestABrokersOwnDynamicValueGoesBeforeTheClusters(t *testing.T) {
	v := mustValues(t, nil)
	v.SetDynamic(map[string]string{"message.max.bytes": "3000000"}, map[string]string{"message.max.bytes": "2000000"})
	want := []string{"message.max.bytes=2000000 DYNAMIC_BROKER_CONFIG", "message.max.bytes=3000000 DYNAMIC_DEFAULT_BROKER_CONFIG", "message.max.bytes=1048588 DEFAULT_CONFIG"}
	if got := links(entry(t, v.DescribeTopic(nil), "max.message.bytes")); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if got := v.Int("message.max.bytes"); got != 2000000 {
		t.Errorf("in force is %d", got)
	}
	v.SetDynamic(nil, nil)
	if got := v.Int("message.max.bytes"); got != 1048588 {
		t.Errorf("after removal %d is in force", got)
	}
}

func TestSettingsGivenAtStartAreCheckedOneByOneAndTogether(t *testing.T) {
	for _, static := range []map[string]string{
		{"log.retention.hour": "3"},
		{"num.partitions": "0"},
		{"node.id": "3"},
		{"group.min.session.timeout.ms": "9000", "group.max.session.timeout.ms": "8000"},
	} {
		if _, err := NewValues(static); err == nil {
			t.Errorf("%v was taken", static)
		}
	}
}

func TestCompactionLagsMayNotCross(t *testing.T) {
	v := mustValues(t, nil)
	err := v.ValidateTopic(map[string]string{"min.compaction.lag.ms": "10", "max.compaction.lag.ms": "9"})
	const want = "conflict topic config setting min.compaction.lag.ms (10) > max.compaction.lag.ms (9)"
	if !errors.Is(err, ErrInvalid) || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}

func TestCleanupPolicyIsAnySumOfItsWords(t *testing.T) {
	v := mustValues(t, nil)
	for text, want := range map[string]CleanupPolicy{
		"delete": CleanupDelete, "compact": CleanupCompact, "compact, delete": CleanupCompact | CleanupDelete, "": 0,
	} {
		if got := v.Topic(map[string]string{"cleanup.policy": text}).Cleanup; got != want {
			t.Errorf("%q is %b, want %b", text, got, want)
		}
	}
}

func TestCompressionLevelIsThatOfTheCodec(t *testing.T) {
	v := mustValues(t, map[string]string{"compression.zstd.level": "7"})
	c := v.Topic(map[string]string{"compression.type": "zstd"})
	if c.Compression != "zstd" || c.CompressionLevel != 7 {
		t.Errorf("%s at %d", c.Compression, c.CompressionLevel)
	}
}

func TestLargeUnitsDoNotOverflow(t *testing.T) {
	if got := scaled(math.MaxInt32, hour); got != math.MaxInt32*hour {
		t.Error(got)
	}
	if got := scaled(math.MaxInt64/2, hour); got != math.MaxInt64 {
		t.Error(got)
	}
}

func TestUnknownDynamicValuesHaveNoEffect(t *testing.T) {
	v := mustValues(t, nil)
	v.SetDynamic(map[string]string{"of.a.later.version": "1", "log.retention.ms": "no number"}, nil)
	if got := v.Topic(map[string]string{"also.later": "2", "segment.ms": "?"}); got != mustValues(t, nil).Topic(nil) {
		t.Errorf("%+v", got)
	}
}

func TestReportedSettingsAreDescribedAsGivenAtStart(t *testing.T) {
	v := mustValues(t, nil)
	v.Report("node.id", "7")
	e := entry(t, v.DescribeBroker(), "node.id")
	if *e.Value != "7" || e.Source != StaticBroker || !e.ReadOnly {
		t.Errorf("%s %s read-only %v", *e.Value, e.Source, e.ReadOnly)
	}
}

func TestABrokerSettingThatIsNotSetIsNullWhateverDecidesInItsPlace(t *testing.T) {
	v := mustValues(t, map[string]string{"log.retention.hours": "24"})
	if e := entry(t, v.DescribeBroker(), "log.retention.ms"); e.Value != nil || e.Source != Default {
		t.Errorf("%s from %s", *e.Value, e.Source)
	}
	if got := v.Int("log.retention.ms"); got != 24*hour {
		t.Errorf("in force is %d", got)
	}
}

func TestReadersNeedNoLock(t *testing.T) {
	v := mustValues(t, nil)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 1000 {
				if n := v.Int("message.max.bytes"); n != 1048588 && n != 5 {
					t.Errorf("read %d", n)
				}
			}
		})
	}
	for range 50 {
		v.SetDynamic(map[string]string{"message.max.bytes": "5"}, nil)
		v.SetDynamic(nil, nil)
	}
	wg.Wait()
}

func TestGroupConfigsStayWithinTheBrokersBounds(t *testing.T) {
	v := mustValues(t, nil)
	for text, want := range map[string]string{
		"5":     "consumer.session.timeout.ms must be greater than or equal to group.consumer.min.session.timeout.ms",
		"90000": "consumer.session.timeout.ms must be less than or equal to group.consumer.max.session.timeout.ms",
		"0":     "Invalid value 0 for configuration consumer.session.timeout.ms: Value must be at least 1",
		"50000": "",
	} {
		err := v.ValidateGroup(map[string]string{"consumer.session.timeout.ms": text})
		if got := message(err); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
	if got := v.Group(map[string]string{"consumer.session.timeout.ms": "50000"}); got != (GroupConfig{5000, 50000}) {
		t.Errorf("%+v", got)
	}
}

func message(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
