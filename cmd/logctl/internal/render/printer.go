package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v4"
)

// Format is a way to write a result.
type Format string

// The formats of the -o flag.
const (
	AsTable Format = "table"
	AsJSON  Format = "json"
	AsYAML  Format = "yaml"
	AsRaw   Format = "raw" // of records alone: their bytes, and nothing else
)

// ParseFormat checks a format's name; the empty name is a table.
func ParseFormat(s string) (Format, error) {
	switch f := Format(s); f {
	case "":
		return AsTable, nil
	case AsTable, AsJSON, AsYAML, AsRaw:
		return f, nil
	}
	return "", fmt.Errorf("output %q is not one of table, json, yaml", s)
}

// Printer writes results to one place in one format.
type Printer struct {
	W      io.Writer
	Format Format
	Color  bool
	Width  int // columns of the terminal; 0 means no limit
}

// Print writes v for programs, or the parts, which say the same, for people. Between two parts
// stands an empty line.
func (p Printer) Print(v any, parts ...Part) error {
	if p.Format == AsJSON {
		return p.json(v)
	}
	if p.Format == AsYAML {
		return p.yaml(v)
	}
	for i, part := range parts {
		if i > 0 {
			if _, err := fmt.Fprintln(p.W); err != nil {
				return err
			}
		}
		if err := part.write(p.W, look{p.Color, p.Width}); err != nil {
			return err
		}
	}
	return nil
}

func (p Printer) json(v any) error {
	enc := json.NewEncoder(p.W)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// yaml writes what JSON would hold, so that both have one schema, described by the json tags.
func (p Printer) yaml(v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(b, &doc); err != nil {
		return err
	}
	blockStyle(&doc)
	var out bytes.Buffer
	enc := yaml.NewEncoder(&out)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return err
	}
	if err := enc.Close(); err != nil {
		return err
	}
	_, err = p.W.Write(out.Bytes())
	return err
}

// blockStyle drops JSON's braces and the quotes of its keys. Values keep theirs: readers of YAML
// disagree on which words are no strings.
func blockStyle(n *yaml.Node) {
	if len(n.Content) > 0 {
		n.Style = 0
	}
	for i, c := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			c.Style = 0
		}
		blockStyle(c)
	}
}
