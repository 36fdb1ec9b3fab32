package config

import (
	"iter"
	"maps"
	"slices"
	"strconv"
)

// Link is one place where a value of a setting could come from, for DescribeConfigs' synonyms.
type Link struct {
	Name   string
	Value  string
	Source Source

	setting *Setting
	scale   int64 // from this link's unit to the unit of the setting that is looked up
}

// chain returns every place that has a value for the broker setting s, the one in force first:
// nearer layers before farther ones, and within a layer the setting before those it comes from.
func (l *layers) chain(s *Setting, scale int64) []Link {
	type step struct {
		s     *Setting
		scale int64
	}
	var steps []step
	for s != nil {
		steps = append(steps, step{s, scale})
		var next *Setting
		if len(s.From) > 0 {
			next = Broker.byName[s.From[0].Name]
			scale *= max(s.From[0].Scale, 1)
		}
		s = next
	}
	var chain []Link
	for _, layer := range []struct {
		set    map[string]string
		source Source
	}{{l.broker, DynamicBroker}, {l.cluster, DynamicDefaultBroker}, {l.static, StaticBroker}} {
		for _, st := range steps {
			if text, ok := layer.set[st.s.Name]; ok {
				chain = append(chain, Link{st.s.Name, text, layer.source, st.s, st.scale})
			}
		}
	}
	for _, st := range steps {
		if !st.s.Unset {
			chain = append(chain, Link{st.s.Name, st.s.Default, Default, st.s, st.scale})
		}
	}
	return chain
}

// resolve returns the value in force: the first of the chain that this setting's type can hold.
func (s *Setting) resolve(chain []Link) value {
	for _, link := range chain {
		v, fault := link.setting.Type.parse(link.Value)
		if fault != "" {
			continue
		}
		if link.scale > 1 {
			v.num = scaled(v.num, link.scale)
			v.text = strconv.FormatInt(v.num, 10)
		}
		return v
	}
	return value{}
}

func sortedKeys(m map[string]string) iter.Seq[string] {
	return slices.Values(slices.Sorted(maps.Keys(m)))
}
