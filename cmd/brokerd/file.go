package main

import (
	"fmt"
	"strings"

	"go.yaml.in/yaml/v4"

	"quorumlog/broker/config"
)

// parseFile reads a YAML configuration: the flags' names as keys, lists where a flag takes
// several values, and a map of settings.
func parseFile(name string, data []byte) ([]given, error) {
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if len(doc.Content) == 0 {
		return nil, nil // empty
	}
	root := doc.Content[0]
	if root.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s:%d: it must hold keys and values, such as listen: 127.0.0.1:9092", name, root.Line)
	}
	var all []given
	for i := 0; i < len(root.Content); i += 2 {
		key, value := root.Content[i], root.Content[i+1]
		more, err := parseKey(fmt.Sprintf("%s:%d", name, key.Line), key.Value, value)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	return all, nil
}

// parseKey reads one key of the file; place is for messages.
func parseKey(place, key string, value *yaml.Node) ([]given, error) {
	if key == "settings" {
		return parseSettings(place, value)
	}
	o := optionNamed(key)
	if o == nil || key == "config" {
		return nil, fmt.Errorf("%s: unknown key %q%s", place, key, keyHint(key))
	}
	where := place + ": " + key
	switch value.Kind {
	case yaml.ScalarNode:
		return []given{{o, scalar(value), where}}, nil
	case yaml.SequenceNode:
		parts := make([]string, len(value.Content))
		for i, item := range value.Content {
			if item.Kind != yaml.ScalarNode {
				return nil, fmt.Errorf("%s: its items must be plain values", where)
			}
			parts[i] = scalar(item)
		}
		return []given{{o, strings.Join(parts, ","), where}}, nil
	default:
		return nil, fmt.Errorf("%s: it must be a value or a list", where)
	}
}

func keyHint(key string) string {
	if _, ok := config.Broker.Lookup(key); ok {
		return "; a setting stands under settings:"
	}
	return hint(config.Nearest(key, append(optionNames(), "settings")))
}

func parseSettings(place string, value *yaml.Node) ([]given, error) {
	if value.Kind == yaml.ScalarNode && value.Tag == "!!null" {
		return nil, nil
	}
	if value.Kind != yaml.MappingNode {
		return nil, fmt.Errorf("%s: settings: it must hold names and values, such as num.partitions: 3", place)
	}
	set := optionNamed("set")
	var all []given
	for i := 0; i < len(value.Content); i += 2 {
		name, v := value.Content[i], value.Content[i+1]
		if v.Kind != yaml.ScalarNode {
			return nil, fmt.Errorf("%s: settings: %s: it must be a plain value; names are written whole, with dots", place, name.Value)
		}
		all = append(all, given{set, name.Value + "=" + scalar(v), place + ": settings"})
	}
	return all, nil
}

// scalar is a value as it is written; null is empty.
func scalar(n *yaml.Node) string {
	if n.Tag == "!!null" {
		return ""
	}
	return n.Value
}
