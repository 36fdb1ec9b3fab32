package recordio

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"quorumlog/cmd/logctl/internal/position"

	"github.com/twmb/franz-go/pkg/kgo"
)

// csvReader makes each row a JSON object of strings, whose names are the first row's.
type csvReader struct {
	in        *bounded
	csv       *csv.Reader
	opts      Options
	names     [][]byte // the columns' names as JSON strings
	key, time int      // columns; -1 for none
	last      int      // the line on which the last good row began
}

func newCSV(r io.Reader, o Options) *csvReader {
	in := &bounded{r: r}
	buffered := bufio.NewReader(in)
	in.left = MaxRecord
	if mark, err := buffered.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = buffered.Discard(3) // the byte order mark that spreadsheets write
	}
	c := csv.NewReader(buffered)
	c.ReuseRecord = true
	return &csvReader{in: in, csv: c, opts: o, key: -1, time: -1}
}

func (c *csvReader) Read() (*kgo.Record, error) {
	if c.names == nil {
		if err := c.header(); err != nil {
			return nil, err
		}
	}
	row, err := c.row()
	if err != nil {
		return nil, err
	}
	r := new(kgo.Record)
	if c.key >= 0 {
		r.Key = []byte(row[c.key])
	}
	if c.time >= 0 {
		if r.Timestamp, err = position.ParseTime(row[c.time]); err != nil {
			line, _ := c.csv.FieldPos(c.time)
			return nil, &LineError{line, err}
		}
	}
	r.Value = append(r.Value, '{')
	for i, field := range row {
		if i > 0 {
			r.Value = append(r.Value, ',')
		}
		r.Value = append(append(r.Value, c.names[i]...), ':')
		r.Value = append(r.Value, quote(field)...)
	}
	r.Value = append(r.Value, '}')
	return r, nil
}

func (c *csvReader) row() ([]string, error) {
	c.in.left = MaxRecord
	row, err := c.csv.Read()
	if errors.Is(err, io.EOF) {
		return nil, err
	}
	if err == nil {
		c.last, _ = c.csv.FieldPos(0)
		return row, nil
	}
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		return nil, &LineError{parse.Line, parse.Err}
	}
	return nil, &LineError{c.last + 1, err}
}

func (c *csvReader) header() error {
	row, err := c.row()
	if err != nil {
		return err
	}
	for _, name := range row {
		c.names = append(c.names, quote(name))
	}
	if c.key, err = column(row, c.opts.KeyColumn); err != nil {
		return &LineError{1, err}
	}
	if c.time, err = column(row, c.opts.TimestampColumn); err != nil {
		return &LineError{1, err}
	}
	return nil
}

func column(row []string, name string) (int, error) {
	if name == "" {
		return -1, nil
	}
	if i := slices.Index(row, name); i >= 0 {
		return i, nil
	}
	return -1, fmt.Errorf("no column %q among %s", name, strings.Join(row, ", "))
}

// quote returns s as a JSON string.
func quote(s string) []byte {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string in memory has no error to give
	return bytes.TrimSuffix(out.Bytes(), []byte{'\n'})
}

// bounded fails when one record takes more than the bytes left: an unclosed quote would otherwise
// read a whole file into memory.
type bounded struct {
	r    io.Reader
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, ErrTooLong
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}
