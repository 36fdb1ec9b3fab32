package main

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func mustParse(t *testing.T, env environment, args ...string) *options {
	t.Helper()
	req, err := parseArgs(args)
	if err != nil {
		t.Fatal(err)
	}
	o, err := resolve(req.flags, env)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func configFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "brokerd.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestAFlagGoesBeforeAVariableBeforeTheFileBeforeTheDefault(t *testing.T) {
	file := configFile(t, "listen: 127.0.0.1:1\ndata-dir: /file\nnode-id: 7\nsettings:\n  num.partitions: 1\n  message.max.bytes: 1\n  log.retention.hours: 1\n")
	env := environment{"BROKERD_CONFIG": file, "BROKERD_LISTEN": "127.0.0.1:2", "BROKERD_DATA_DIR": "/env", "BROKERD_SET": "num.partitions=2,message.max.bytes=2"}
	o := mustParse(t, env, "--listen", "127.0.0.1:3", "--set", "num.partitions=3")
	want := &options{
		configFile: file, dataDir: "/env", nodeID: 7, listen: "127.0.0.1:3",
		raftListen: "127.0.0.1:9093", adminListen: "127.0.0.1:9644", logFormat: "text", logLevel: slog.LevelInfo,
		settings: map[string]string{"num.partitions": "3", "message.max.bytes": "2", "log.retention.hours": "1"},
	}
	if !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, want %+v", o, want)
	}
}

func TestEveryFlagIsAlsoAKeyAndAVariable(t *testing.T) {
	example := map[string]string{
		"data-dir": "/d", "node-id": "2", "listen": ":1", "advertise": "kafka.example:9092", "raft-listen": "[::1]:2",
		"voters": "1@a:1,2@b:2", "join": "a:1,b:2", "admin-listen": "", "set": "num.partitions=4", "log-format": "json", "log-level": "debug",
	}
	for i := range table {
		name := table[i].name
		if name == "config" {
			continue
		}
		value, ok := example[name]
		if !ok {
			t.Fatalf("no example of --%s", name)
		}
		// --voters must name the node.
		env := environment{"BROKERD_NODE_ID": "2"}
		byFlag := mustParse(t, env, "--"+name+"="+value)
		if reflect.DeepEqual(byFlag, mustParse(t, env)) && name != "node-id" {
			t.Errorf("--%s changes nothing", name)
		}
		byVariable := mustParse(t, environment{"BROKERD_NODE_ID": "2", table[i].env(): value})
		if !reflect.DeepEqual(byFlag, byVariable) {
			t.Errorf("%s: %+v, by flag %+v", table[i].env(), byVariable, byFlag)
		}
		byFile := mustParse(t, env, "--config", configFile(t, name+": \""+value+"\"\n"))
		byFile.configFile = ""
		if !reflect.DeepEqual(byFlag, byFile) {
			t.Errorf("key %s: %+v, by flag %+v", name, byFile, byFlag)
		}
	}
}

func TestListsMayBeListsInTheFile(t *testing.T) {
	o := mustParse(t, nil, "--config", configFile(t, `
voters:
  - 1@10.0.0.1:9093
  - 2@10.0.0.2:9093
set: [num.partitions=3, "log.cleanup.policy=compact,delete"]
settings:
  auto.create.topics.enable: false
  log.retention.ms: -1
`))
	if want := []voter{{1, "10.0.0.1:9093"}, {2, "10.0.0.2:9093"}}; !reflect.DeepEqual(o.voters, want) {
		t.Errorf("voters %v", o.voters)
	}
	want := map[string]string{"num.partitions": "3", "log.cleanup.policy": "compact,delete", "auto.create.topics.enable": "false", "log.retention.ms": "-1"}
	if !reflect.DeepEqual(o.settings, want) {
		t.Errorf("settings %v, want %v", o.settings, want)
	}
}

func TestAListCanBeASettingsValueAmongOthers(t *testing.T) {
	o := mustParse(t, environment{"BROKERD_SET": "log.cleanup.policy=compact,delete,num.partitions=3"})
	if o.settings["log.cleanup.policy"] != "compact,delete" || o.settings["num.partitions"] != "3" {
		t.Errorf("%v", o.settings)
	}
}

