package recordio

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"quorumlog/cmd/logctl/internal/position"

	"github.com/twmb/franz-go/pkg/kgo"
)

// documentReader makes each line, a JSON document, a value, as it stands. Key and time may be
// taken from fields of it.
type documentReader struct {
	lines lines
	opts  Options
}

func (d *documentReader) Read() (*kgo.Record, error) {
	for {
		line, err := d.lines.next()
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		r, err := d.record(line)
		if err != nil {
			return nil, &LineError{d.lines.n, err}
		}
		return r, nil
	}
}

func (d *documentReader) record(line []byte) (*kgo.Record, error) {
	r := &kgo.Record{Value: line}
	if d.opts.KeyColumn == "" && d.opts.TimestampColumn == "" {
		if !json.Valid(line) {
			return nil, fmt.Errorf("no JSON document; use --format lines to send any text as it is")
		}
		return r, nil
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(line, &fields); err != nil {
		return nil, fmt.Errorf("no JSON object: %w", err)
	}
	if name := d.opts.KeyColumn; name != "" {
		raw, ok := fields[name]
		if !ok {
			return nil, fmt.Errorf("no field %q", name)
		}
		r.Key = fieldText(raw)
	}
	if name := d.opts.TimestampColumn; name != "" {
		raw, ok := fields[name]
		if !ok {
			return nil, fmt.Errorf("no field %q", name)
		}
		var ms int64
		if json.Unmarshal(raw, &ms) == nil {
			r.Timestamp = time.UnixMilli(ms)
			return r, nil
		}
		var err error
		if r.Timestamp, err = position.ParseTime(string(fieldText(raw))); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// fieldText is what a string says, and the JSON of anything else; null is nil.
func fieldText(raw json.RawMessage) []byte {
	var s *string
	if json.Unmarshal(raw, &s) == nil {
		if s == nil {
			return nil
		}
		return []byte(*s)
	}
	return raw
}
