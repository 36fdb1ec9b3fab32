package main

import (
	"bufio"
	"encoding/json"
	"io"

	"github.com/twmb/franz-go/pkg/kgo"
)

// decodeOrder reads one order: [key, value, [[name, value], ...]], bytes in base64.
func decodeOrder(line []byte, r *kgo.Record) error {
	var headers [][2]*json.RawMessage
	if err := json.Unmarshal(line, &[]any{&r.Key, &r.Value, &headers}); err != nil {
		return err
	}
	for _, pair := range headers {
		var h kgo.RecordHeader
		if err := json.Unmarshal(*pair[0], &h.Key); err != nil {
			return err
		}
		if pair[1] != nil {
			if err := json.Unmarshal(*pair[1], &h.Value); err != nil {
				return err
			}
		}
		r.Headers = append(r.Headers, h)
	}
	return nil
}

// encodeRead is the line that tells the suite of a record: [partition, offset, key, value, headers].
func encodeRead(r *kgo.Record) ([]byte, error) {
	headers := make([][2]any, 0, len(r.Headers))
	for _, h := range r.Headers {
		headers = append(headers, [2]any{h.Key, h.Value})
	}
	line, err := json.Marshal([]any{r.Partition, r.Offset, r.Key, r.Value, headers})
	return append(line, '\n'), err
}

// orders yields the lines of in.
func orders(in io.Reader, yield func(*kgo.Record) error) error {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var r kgo.Record
		if err := decodeOrder(lines.Bytes(), &r); err != nil {
			return err
		}
		if err := yield(&r); err != nil {
			return err
		}
	}
	return lines.Err()
}
