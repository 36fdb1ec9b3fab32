package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Markdown returns docs/configuration.md: every setting of every table.
func Markdown() string {
	var b strings.Builder
	b.WriteString(`# Configuration

<!-- Generated from broker/config by "make docs". Edit the tables there. -->

Names, types, units, defaults and error messages are Kafka's. Broker settings are given to
` + "`brokerd --set NAME=VALUE`" + `, in the ` + "`settings:`" + ` of its configuration file, or in ` + "`BROKERD_SET`" + ` (see
[brokerd](brokerd.md)). Those marked cluster-wide, and the configurations of topics and groups, can be changed
while the broker runs, with any Kafka tool.

What a setting does here:

- no mark: it does what Kafka's does;
- **no effect**: it is kept and reported, but changes nothing, for the reason given;
- **fixed**: only the default can be had, because another value would promise what is not done;
- **flag**: a flag of brokerd decides, and the setting only reports it.

`)
	section(&b, "Topic configurations", "Set when a topic is created or later. Where a topic does not set one, the broker setting in the last column decides.", Topic)
	section(&b, "Broker settings", "*Changed* says how a setting can be changed while the broker runs. Settings marked † are not Kafka's.", Broker)
	section(&b, "Group configurations", "Set on a consumer group of the consumer protocol (KIP-848).", Group)
	return b.String()
}

func section(b *strings.Builder, title, intro string, t *Table) {
	last := "Default from"
	if t == Broker {
		last = "Changed"
	}
	fmt.Fprintf(b, "## %s\n\n%s\n\n| Name | Type | Default | Values | What it does | %s |\n| --- | --- | --- | --- | --- | --- |\n", title, intro, last)
	for s := range t.All() {
		fmt.Fprintf(b, "| `%s`%s | %s | %s | %s | %s | %s |\n", s.Name, dagger(s), s.Type, s.DefaultText(), code(s.Valid.Text), s.sentence(), s.lastColumn(t))
	}
	b.WriteString("\n")
}

func dagger(s *Setting) string {
	if s.Own {
		return " †"
	}
	return ""
}

// sentence is the documentation with its mark.
func (s *Setting) sentence() string {
	switch s.Effect {
	case Accepted:
		return s.Doc + " **No effect**: " + strings.TrimSuffix(s.Why, ".") + "."
	case Refused:
		return s.Doc + " **Fixed**: " + strings.TrimSuffix(s.Why, ".") + "."
	case FromFlag:
		return s.Doc + " **Flag**: " + s.Why + "."
	default:
		return s.Doc
	}
}

// Documentation is the text for DescribeConfigs: the documentation and what is different here.
func (s *Setting) Documentation() string {
	return strings.NewReplacer("**", "", "`", "'").Replace(s.sentence())
}

func (s *Setting) lastColumn(t *Table) string {
	if t == Broker {
		return s.Update.String()
	}
	if len(s.From) == 0 {
		return ""
	}
	return code(s.From[0].Name)
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// DefaultText is the default for people: with its unit spelled out where the number is large.
func (s *Setting) DefaultText() string {
	switch {
	case s.Unset && len(s.From) > 0:
		return "from " + code(s.From[0].Name)
	case s.Unset:
		return "none"
	case s.Default == "":
		return "empty"
	case s.Default == strconv.FormatInt(math.MaxInt64, 10), s.Default == strconv.Itoa(math.MaxInt32), strings.Contains(s.Default, "E308"):
		return "no limit"
	}
	if words := inUnits(s.Name, s.Default); words != "" {
		return code(s.Default) + " (" + words + ")"
	}
	return code(s.Default)
}

// unit is how many of a smaller unit make one of a larger.
type unit struct {
	size int64
	name string
}

var (
	timeUnits = []unit{{24 * hour, "d"}, {hour, "h"}, {minute, "min"}, {1000, "s"}}
	byteUnits = []unit{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}}
)

// inUnits returns a value of milliseconds or bytes in the largest unit that divides it, else "".
func inUnits(name, text string) string {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return ""
	}
	units := byteUnits
	switch {
	case strings.HasSuffix(name, ".ms"):
		units = timeUnits
	case !strings.HasSuffix(name, ".bytes") && !strings.HasSuffix(name, ".size"):
		return ""
	}
	for _, u := range units {
		if n%u.size == 0 {
			return fmt.Sprintf("%d %s", n/u.size, u.name)
		}
	}
	return ""
}
