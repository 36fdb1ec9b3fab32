package config

// Setting is one row of a table: a name that can be set, and everything known about it.
type Setting struct {
	Name    string
	Type    Type
	Default string // as written; a setting with Unset has none
	Unset   bool   // null until it is set: another setting or the system decides
	Valid   Valid  // what values are possible beyond the type; the zero value allows all
	Update  Update
	Effect  Effect
	// Why is the reason where Effect is Accepted or Refused, and the flag where it is FromFlag.
	Why string
	Doc string
	// From are the broker settings that decide where this one is not set, nearest first; their own
	// follow. A topic configuration names the broker setting that is its default.
	From []Synonym
	// Own marks a setting that Kafka does not have.
	Own       bool
	Sensitive bool // never shown
}

// Synonym is another setting that decides in a setting's place.
type Synonym struct {
	Name string
	// Scale is how many units of the deciding setting's reader one unit of this is: 60000 from
	// minutes to milliseconds. 0 means 1.
	Scale int64
}

// Type is a setting's type; the values are those of DescribeConfigs (KIP-569).
type Type int8

// The types Kafka names.
const (
	Boolean  Type = 1
	String   Type = 2
	Int      Type = 3
	Short    Type = 4
	Long     Type = 5
	Double   Type = 6
	List     Type = 7
	Class    Type = 8
	Password Type = 9
)

// String returns the type as Kafka's documentation writes it.
func (t Type) String() string {
	names := [...]string{"unknown", "boolean", "string", "int", "short", "long", "double", "list", "class", "password"}
	if t < 0 || int(t) >= len(names) {
		t = 0
	}
	return names[t]
}

// Update says how a broker setting may be changed while the broker runs. Topic and group
// configurations can always be changed.
type Update uint8

// How a setting may change.
const (
	ReadOnly    Update = iota // at start only
	PerBroker                 // for one broker or for all
	ClusterWide               // for all brokers; one broker may differ
)

// String returns the mode in Kafka's words.
func (u Update) String() string {
	return [...]string{"read-only", "per-broker", "cluster-wide"}[u]
}

// Effect is what setting a value does.
type Effect uint8

// What a setting does.
const (
	Honoured Effect = iota // it does what Kafka's does
	Accepted               // kept and reported, without effect: Setting.Why
	Refused                // only the default is accepted: Setting.Why
	FromFlag               // reported only: the command-line flag in Setting.Why decides
)

// String returns the effect as one word.
func (e Effect) String() string {
	return [...]string{"honoured", "accepted", "refused", "flag"}[e]
}

// Idle reports whether a value is kept and reported, and changes nothing.
func (s *Setting) Idle(text string) bool { return s.Effect == Accepted && text != s.Default }

// Source is where a value in force came from; the values are those of DescribeConfigs.
type Source int8

// The sources, and their numbers on the wire.
const (
	DynamicTopic         Source = 1 // set on the topic
	DynamicBroker        Source = 2 // set on this broker while it ran
	DynamicDefaultBroker Source = 3 // set on all brokers while they ran
	StaticBroker         Source = 4 // from a flag, the environment or the configuration file
	Default              Source = 5
	DynamicGroup         Source = 8 // set on the group (KIP-848)
)

// String returns the source's name in Kafka's words.
func (s Source) String() string {
	switch s {
	case DynamicTopic:
		return "DYNAMIC_TOPIC_CONFIG"
	case DynamicBroker:
		return "DYNAMIC_BROKER_CONFIG"
	case DynamicDefaultBroker:
		return "DYNAMIC_DEFAULT_BROKER_CONFIG"
	case StaticBroker:
		return "STATIC_BROKER_CONFIG"
	case Default:
		return "DEFAULT_CONFIG"
	case DynamicGroup:
		return "GROUP_CONFIG"
	default:
		return "UNKNOWN"
	}
}
