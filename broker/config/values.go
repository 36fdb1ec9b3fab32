package config

import (
	"fmt"
	"maps"
	"math"
	"sync"
	"sync/atomic"
)

// Values are the broker settings in force: those given at start, and on top of them those that
// were set while the broker ran. Readers take no lock.
type Values struct {
	mu      sync.Mutex // serializes writers
	current atomic.Pointer[layers]
}

// layers are the places where a broker setting can be set, in order of precedence, and the
// parsed values in force. Immutable.
type layers struct {
	broker, cluster, static map[string]string
	parsed                  map[string]value // every setting of the table that has a value
}

// NewValues returns the settings given at start by Kafka's names. The error names the first in
// order of name that is unknown or invalid; see Table.Validate.
func NewValues(static map[string]string) (*Values, error) {
	for name := range sortedKeys(static) {
		if err := Broker.Validate(name, static[name]); err != nil {
			return nil, err
		}
	}
	l := &layers{static: maps.Clone(static)}
	l.parse()
	if err := l.consistent(); err != nil {
		return nil, err
	}
	v := &Values{}
	v.current.Store(l)
	return v, nil
}

// Report sets what a setting that a flag decides is reported as, such as the listeners.
func (v *Values) Report(name, text string) {
	v.replace(func(l *layers) {
		l.static = maps.Clone(l.static)
		if l.static == nil {
			l.static = make(map[string]string)
		}
		l.static[name] = text
	})
}

// SetDynamic replaces what was set while running: for all brokers, and for this one, which goes
// first. Both come from the cluster's metadata, whose deciders asked ValidateDynamic; what this
// version does not know is kept out of force.
func (v *Values) SetDynamic(cluster, broker map[string]string) {
	v.replace(func(l *layers) { l.cluster, l.broker = maps.Clone(cluster), maps.Clone(broker) })
}

func (v *Values) replace(change func(*layers)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	next := *v.current.Load()
	change(&next)
	next.parse()
	v.current.Store(&next)
}

// ValidateDynamic returns whether a broker setting can be set while running. The error wraps
// ErrUnknown, ErrInvalid or ErrReadOnly.
func ValidateDynamic(name, text string) error {
	s, ok := Broker.Lookup(name)
	if ok && (s.Update == ReadOnly || s.Effect == FromFlag) {
		return &fault{ErrReadOnly, fmt.Sprintf("Cannot update these configs dynamically: [%s]", name)}
	}
	return Broker.Validate(name, text)
}

// Int returns the value of a setting of type int, short or long; -1 where it has none. Like every
// getter it panics for a name that is not in the table, which only a slip in the code can be.
func (v *Values) Int(name string) int64 { return v.current.Load().num(name) }

// Bool returns the value of a setting of type boolean.
func (v *Values) Bool(name string) bool { return v.current.Load().value(name).yes }

// Float returns the value of a setting of type double.
func (v *Values) Float(name string) float64 { return v.current.Load().value(name).real }

// String returns the value of a setting as text, "" where it has none.
func (v *Values) String(name string) string { return v.current.Load().value(name).text }

// List returns the value of a setting of type list. The caller must not change it.
func (v *Values) List(name string) []string { return v.current.Load().value(name).list }

func (l *layers) num(name string) int64 {
	v := l.value(name)
	if v.text == "" {
		return -1
	}
	return v.num
}

func (l *layers) value(name string) value {
	v, ok := l.parsed[name]
	if !ok {
		panic("config: no setting is named " + name)
	}
	return v
}

// parse fills parsed from the layers.
func (l *layers) parse() {
	l.parsed = make(map[string]value, len(Broker.sorted))
	for _, s := range Broker.sorted {
		l.parsed[s.Name] = s.resolve(l.chain(s, 1))
	}
}

// consistent checks settings that bound each other.
func (l *layers) consistent() error {
	for _, pair := range [][2]string{
		{"group.min.session.timeout.ms", "group.max.session.timeout.ms"},
		{"group.consumer.min.heartbeat.interval.ms", "group.consumer.max.heartbeat.interval.ms"},
		{"group.consumer.min.session.timeout.ms", "group.consumer.max.session.timeout.ms"},
		{"log.cleaner.min.compaction.lag.ms", "log.cleaner.max.compaction.lag.ms"},
	} {
		low, high := l.num(pair[0]), l.num(pair[1])
		if low > high {
			return &fault{ErrInvalid, fmt.Sprintf("%s (%d) must be less than or equal to %s (%d)", pair[0], low, pair[1], high)}
		}
	}
	return nil
}

// scaled multiplies without overflow; negative values mean no limit in every unit.
func scaled(n, scale int64) int64 {
	if n > 0 && n > math.MaxInt64/scale {
		return math.MaxInt64
	}
	if n < 0 {
		return n
	}
	return n * scale
}
