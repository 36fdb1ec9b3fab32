package config

import "strconv"

// Entry is one setting as DescribeConfigs answers it.
type Entry struct {
	*Setting
	Value    *string // in force; nil where there is none, or it is sensitive
	Source   Source  // of the value in force
	ReadOnly bool
	Chain    []Link // the synonyms: every place that has a value, the one in force first
}

// DescribeTopic returns all settings of a topic that overrides these, in order of name.
func (v *Values) DescribeTopic(overrides map[string]string) []Entry {
	l := v.current.Load()
	return Topic.describe(func(s *Setting) []Link { return l.chainOf(s, overrides, DynamicTopic) })
}

// DescribeGroup returns all settings of a group that overrides these, in order of name.
func (v *Values) DescribeGroup(overrides map[string]string) []Entry {
	l := v.current.Load()
	return Group.describe(func(s *Setting) []Link { return l.chainOf(s, overrides, DynamicGroup) })
}

// DescribeBroker returns all broker settings, in order of name.
func (v *Values) DescribeBroker() []Entry {
	l := v.current.Load()
	entries := Broker.describe(func(s *Setting) []Link { return l.chain(s, 1) })
	for i := range entries {
		e := &entries[i]
		e.ReadOnly = e.Setting.Update == ReadOnly
		// A setting of the broker that is not set itself has no value of its own, though another
		// decides in its place.
		if len(e.Chain) == 0 || e.Chain[0].Name != e.Name {
			e.Value, e.Source = nil, Default
		}
	}
	return entries
}

// DescribeCluster returns what is set for all brokers while they run, in order of name.
func (v *Values) DescribeCluster() []Entry {
	l := v.current.Load()
	var entries []Entry
	for name := range sortedKeys(l.cluster) {
		s, ok := Broker.Lookup(name)
		if !ok {
			continue
		}
		link := Link{name, l.cluster[name], DynamicDefaultBroker, s, 1}
		entries = append(entries, s.entry([]Link{link}))
	}
	return entries
}

func (t *Table) describe(chain func(*Setting) []Link) []Entry {
	entries := make([]Entry, len(t.sorted))
	for i, s := range t.sorted {
		entries[i] = s.entry(chain(s))
	}
	return entries
}

func (s *Setting) entry(chain []Link) Entry {
	e := Entry{Setting: s, Source: Default, Chain: chain}
	if len(chain) == 0 {
		return e
	}
	e.Source = chain[0].Source
	if s.Sensitive {
		return e
	}
	text := chain[0].Value
	if chain[0].scale > 1 {
		text = strconv.FormatInt(s.resolve(chain).num, 10)
	}
	e.Value = &text
	return e
}
