package recordio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

func readAll(in string, o Options) (out []*kgo.Record, err error) {
	r := NewReader(strings.NewReader(in), o)
	for {
		rec, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return out, err
		}
		out = append(out, rec)
	}
}

func TestLinesBecomeValues(t *testing.T) {
	got, err := readAll("one\r\n\nthree", Options{})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	for i, want := range []string{"one", "", "three"} {
		if got[i].Value == nil || string(got[i].Value) != want || got[i].Key != nil {
			t.Errorf("record %d is %q=%q, want %q without a key", i, got[i].Key, got[i].Value, want)
		}
	}
}

func TestLinesSplitAtTheFirstSeparator(t *testing.T) {
	got, err := readAll("k=v=w\n=x\nk=\n", Options{KeySeparator: "=", NullEmpty: true})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if string(got[0].Key) != "k" || string(got[0].Value) != "v=w" {
		t.Errorf("first is %q=%q", got[0].Key, got[0].Value)
	}
	if got[1].Key == nil || len(got[1].Key) != 0 {
		t.Errorf("an empty key became %v", got[1].Key)
	}
	if got[2].Value != nil {
		t.Errorf("an empty value is %q, want null", got[2].Value)
	}
	var at *LineError
	if _, err = readAll("a=b\nc\n", Options{KeySeparator: "="}); !errors.As(err, &at) || at.Line != 2 {
		t.Errorf("a line without the separator gives %v, want an error at line 2", err)
	}
}

func TestCSVRowsBecomeObjectsInColumnOrder(t *testing.T) {
	in := "\ufeffInvoiceNo,Description,InvoiceDate\n536365,\"MUG, \"\"RED\"\" <1>\",2011-12-01 08:26:00\n"
	got, err := readAll(in, Options{Format: "csv", KeyColumn: "InvoiceNo", TimestampColumn: "InvoiceDate"})
	if err != nil || len(got) != 1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if want := `{"InvoiceNo":"536365","Description":"MUG, \"RED\" <1>","InvoiceDate":"2011-12-01 08:26:00"}`; string(got[0].Value) != want {
		t.Errorf("value %s, want %s", got[0].Value, want)
	}
	if string(got[0].Key) != "536365" || !got[0].Timestamp.Equal(time.Date(2011, 12, 1, 8, 26, 0, 0, time.Local)) {
		t.Errorf("key %q, time %v", got[0].Key, got[0].Timestamp)
	}
}

func TestCSVErrorsNameTheLine(t *testing.T) {
	for in, line := range map[string]int{
		"a,b\n1,2\n1\n":      3,
		"a,b\n1,\"x\ny\"z\n": 3,
		"a\n1\n":             1,
	} {
		var at *LineError
		if _, err := readAll(in, Options{Format: "csv", KeyColumn: "b"}); !errors.As(err, &at) || at.Line != line {
			t.Errorf("%q gives %v, want an error at line %d", in, err, line)
		}
	}
}

func TestCSVWithAnUnclosedQuoteStopsAtTheBound(t *testing.T) {
	endless := io.MultiReader(strings.NewReader("a\n\""), repeat('x'))
	if _, err := NewReader(endless, Options{Format: "csv"}).Read(); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want %v", err, ErrTooLong)
	}
}

func TestLinesStopAtTheBound(t *testing.T) {
	if _, err := NewReader(repeat('x'), Options{}).Read(); !errors.Is(err, ErrTooLong) {
		t.Errorf("got %v, want %v", err, ErrTooLong)
	}
}

type repeat byte

func (r repeat) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(r)
	}
	return len(p), nil
}

func TestJSONRoundTrip(t *testing.T) {
	want := &kgo.Record{
		Key: []byte{0xff, 0}, Value: []byte("a<b & ü\n"), Timestamp: time.UnixMilli(1322728320123),
		Headers: []kgo.RecordHeader{{Key: "n"}, {Key: "b", Value: []byte{0x80}}, {Key: "t", Value: []byte("x")}},
	}
	line, err := AppendJSON(nil, want)
	if err != nil || bytes.Count(line, []byte{'\n'}) != 1 {
		t.Fatalf("%s, %v", line, err)
	}
	got, err := readAll(string(line)+"\n", Options{Format: "json"})
	if err != nil || len(got) != 1 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got %+v, want %+v", got[0], want)
	}
}

