package config

import (
	"fmt"
	"iter"
	"slices"
	"sort"
	"strings"
)

// The tables. They do not change.
var (
	Topic  = newTable("topic", topicSettings)
	Broker = newTable("broker", networkSettings, logSettings, cleanerSettings, topicDefaultSettings,
		groupCoordinatorSettings, consumerGroupSettings, transactionSettings, identitySettings, carriedSettings)
	Group = newTable("group", groupSettings)
)

// Table holds the settings of one kind of resource.
type Table struct {
	kind   string
	sorted []*Setting
	byName map[string]*Setting
}

func newTable(kind string, parts ...[]Setting) *Table {
	t := &Table{kind: kind, byName: make(map[string]*Setting)}
	for _, part := range parts {
		for i := range part {
			t.sorted = append(t.sorted, &part[i])
			t.byName[part[i].Name] = &part[i]
		}
	}
	sort.Slice(t.sorted, func(i, j int) bool { return t.sorted[i].Name < t.sorted[j].Name })
	return t
}

// Lookup returns the setting of that name. The caller must not change it.
func (t *Table) Lookup(name string) (*Setting, bool) {
	s, ok := t.byName[name]
	return s, ok
}

// All yields every setting in order of name.
func (t *Table) All() iter.Seq[*Setting] { return slices.Values(t.sorted) }

// Names returns every name in order.
func (t *Table) Names() []string {
	names := make([]string, len(t.sorted))
	for i, s := range t.sorted {
		names[i] = s.Name
	}
	return names
}

// Validate returns whether name can be set to value. The error wraps ErrUnknown or ErrInvalid and
// its text is Kafka's.
func (t *Table) Validate(name, value string) error {
	s, ok := t.byName[name]
	if !ok {
		return &fault{ErrUnknown, fmt.Sprintf("Unknown %s config name: %s", t.kind, name)}
	}
	return s.Validate(value)
}

// Validate returns whether the setting can have that value; the error wraps ErrInvalid.
func (s *Setting) Validate(text string) error {
	v, reason := s.Type.parse(text)
	shown := v.text
	if reason == "" {
		shown, reason = s.Valid.check(v)
	}
	if reason == "" {
		shown, reason = s.refusal(v)
	}
	if reason == "" {
		return nil
	}
	return &fault{ErrInvalid, fmt.Sprintf("Invalid value %s for configuration %s: %s", shown, s.Name, reason)}
}

// refusal says why a possible value cannot be had here.
func (s *Setting) refusal(v value) (shown, reason string) {
	switch {
	case s.Effect == Refused && v.text != s.Default:
		return v.text, s.Why
	case s.Effect == FromFlag:
		return v.text, "it is decided by " + s.Why
	default:
		return "", ""
	}
}

// Nearest returns the name most like word that a slip of the fingers could have meant, or "".
func (t *Table) Nearest(word string) string { return Nearest(word, t.Names()) }

// Nearest returns the candidate most like word, or "" where none is near: at most one edit in
// three letters, or else one that begins with word.
func Nearest(word string, candidates []string) string {
	word = strings.ToLower(word)
	best, least := "", len(word)/3+1
	for _, c := range candidates {
		if d := distance(word, c); d < least {
			best, least = c, d
		}
	}
	if i := slices.IndexFunc(candidates, func(c string) bool { return strings.HasPrefix(c, word) }); best == "" && len(word) > 2 && i >= 0 {
		return candidates[i]
	}
	return best
}

// distance is the number of single-letter edits from a to b.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
