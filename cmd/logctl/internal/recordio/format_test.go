package recordio

import (
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func TestFormatWritesEveryField(t *testing.T) {
	r := &kgo.Record{
		Topic: "orders", Partition: 3, Offset: 42, Timestamp: time.UnixMilli(1322728320000),
		Key: []byte("17850"), Value: []byte("mug"),
		Headers: []kgo.RecordHeader{{Key: "a", Value: []byte("1")}, {Key: "b", Value: []byte("2")}},
	}
	for layout, want := range map[string]string{
		`%t[%p]@%o\n`:         "orders[3]@42\n",
		`%T %k(%K)=%s(%S)`:    "1322728320000 17850(5)=mug(3)",
		`%h%%`:                "a=1,b=2%",
		`%R%s`:                "\x00\x00\x00\x03mug",
		`\x41\t\\\r\0plain é`: "A\t\\\r\x00plain é",
	} {
		f, err := ParseFormat(layout)
		if err != nil {
			t.Errorf("%q: %v", layout, err)
			continue
		}
		if got := string(f.Append(nil, r)); got != want {
			t.Errorf("%q wrote %q, want %q", layout, got, want)
		}
	}
}

func TestFormatGivesNullALengthOfMinusOne(t *testing.T) {
	f, err := ParseFormat("%K %S")
	if err != nil {
		t.Fatal(err)
	}
	if got := string(f.Append(nil, &kgo.Record{Value: []byte{}})); got != "-1 0" {
		t.Errorf("got %q, want %q", got, "-1 0")
	}
}

func TestFormatRefusesUnknownSequences(t *testing.T) {
	for _, s := range []string{"%z", "%", `\q`, `\`, `\x4`, `\xgg`} {
		if _, err := ParseFormat(s); err == nil {
			t.Errorf("ParseFormat(%q) took it", s)
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{"%t %p %o %k %s %h %T\n", `\x41%%`, "%R%S%K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if c, err := ParseFormat(s); err == nil {
			c.Append(nil, &kgo.Record{Value: []byte(s)})
		}
		_, _ = Unescape(s)
	})
}
