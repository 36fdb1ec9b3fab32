package recordio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Record is a record as one JSON object a line. Key and Value are null where the record's are.
// Bytes that are no UTF-8 are in base64, and the encoding field beside them says so.
type Record struct {
	Topic         string   `json:"topic"`
	Partition     int32    `json:"partition"`
	Offset        int64    `json:"offset"`
	Timestamp     int64    `json:"timestamp"` // milliseconds since 1970
	Key           *string  `json:"key"`
	KeyEncoding   string   `json:"key_encoding,omitempty"`
	Value         *string  `json:"value"`
	ValueEncoding string   `json:"value_encoding,omitempty"`
	Headers       []Header `json:"headers"`
}

// Header is a record's header.
type Header struct {
	Key           string  `json:"key"`
	Value         *string `json:"value"`
	ValueEncoding string  `json:"value_encoding,omitempty"`
}

const base64Encoding = "base64"

// FromRecord returns r as it is written in JSON.
func FromRecord(r *kgo.Record) Record {
	out := Record{
		Topic: r.Topic, Partition: r.Partition, Offset: r.Offset, Timestamp: r.Timestamp.UnixMilli(),
		Headers: make([]Header, len(r.Headers)),
	}
	out.Key, out.KeyEncoding = Text(r.Key)
	out.Value, out.ValueEncoding = Text(r.Value)
	for i, h := range r.Headers {
		out.Headers[i].Key = h.Key
		out.Headers[i].Value, out.Headers[i].ValueEncoding = Text(h.Value)
	}
	return out
}

// Text returns b as a JSON string and its encoding: "" for UTF-8, else "base64". nil stays null.
func Text(b []byte) (s *string, encoding string) {
	if b == nil {
		return nil, ""
	}
	text := string(b)
	if utf8.Valid(b) {
		return &text, ""
	}
	text = base64.StdEncoding.EncodeToString(b)
	return &text, base64Encoding
}

// AppendJSON appends r to dst as one line of JSON, newline included.
func AppendJSON(dst []byte, r *kgo.Record) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	enc := json.NewEncoder(buf)
	enc.SetEscapeHTML(false)
	err := enc.Encode(FromRecord(r))
	return buf.Bytes(), err
}

// input is what parseJSON accepts: Record with any JSON document as the value, and nothing
// required.
type input struct {
	Record
	Value     json.RawMessage `json:"value"`
	Timestamp *int64          `json:"timestamp"`
}

// parseJSON reads a line that AppendJSON wrote, or a part of one. Topic, partition and offset are
// not taken over. A value that is neither a string nor null is kept as the JSON text it is.
func parseJSON(line []byte) (*kgo.Record, error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.DisallowUnknownFields()
	var in input
	if err := dec.Decode(&in); err != nil {
		return nil, fmt.Errorf("no record as consume -o json writes them (%w); use --format lines to send any text as it is", err)
	}
	if dec.More() {
		return nil, errors.New("more than one JSON value on a line")
	}
	r := new(kgo.Record)
	if in.Timestamp != nil {
		r.Timestamp = time.UnixMilli(*in.Timestamp)
	}
	var err error
	if r.Key, err = decodeText(in.Key, in.KeyEncoding); err != nil {
		return nil, fmt.Errorf("key: %w", err)
	}
	if r.Value, err = decodeValue(in.Value, in.ValueEncoding); err != nil {
		return nil, fmt.Errorf("value: %w", err)
	}
	for _, h := range in.Headers {
		v, err := decodeText(h.Value, h.ValueEncoding)
		if err != nil {
			return nil, fmt.Errorf("header %q: %w", h.Key, err)
		}
		r.Headers = append(r.Headers, kgo.RecordHeader{Key: h.Key, Value: v})
	}
	return r, nil
}

func decodeValue(raw json.RawMessage, encoding string) ([]byte, error) {
	var s *string
	if len(raw) == 0 || json.Unmarshal(raw, &s) == nil {
		return decodeText(s, encoding)
	}
	var out bytes.Buffer
	err := json.Compact(&out, raw)
	return out.Bytes(), err
}

func decodeText(s *string, encoding string) ([]byte, error) {
	switch {
	case s == nil:
		return nil, nil
	case encoding == "":
		return []byte(*s), nil
	case encoding == base64Encoding:
		return base64.StdEncoding.DecodeString(*s)
	}
	return nil, fmt.Errorf("encoding %q is not %q", encoding, base64Encoding)
}
