package recordio

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Reader yields records until io.EOF. What it returns is the caller's; an error other than io.EOF
// is a *LineError.
type Reader interface {
	Read() (*kgo.Record, error)
}

// LineError says at which line of its input a Reader stopped.
type LineError struct {
	Line int
	Err  error
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %v", e.Line, e.Err) }

// Unwrap returns what was wrong.
func (e *LineError) Unwrap() error { return e.Err }

// MaxRecord bounds one record's text, in bytes, so that a file of another kind does not fill the
// memory.
const MaxRecord = 32 << 20

// ErrTooLong is returned for a record whose text is longer than MaxRecord.
var ErrTooLong = fmt.Errorf("record is longer than %d MiB", MaxRecord>>20)

var errNoSeparator = errors.New("no key separator in it")

// Options says how text becomes records. The zero value is one record a line, without keys.
type Options struct {
	Format          string // "lines" (or ""), "csv", "json" or "jsonlines"
	KeySeparator    string // lines: what stands between key and value; "" for no keys
	KeyColumn       string // csv, jsonlines: the column or field that is the key as well
	TimestampColumn string // csv, jsonlines: the column or field that holds the record's time
	NullEmpty       bool   // lines: an empty value is null, a tombstone
}

// Validate reports the first option that is unknown or does not go with the format.
func (o Options) Validate() error {
	switch o.Format {
	case "", "lines", "csv", "json", "jsonlines":
	default:
		return fmt.Errorf("format %q is not one of lines, csv, json, jsonlines", o.Format)
	}
	lines := o.Format == "" || o.Format == "lines"
	switch {
	case o.KeySeparator != "" && !lines:
		return fmt.Errorf("a key separator goes with format lines, not with %s", o.Format)
	case o.NullEmpty && !lines:
		return fmt.Errorf("null for empty values goes with format lines, not with %s", o.Format)
	case (o.KeyColumn != "" || o.TimestampColumn != "") && o.Format != "csv" && o.Format != "jsonlines":
		return errors.New("a key column or timestamp column goes with format csv or jsonlines")
	}
	return nil
}

// NewReader returns a reader of r in the options' format.
func NewReader(r io.Reader, o Options) Reader {
	switch o.Format {
	case "csv":
		return newCSV(r, o)
	case "json":
		return &jsonReader{lines: newLines(r)}
	case "jsonlines":
		return &documentReader{lines: newLines(r), opts: o}
	}
	return &lineReader{lines: newLines(r), opts: o}
}

// lines reads lines of at most MaxRecord bytes and counts them.
type lines struct {
	r *bufio.Reader
	n int
}

func newLines(r io.Reader) lines { return lines{r: bufio.NewReaderSize(r, 64<<10)} }

// next returns the next line without its end, in memory that is the caller's.
func (l *lines) next() ([]byte, error) {
	l.n++
	var line []byte
	for {
		part, err := l.r.ReadSlice('\n')
		if len(line)+len(part) > MaxRecord {
			return nil, &LineError{l.n, ErrTooLong}
		}
		line = append(line, part...)
		switch {
		case err == nil:
			line = line[:len(line)-1]
			return bytes.TrimSuffix(line, []byte{'\r'}), nil
		case errors.Is(err, io.EOF) && len(line) > 0:
			return line, nil
		case errors.Is(err, io.EOF):
			return nil, io.EOF
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, &LineError{l.n, err}
		}
	}
}

type lineReader struct {
	lines lines
	opts  Options
}

func (l *lineReader) Read() (*kgo.Record, error) {
	line, err := l.lines.next()
	if err != nil {
		return nil, err
	}
	r := &kgo.Record{Value: line}
	if r.Value == nil {
		r.Value = []byte{}
	}
	if sep := l.opts.KeySeparator; sep != "" {
		key, value, ok := bytes.Cut(line, []byte(sep))
		if !ok {
			return nil, &LineError{l.lines.n, fmt.Errorf("%w (%q)", errNoSeparator, sep)}
		}
		r.Key, r.Value = key, value
	}
	if l.opts.NullEmpty && len(r.Value) == 0 {
		r.Value = nil
	}
	return r, nil
}

type jsonReader struct{ lines lines }

func (j *jsonReader) Read() (*kgo.Record, error) {
	for {
		line, err := j.lines.next()
		if err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		r, err := parseJSON(line)
		if err != nil {
			return nil, &LineError{j.lines.n, err}
		}
		return r, nil
	}
}
