package main

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"strings"

	"quorumlog/broker/config"
)

// options are everything that can be said to brokerd, after flags, environment, file and
// defaults were put together.
type options struct {
	configFile  string
	dataDir     string
	nodeID      int32
	listen      string
	advertise   string // "": chosen for each connection
	raftListen  string
	voters      []voter // none: this node alone
	join        []string
	adminListen string // "": off
	settings    map[string]string
	logFormat   string
	logLevel    slog.Level
}

// voter is a first member of the metadata group.
type voter struct {
	id   int32
	addr string
}

func defaults(env environment) *options {
	return &options{
		dataDir:     defaultDataDir(env),
		nodeID:      1,
		listen:      "127.0.0.1:9092",
		raftListen:  "127.0.0.1:9093",
		adminListen: "127.0.0.1:9644",
		settings:    make(map[string]string),
		logFormat:   "text",
	}
}

// defaultDataDir is one place for each user, wherever brokerd is started from.
func defaultDataDir(env environment) string {
	if dir := env["XDG_STATE_HOME"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "quorumlog")
	}
	if home := env["HOME"]; filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "quorumlog")
	}
	return "/var/lib/quorumlog"
}

// option is one flag, which is also a key of the configuration file and an environment variable.
type option struct {
	name string
	arg  string // what its value is called; "" for a flag without one
	doc  string
	set  func(*options, string) error
}

func (o *option) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(o.name, "-", "_"))
}

// table holds every option, in the order in which --help shows them.
var table = []option{
	{"config", "FILE", "YAML file of these flags; a flag or a variable goes before it", text(func(o *options) *string { return &o.configFile })},
	{"data-dir", "DIR", "where everything is kept (default: $XDG_STATE_HOME/quorumlog, else ~/.local/state/quorumlog)", nonEmpty(func(o *options) *string { return &o.dataDir })},
	{"node-id", "N", "this node's number, different from every other's (default 1)", setNodeID},
	{"listen", "HOST:PORT", "where Kafka's protocol is spoken (default 127.0.0.1:9092); port 0 takes a free one", address(func(o *options) *string { return &o.listen })},
	{"advertise", "HOST:PORT", "the address that clients are told (default: the one by which each client came)", reachable(func(o *options) *string { return &o.advertise })},
	{"raft-listen", "HOST:PORT", "where other nodes connect (default 127.0.0.1:9093)", address(func(o *options) *string { return &o.raftListen })},
	{"voters", "N@HOST:PORT,…", "first members of the metadata group, this one among them (default: this node alone)", setVoters},
	{"join", "HOST:PORT,…", "join a running cluster as a new broker, by any of its members' --raft-listen", setJoin},
	{"admin-listen", "HOST:PORT", "where /livez, /readyz and /metrics are served (default 127.0.0.1:9644); empty turns it off", optionalAddress(func(o *options) *string { return &o.adminListen })},
	{"set", "NAME=VALUE", "a broker setting by Kafka's name; may be given many times", setSettings},
	{"log-format", "text|json", "how log lines are written to standard error (default text)", setLogFormat},
	{"log-level", "LEVEL", "debug, info, warn or error (default info)", setLogLevel},
}

func optionNamed(name string) *option {
	for i := range table {
		if table[i].name == name {
			return &table[i]
		}
	}
	return nil
}

func optionNames() []string {
	names := make([]string, 0, len(table)+2)
	for i := range table {
		names = append(names, table[i].name)
	}
	return append(names, "help", "version")
}

type setter = func(*options, string) error

func text(field func(*options) *string) setter {
	return func(o *options, s string) error { *field(o) = s; return nil }
}

func nonEmpty(field func(*options) *string) setter {
	return func(o *options, s string) error {
		if s == "" {
			return fmt.Errorf("it must not be empty")
		}
		*field(o) = s
		return nil
	}
}

// address takes HOST:PORT to listen on; an empty host means every interface.
func address(field func(*options) *string) setter {
	return func(o *options, s string) error {
		if _, _, err := splitAddress(s); err != nil {
			return err
		}
		*field(o) = s
		return nil
	}
}

