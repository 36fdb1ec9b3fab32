package config

import "fmt"

// GroupConfig is a group's configuration in force (KIP-848), in milliseconds.
type GroupConfig struct {
	HeartbeatIntervalMs int64
	SessionTimeoutMs    int64
}

// Group returns the configuration in force of a group that overrides these.
func (v *Values) Group(overrides map[string]string) GroupConfig {
	l := v.current.Load()
	num := func(name string) int64 {
		s := Group.byName[name]
		return s.resolve(l.chainOf(s, overrides, DynamicGroup)).num
	}
	return GroupConfig{HeartbeatIntervalMs: num("consumer.heartbeat.interval.ms"), SessionTimeoutMs: num("consumer.session.timeout.ms")}
}

// ValidateGroup checks a group's overrides, also against the broker's bounds. The error wraps
// ErrUnknown or ErrInvalid.
func (v *Values) ValidateGroup(overrides map[string]string) error {
	for name := range sortedKeys(overrides) {
		if err := Group.Validate(name, overrides[name]); err != nil {
			return err
		}
	}
	for name, bound := range map[string]string{
		"consumer.heartbeat.interval.ms": "heartbeat.interval.ms",
		"consumer.session.timeout.ms":    "session.timeout.ms",
	} {
		text, ok := overrides[name]
		if !ok {
			continue
		}
		x, _ := Int.parse(text)
		low, high := "group.consumer.min."+bound, "group.consumer.max."+bound
		if x.num < v.Int(low) {
			return &fault{ErrInvalid, fmt.Sprintf("%s must be greater than or equal to %s", name, low)}
		}
		if x.num > v.Int(high) {
			return &fault{ErrInvalid, fmt.Sprintf("%s must be less than or equal to %s", name, high)}
		}
	}
	return nil
}
