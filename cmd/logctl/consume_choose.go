package main

import (
	"slices"
	"strings"

	"quorumlog/cmd/logctl/internal/filter"
	"quorumlog/cmd/logctl/internal/recordio"
	"quorumlog/cmd/logctl/internal/render"

	"github.com/twmb/franz-go/pkg/kgo"
)

// chooser says which records are shown.
type chooser struct {
	key     string
	hasKey  bool
	headers []string // NAME=VALUE or NAME
	filter  string   // an expression in CEL

	expression *filter.Expression
}

func (c *chooser) compile() error {
	for _, h := range c.headers {
		if name, _, _ := strings.Cut(h, "="); name == "" {
			return usage("--header %q is not NAME=VALUE or NAME", h)
		}
	}
	if c.filter == "" {
		return nil
	}
	var err error
	if c.expression, err = filter.Compile(c.filter); err != nil {
		return usage("--filter %q: %v", c.filter, err)
	}
	return nil
}

// matches reports whether r is chosen.
func (c *chooser) matches(r *kgo.Record) bool {
	if c.hasKey && (r.Key == nil || string(r.Key) != c.key) {
		return false
	}
	for _, h := range c.headers {
		name, value, valued := strings.Cut(h, "=")
		if !slices.ContainsFunc(r.Headers, func(h kgo.RecordHeader) bool {
			return h.Key == name && (!valued || string(h.Value) == value)
		}) {
			return false
		}
	}
	return c.expression == nil || c.expression.Matches(r)
}

// note tells how many records the expression had no answer for.
func (c *chooser) note(a *app) {
	if c.expression != nil && c.expression.Failed > 0 {
		a.note("%s passed over, as --filter has no answer for them (the first: %v).", haveOf(c.expression.Failed, "record"), c.expression.First)
	}
}

func haveOf(n int64, noun string) string {
	if n == 1 {
		return render.Plural(n, noun) + " was"
	}
	return render.Plural(n, noun) + " were"
}

// decode has keys and values written as --key-as and --value-as say.
func (s *consume) decode() error {
	key, err := recordio.ParseDecoder(s.keyAs)
	if err != nil {
		return usage("--key-as %v", err)
	}
	value, err := recordio.ParseDecoder(s.valueAs)
	if err != nil {
		return usage("--value-as %v", err)
	}
	if key == nil && value == nil {
		return nil
	}
	write := s.write
	s.write = func(dst []byte, r *kgo.Record) ([]byte, error) {
		shown := *r
		shown.Key, shown.Value = key.Decode(r.Key), value.Decode(r.Value)
		return write(dst, &shown)
	}
	return nil
}