func optionalAddress(field func(*options) *string) setter {
	return func(o *options, s string) error {
		if s == "" {
			*field(o) = ""
			return nil
		}
		return address(field)(o, s)
	}
}

// reachable takes HOST:PORT that others are to connect to.
func reachable(field func(*options) *string) setter {
	return func(o *options, s string) error {
		if err := checkReachable(s); err != nil {
			return err
		}
		*field(o) = s
		return nil
	}
}

func checkReachable(s string) error {
	host, port, err := splitAddress(s)
	switch {
	case err != nil:
		return err
	case host == "" || port == 0:
		return fmt.Errorf("others cannot connect to it: it needs a host and a port")
	}
	return nil
}

func splitAddress(s string) (host string, port uint64, err error) {
	host, p, err := net.SplitHostPort(s)
	if err != nil {
		return "", 0, fmt.Errorf("it is not of the form HOST:PORT")
	}
	port, err = strconv.ParseUint(p, 10, 16)
	if err != nil {
		return "", 0, fmt.Errorf("its port is not a number from 0 to 65535")
	}
	return host, port, nil
}

func setNodeID(o *options, s string) (err error) {
	o.nodeID, err = parseNodeID(s)
	return err
}

func parseNodeID(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("a node's number is from 0 to 2147483647")
	}
	return int32(n), nil
}

func setVoters(o *options, s string) error {
	o.voters = nil
	for _, part := range fields(s) {
		id, addr, ok := strings.Cut(part, "@")
		if !ok {
			return fmt.Errorf("%q is not of the form N@HOST:PORT", part)
		}
		n, err := parseNodeID(id)
		if err == nil {
			err = checkReachable(addr)
		}
		if err != nil {
			return fmt.Errorf("in %q: %w", part, err)
		}
		for _, v := range o.voters {
			if v.id == n || v.addr == addr {
				return fmt.Errorf("%q names a node twice", part)
			}
		}
		o.voters = append(o.voters, voter{n, addr})
	}
	return nil
}

func setJoin(o *options, s string) error {
	o.join = fields(s)
	for _, addr := range o.join {
		if err := checkReachable(addr); err != nil {
			return fmt.Errorf("in %q: %w", addr, err)
		}
	}
	return nil
}

func fields(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
}

// setSettings takes NAME=VALUE, or several of them separated by commas: a part without a name
// goes on with the value before it, so that a list can be a value.
func setSettings(o *options, s string) error {
	name := ""
	for _, part := range strings.Split(s, ",") {
		n, value, ok := strings.Cut(part, "=")
		switch {
		case ok:
			name = strings.TrimSpace(n)
			if err := o.setSetting(name, strings.TrimSpace(value)); err != nil {
				return err
			}
		case name != "":
			if err := o.setSetting(name, o.settings[name]+","+part); err != nil {
				return err
			}
		case part != "":
			return fmt.Errorf("%q is not of the form NAME=VALUE", part)
		}
	}
	return nil
}

func (o *options) setSetting(name, value string) error {
	if _, ok := config.Broker.Lookup(name); !ok {
		return fmt.Errorf("no setting is named %q%s", name, settingHint(name))
	}
	if err := config.Broker.Validate(name, value); err != nil {
		return err
	}
	o.settings[name] = value
	return nil
}

// settingHint says which name was probably meant: also where a topic's name for it was given.
func settingHint(name string) string {
	if s, ok := config.Topic.Lookup(name); ok && len(s.From) > 0 {
		return fmt.Sprintf("; it is set on topics, and its default for all topics is %q", s.From[0].Name)
	}
	return hint(config.Broker.Nearest(name))
}

func hint(near string) string {
	if near == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", near)
}

func setLogFormat(o *options, s string) error {
	if s != "text" && s != "json" {
		return fmt.Errorf("it must be text or json")
	}
	o.logFormat = s
	return nil
}

func setLogLevel(o *options, s string) error {
	switch strings.ToLower(s) {
	case "debug", "info", "warn", "error":
		return o.logLevel.UnmarshalText([]byte(s))
	}
	return fmt.Errorf("it must be debug, info, warn or error")
}
