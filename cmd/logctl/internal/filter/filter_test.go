package filter

import (
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

var order = &kgo.Record{
	Topic: "orders", Partition: 2, Offset: 7, Timestamp: time.Date(2011, 12, 1, 8, 0, 0, 0, time.UTC),
	Key: []byte("17850"), Value: []byte(`{"total":12.5,"n":9007199254740993,"tags":["a","b"],"to":{"city":"Ulm"},"none":null}`),
	Headers: []kgo.RecordHeader{{Key: "source", Value: []byte("shop")}},
}

func TestExpressionsSeeTheWholeRecord(t *testing.T) {
	for text, want := range map[string]bool{
		`value.total > 12`:                                             true,
		`value.total == 12`:                                            false,
		`value.n == 9007199254740993`:                                  true,
		`"b" in value.tags && value.to.city == "Ulm"`:                  true,
		`has(value.missing)`:                                           false,
		`value.none == null`:                                           true,
		`key == "17850" && headers["source"]=="shop"`:                  true,
		`key.startsWith("178")`:                                        true,
		`topic == "orders" && partition == 2 && offset < 8`:            true,
		`timestamp > timestamp("2011-12-01T00:00:00Z")`:                true,
		`timestamp.getFullYear() == 2012`:                              false,
		`value.tags.exists(t, t == "a")`:                               true,
		`value.to.city.lowerAscii().matches("^u.m$") && int(key) > 17`: true,
	} {
		e, err := Compile(text)
		if err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := e.Matches(order); got != want || e.Failed > 0 {
			t.Errorf("%s: %v, %v", text, got, e.First)
		}
	}
}

func TestWhatIsNoJSONIsText(t *testing.T) {
	e, err := Compile(`value == "plain text" || value == null && key == null`)
	if err != nil {
		t.Fatal(err)
	}
	if !e.Matches(&kgo.Record{Value: []byte("plain text")}) || !e.Matches(&kgo.Record{}) || e.Matches(order) {
		t.Errorf("wrong, %v", e.First)
	}
}

func TestRecordsWithoutAnAnswerAreCountedAndNotChosen(t *testing.T) {
	e, err := Compile(`value.missing.deep == 1`)
	if err != nil {
		t.Fatal(err)
	}
	if e.Matches(order) || e.Matches(&kgo.Record{Value: []byte("x")}) || e.Failed != 2 || !strings.Contains(e.First.Error(), "missing") {
		t.Errorf("failed %d, %v", e.Failed, e.First)
	}
}

func TestMistakesAreFoundBeforeAnythingIsRead(t *testing.T) {
	for text, want := range map[string]string{"value.": "Syntax", "valu == 1": "valu", "offset + 1": "not true or false", `offset == "a"`: "no matching overload"} {
		if _, err := Compile(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