func TestJSONTakesAnyDocumentAsValue(t *testing.T) {
	got, err := readAll(`{"key":"k","value":{"a": [1, 2]}}`+"\n"+`{"value":null}`+"\n{}\n", Options{Format: "json"})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d records, %v", len(got), err)
	}
	if string(got[0].Value) != `{"a":[1,2]}` || got[1].Value != nil || got[2].Value != nil {
		t.Errorf("values %q, %q, %q", got[0].Value, got[1].Value, got[2].Value)
	}
}

func TestJSONErrorsNameTheLine(t *testing.T) {
	for _, bad := range []string{`{"vlaue":1}`, `{`, `{} {}`, `"text"`, `{"key":"!","key_encoding":"base64"}`, `{"value":"x","value_encoding":"hex"}`} {
		var at *LineError
		if _, err := readAll("{}\n"+bad, Options{Format: "json"}); !errors.As(err, &at) || at.Line != 2 {
			t.Errorf("%s gives %v, want an error at line 2", bad, err)
		}
	}
}

func TestOptionsRefuseWhatDoesNotGoTogether(t *testing.T) {
	for _, o := range []Options{
		{Format: "xml"}, {Format: "csv", KeySeparator: ":"}, {Format: "json", NullEmpty: true}, {KeyColumn: "a"}, {Format: "json", TimestampColumn: "t"},
	} {
		if o.Validate() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func FuzzReader(f *testing.F) {
	f.Add("csv", "a,b\n1,\"2\"\n")
	f.Add("json", `{"key":"k","value":"v","headers":[{"key":"h","value":null}]}`)
	f.Add("lines", "k:v\n")
	f.Fuzz(func(t *testing.T, format, in string) {
		recs, err := readAll(in, Options{Format: format})
		var at *LineError
		if err != nil && !errors.As(err, &at) {
			t.Fatalf("error %v names no line", err)
		}
		for _, r := range recs {
			if _, err := AppendJSON(nil, r); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestDocumentsGiveKeysAndTimes(t *testing.T) {
	in := `{"id":7,"at":1000,"n":{"a": 1}}` + "\n\n" + `{"id":"x","at":"1970-01-01T00:00:02Z"}` + "\n"
	r := NewReader(strings.NewReader(in), Options{Format: "jsonlines", KeyColumn: "id", TimestampColumn: "at"})
	for _, want := range []string{`7 1000 {"id":7,"at":1000,"n":{"a": 1}}`, `x 2000 {"id":"x","at":"1970-01-01T00:00:02Z"}`} {
		rec, err := r.Read()
		if err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprintf("%s %d %s", rec.Key, rec.Timestamp.UnixMilli(), rec.Value); got != want {
			t.Errorf("read %s, want %s", got, want)
		}
	}
	for _, bad := range []string{"x\n", `{"a":1}` + "\n", `{"id":1,"at":"soon"}` + "\n"} {
		if _, err := NewReader(strings.NewReader(bad), Options{Format: "jsonlines", KeyColumn: "id", TimestampColumn: "at"}).Read(); err == nil || !strings.Contains(err.Error(), "line 1") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestDecodersMakeText(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"string", "\xff", "\xff"}, {"int", "\xff\xff\xff\xfe", "-2"}, {"int", "\x00\x00\x00\x00\x00\x00\x01\x00", "256"},
		{"int", "\x01\x02\x03", "0x010203"}, {"hex", "\x0a\xff", "0aff"}, {"base64", "\xff", "/w=="}, {"hex", "", ""},
	} {
		d, err := ParseDecoder(c.name)
		if got := string(d.Decode([]byte(c.in))); err != nil || got != c.want {
			t.Errorf("%s of %q: %q, %v", c.name, c.in, got, err)
		}
		if d.Decode(nil) != nil {
			t.Errorf("%s makes something of null", c.name)
		}
	}
	if _, err := ParseDecoder("octal"); err == nil {
		t.Error("octal is a decoder")
	}
}
