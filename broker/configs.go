package broker

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"quorumlog/broker/config"
	"quorumlog/cluster"
)

// configChange decides on the new settings of one resource: next gets what is set now and
// returns what shall be. Everything is validated before anything is written.
func (b *Broker) configChange(ctx context.Context, kind kmsg.ConfigResourceType, name string, dry bool, next func(map[string]string) (map[string]string, error)) error {
	r, err := b.alterable(kind, name)
	if err != nil {
		return err
	}
	_, err = b.change(ctx, dry, func(im *cluster.Image) ([]cluster.Record, error) {
		old := im.Config(r)
		wanted, err := next(maps.Clone(old))
		if err != nil {
			return nil, err
		}
		if err := b.validConfigs(r, old, wanted); err != nil {
			return nil, err
		}
		changes := configDiff(old, wanted)
		if !dry {
			b.reportIdle(tableOf(kind), changes)
		}
		return cluster.SetConfigs(im, r, changes)
	})
	return err
}

// reportIdle tells of settings that are kept and change nothing.
func (b *Broker) reportIdle(t *config.Table, changes []cluster.ConfigChange) {
	for _, c := range changes {
		if s, ok := t.Lookup(c.Name); ok && c.Value != nil && s.Idle(*c.Value) {
			b.log.Warn("a setting has no effect", "setting", c.Name, "value", *c.Value, "reason", s.Why)
		}
	}
}

// alterable names the resource of a request, or refuses one that has no settings to change.
func (b *Broker) alterable(kind kmsg.ConfigResourceType, name string) (cluster.Resource, error) {
	r := cluster.Resource{Type: cluster.ResourceType(kind), Name: name}
	switch kind {
	case kmsg.ConfigResourceTypeTopic:
		if err := cluster.ValidateTopicName(name); err != nil {
			return r, err
		}
		if b.meta.Image().Topic(name) == nil {
			return r, refuse(kerr.UnknownTopicOrPartition, fmt.Sprintf("The topic '%s' does not exist.", name))
		}
	case kmsg.ConfigResourceTypeBroker:
		if name != "" {
			return r, isBrokerID(name) // of any node: the controller decides
		}
	case kmsg.ConfigResourceTypeGroupConfig:
		if name == "" {
			return r, refuse(kerr.InvalidRequest, "Group name must not be empty")
		}
	default:
		return r, refuse(kerr.InvalidRequest, fmt.Sprintf("Resources of type %d cannot be changed here.", int8(kind)))
	}
	return r, nil
}

// validConfigs checks the settings that a change would leave a resource with.
func (b *Broker) validConfigs(r cluster.Resource, old, wanted map[string]string) error {
	var err error
	switch r.Type {
	case cluster.TopicResource:
		err = b.settings.ValidateTopic(wanted)
	case cluster.GroupResource:
		err = b.settings.ValidateGroup(wanted)
	default:
		for _, name := range slices.Sorted(maps.Keys(wanted)) {
			if value, ok := old[name]; ok && value == wanted[name] {
				continue
			}
			if err = config.ValidateDynamic(name, wanted[name]); err != nil {
				break
			}
		}
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, config.ErrReadOnly):
		return refuse(kerr.InvalidRequest, err.Error())
	}
	return refuse(kerr.InvalidConfig, err.Error())
}

// configDiff lists what leads from old to wanted, by name.
func configDiff(old, wanted map[string]string) []cluster.ConfigChange {
	var changes []cluster.ConfigChange
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		value := wanted[name]
		changes = append(changes, cluster.ConfigChange{Name: name, Value: &value})
	}
	for _, name := range slices.Sorted(maps.Keys(old)) {
		if _, kept := wanted[name]; !kept {
			changes = append(changes, cluster.ConfigChange{Name: name})
		}
	}
	return changes
}

// incremental applies the operations of one resource to its settings (KIP-339).
func incremental(table *config.Table, ops []kmsg.IncrementalAlterConfigsRequestResourceConfig, defaultOf func(name string) string) func(map[string]string) (map[string]string, error) {
	return func(now map[string]string) (map[string]string, error) {
		if now == nil {
			now = map[string]string{}
		}
		seen := map[string]bool{}
		for _, op := range ops {
			if seen[op.Name] {
				return nil, refuse(kerr.InvalidRequest, fmt.Sprintf("Error due to duplicate config keys: %s", op.Name))
			}
			seen[op.Name] = true
			if err := applyOp(table, now, op, defaultOf); err != nil {
				return nil, err
			}
		}
		return now, nil
	}
}

func applyOp(table *config.Table, now map[string]string, op kmsg.IncrementalAlterConfigsRequestResourceConfig, defaultOf func(string) string) error {
	if op.Op == kmsg.IncrementalAlterConfigOpDelete {
		delete(now, op.Name)
		return nil
	}
	if op.Value == nil {
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Null value not supported for : %s", op.Name))
	}
	if op.Op == kmsg.IncrementalAlterConfigOpSet {
		now[op.Name] = *op.Value
		return nil
	}
	s, ok := table.Lookup(op.Name)
	if !ok || s.Type != config.List {
		return refuse(kerr.InvalidConfig, fmt.Sprintf("Can't %s to key %s because its type is not LIST.", strings.ToUpper(op.Op.String()), op.Name))
	}
	current, set := now[op.Name]
	if !set {
		current = defaultOf(op.Name)
	}
	list := slices.DeleteFunc(strings.Split(current, ","), func(s string) bool { return s == "" })
	values := strings.Split(*op.Value, ",")
	switch op.Op {
	case kmsg.IncrementalAlterConfigOpAppend:
		for _, v := range values {
			if !slices.Contains(list, v) {
				list = append(list, v)
			}
		}
	case kmsg.IncrementalAlterConfigOpSubtract:
		list = slices.DeleteFunc(list, func(s string) bool { return slices.Contains(values, s) })
	default:
		return refuse(kerr.InvalidRequest, fmt.Sprintf("Unknown operation type %d for %s.", int8(op.Op), op.Name))
	}
	now[op.Name] = strings.Join(list, ",")
	return nil
}