func TestWhatIsWrongIsNamedInOneSentence(t *testing.T) {
	for _, c := range []struct {
		args, env string // separated by blanks
		file      string
		want      string
	}{
		{args: "--lissten :1", want: "unknown flag --lissten (did you mean --listen?)"},
		{args: "--quux 1", want: "unknown flag --quux; see brokerd --help"},
		{args: "--num.partitions 3", want: "unknown flag --num.partitions; a setting is given as --set num.partitions=VALUE"},
		{args: "serve", want: `"serve" is not a flag; see brokerd --help`},
		{args: "--listen", want: "--listen needs a value: --listen HOST:PORT"},
		{args: "--listen 9092", want: `--listen: "9092" cannot be used: it is not of the form HOST:PORT`},
		{args: "--listen :99999", want: `--listen: ":99999" cannot be used: its port is not a number from 0 to 65535`},
		{args: "--advertise :9092", want: `--advertise: ":9092" cannot be used: others cannot connect to it: it needs a host and a port`},
		{args: "--data-dir=", want: `--data-dir: "" cannot be used: it must not be empty`},
		{args: "--node-id -1", want: `--node-id: "-1" cannot be used: a node's number is from 0 to 2147483647`},
		{args: "--voters 1@a:1,1@b:1", want: `--voters: "1@a:1,1@b:1" cannot be used: "1@b:1" names a node twice`},
		{args: "--voters 2@a:1", want: "--voters does not name this node, whose --node-id is 1; a node that is not among the first joins with --join"},
		{args: "--voters 1@a:1 --join b:1", want: "--voters founds a cluster and --join joins one; give one of them"},
		{args: "--set num.partitions", want: `--set: "num.partitions" is not of the form NAME=VALUE`},
		{args: "--set num.partition=3", want: `--set: no setting is named "num.partition" (did you mean "num.partitions"?)`},
		{args: "--set retention.ms=3", want: `--set: no setting is named "retention.ms"; it is set on topics, and its default for all topics is "log.retention.ms"`},
		{args: "--set num.partitions=none", want: "--set: Invalid value none for configuration num.partitions: Not a number of type INT"},
		{args: "--set node.id=3", want: "--set: Invalid value 3 for configuration node.id: it is decided by --node-id"},
		{args: "--set group.min.session.timeout.ms=9 --set group.max.session.timeout.ms=8", want: "group.min.session.timeout.ms (9) must be less than or equal to group.max.session.timeout.ms (8)"},
		{args: "--log-level loud", want: `--log-level: "loud" cannot be used: it must be debug, info, warn or error`},
		{env: "BROKERD_LISTN=:1", want: `unknown variable BROKERD_LISTN (did you mean "BROKERD_LISTEN"?)`},
		{env: "BROKERD_LISTEN=1", want: `BROKERD_LISTEN: "1" cannot be used: it is not of the form HOST:PORT`},
		{file: "lisen: :1", want: `FILE:1: unknown key "lisen" (did you mean "listen"?)`},
		{file: "\nnum.partitions: 3", want: `FILE:2: unknown key "num.partitions"; a setting stands under settings:`},
		{file: "settings: {num.partition: 3}", want: `FILE:1: settings: no setting is named "num.partition" (did you mean "num.partitions"?)`},
		{file: "settings: {log: {retention: 3}}", want: "FILE:1: settings: log: it must be a plain value; names are written whole, with dots"},
		{file: "listen: {host: a}", want: "FILE:1: listen: it must be a value or a list"},
		{file: "- listen", want: "FILE:1: it must hold keys and values, such as listen: 127.0.0.1:9092"},
		{file: "listen: 9092", want: `FILE:1: listen: "9092" cannot be used: it is not of the form HOST:PORT`},
		{args: "--config /nowhere/brokerd.yaml", want: "--config: open /nowhere/brokerd.yaml: no such file or directory"},
	} {
		args, want := strings.Fields(c.args), c.want
		if c.file != "" {
			name := configFile(t, c.file)
			args, want = append(args, "--config", name), strings.ReplaceAll(want, "FILE", name)
		}
		req, err := parseArgs(args)
		if err == nil {
			_, _, err = prepare(req.flags, strings.Fields(c.env))
		}
		if err == nil || err.Error() != want {
			t.Errorf("%s %s %q: %v\nwant %s", c.args, c.env, c.file, err, want)
		}
	}
}

func TestVariablesThatKubernetesSetsForAServiceNamedBrokerdAreNotOurs(t *testing.T) {
	mustParse(t, environment{"BROKERD_SERVICE_HOST": "10.0.0.1", "BROKERD_PORT": "tcp://10.0.0.1:9092", "BROKERD_PORT_9092_TCP": "x"})
}

func TestDataIsKeptInOnePlaceForEachUser(t *testing.T) {
	for want, env := range map[string]environment{
		"/state/quorumlog":               {"XDG_STATE_HOME": "/state", "HOME": "/home/a"},
		"/home/a/.local/state/quorumlog": {"HOME": "/home/a", "XDG_STATE_HOME": "not/absolute"},
		"/var/lib/quorumlog":             {},
	} {
		if got := mustParse(t, env).dataDir; got != want {
			t.Errorf("%v: %s, want %s", env, got, want)
		}
	}
}

func FuzzParseFile(f *testing.F) {
	f.Add("listen: 127.0.0.1:1\nsettings: {num.partitions: 3}")
	f.Add("voters: [1@a:1]\nset: &a [x]\njoin: *a")
	f.Add("? [a]\n: b")
	f.Add("settings:\n- 1")
	f.Fuzz(func(t *testing.T, content string) {
		given, err := parseFile("f", []byte(content))
		if err != nil && strings.TrimSpace(err.Error()) == "" {
			t.Fatal("an error without words")
		}
		o := defaults(nil)
		for _, g := range given {
			if err := g.option.set(o, g.value); err != nil && errors.Unwrap(describe(g, err)) == nil {
				t.Fatal(err)
			}
		}
	})
}
