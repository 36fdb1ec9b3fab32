package render

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Name    string   `json:"name"`
	Size    int64    `json:"size"`
	Tags    []string `json:"tags"`
	Missing *string  `json:"missing"`
}

func print(t *testing.T, p Printer, v any, parts ...Part) string {
	t.Helper()
	var out bytes.Buffer
	p.W = &out
	if err := p.Print(v, parts...); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestTableAlignsAndTrims(t *testing.T) {
	tab := NewTable("TOPIC", "SIZE>", "LEADER")
	tab.Row("orders", 5, Styled(Bad, "none"))
	tab.Row("a", 12345, 1)
	tab.Footer("total", 12350, "")
	want := "TOPIC    SIZE  LEADER\n" +
		"orders      5  none\n" +
		"a       12345  1\n" +
		"total   12350\n"
	if got := print(t, Printer{}, nil, tab); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

func TestTableHasColourOnlyWhereAsked(t *testing.T) {
	tab := NewTable("A")
	tab.Row(Styled(Bad, "x"))
	if got := print(t, Printer{Color: true}, nil, tab); !strings.Contains(got, "\x1b[31mx\x1b[0m") {
		t.Errorf("no colour in %q", got)
	}
	if got := print(t, Printer{}, nil, tab); strings.Contains(got, "\x1b") {
		t.Errorf("colour in %q", got)
	}
}

func TestNarrowTerminalBreaksTheFlexibleColumn(t *testing.T) {
	tab := NewTable("NAME", "REPLICAS~", "N>")
	tab.Row("orders", strings.Repeat("12345 ", 12), 7)
	got := print(t, Printer{Width: 40}, nil, tab)
	for line := range strings.Lines(got) {
		if len(line) > 41 {
			t.Errorf("line of %d columns: %q", len(line), line)
		}
	}
	if n := strings.Count(got, "12345"); n != 12 {
		t.Errorf("%d of 12 words left in\n%s", n, got)
	}
	if wide := print(t, Printer{}, nil, tab); strings.Count(wide, "\n") != 2 {
		t.Errorf("without a width the row is broken:\n%s", wide)
	}
}

func TestJSONAndYAMLShareASchema(t *testing.T) {
	v := []sample{{Name: "123", Size: 4, Tags: []string{}}, {Name: "a<b", Tags: []string{"x: y", "no"}}}
	if got, want := print(t, Printer{Format: AsYAML}, v), `- name: "123"
  size: 4
  tags: []
  missing: null
- name: "a<b"
  size: 0
  tags:
    - "x: y"
    - "no"
  missing: null
`; got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if got := print(t, Printer{Format: AsJSON}, v[1]); !strings.Contains(got, `"name": "a<b"`) {
		t.Errorf("got %s", got)
	}
}

func TestFieldsLineUp(t *testing.T) {
	got := print(t, Printer{}, nil, Fields{{"topic", "orders"}, {"id", 7}}, Note("end"))
	if want := "topic  orders\nid     7\n\nend\n"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1536: "1.5 KiB", 1<<20 - 1: "1.0 MiB", 5 << 30: "5.0 GiB", 1<<63 - 1: "8.0 EiB"} {
		if got := Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q, want %q", n, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0", 999: "999", 1000: "1,000", -1000: "-1,000", -999: "-999", 1234567: "1,234,567"} {
		if got := Count(n); got != want {
			t.Errorf("Count(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestProgressIsSilentForShortWorkAndTakesItsLineAway(t *testing.T) {
	var out bytes.Buffer
	now := time.Unix(0, 0)
	p := newProgress(&out, func() time.Time { return now })
	p.Set(1, 2, "half")
	if out.Len() > 0 {
		t.Errorf("drew at once: %q", out.String())
	}
	now = now.Add(time.Second)
	p.Set(1, 2, "half")
	p.Set(2, 2, "too soon")
	p.Done()
	if got := out.String(); !strings.Contains(got, "half") || !strings.Contains(got, " 50%") || strings.Contains(got, "soon") || !strings.HasSuffix(got, "\x1b[2K\r") {
		t.Errorf("drew %q", got)
	}
	var none *Progress
	none.Set(1, 2, "")
	none.Done()
}
