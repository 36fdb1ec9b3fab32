package main

import (
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"quorumlog/broker/config"
)

// release is the version, set by the linker; empty in a build by hand.
var release string

// version is the release, else what the module system knows of the build.
func version() string {
	if release != "" {
		return release
	}
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "devel"
	}
	return strings.Trim(info.Main.Version, "()")
}

// page is a text that can be asked for instead of a start.
type page uint8

const (
	pageNone page = iota
	pageHelp
	pageSettings
	pageVersion
)

func (p page) write(w io.Writer) {
	switch p {
	case pageVersion:
		fmt.Fprintf(w, "brokerd %s\n", version())
	case pageSettings:
		writeSettings(w)
	default:
		writeHelp(w)
	}
}

const helpHead = `brokerd is a Kafka-compatible broker: any Kafka client works with it unchanged.

Usage:
  brokerd [flags]

Flags:
`

const helpTail = `      --help [settings]              this text, or every setting for --set with its default
      --version                      the version

Every flag is also a key of the file (data-dir: DIR, with a map settings: for --set) and a variable
(BROKERD_DATA_DIR, BROKERD_SET="name=value,name=value"). A flag goes before a variable, that before the file.

Examples:
  brokerd                                             a broker on 127.0.0.1:9092, data kept in your home directory
  brokerd --data-dir /tmp/q --listen :9092            reachable from other machines
  brokerd --set log.retention.hours=24 --set num.partitions=3
  brokerd --config /etc/brokerd.yaml --log-format json
  brokerd --node-id 1 --raft-listen 10.0.0.1:9093 --listen 10.0.0.1:9092 \
          --voters 1@10.0.0.1:9093,2@10.0.0.2:9093,3@10.0.0.3:9093
                                                      the first of three nodes; start the others likewise
`

func writeHelp(w io.Writer) {
	fmt.Fprint(w, helpHead)
	for i := range table {
		o := &table[i]
		fmt.Fprintf(w, "      %-30s %s\n", "--"+o.name+" "+o.arg, o.doc)
	}
	fmt.Fprint(w, helpTail)
}

func writeSettings(w io.Writer) {
	fmt.Fprintf(w, "Settings for --set NAME=VALUE; docs/configuration.md has those of topics, too.\n\n")
	for s := range config.Broker.All() {
		if s.Effect == config.FromFlag {
			continue
		}
		def := strings.ReplaceAll(s.DefaultText(), "`", "")
		fmt.Fprintf(w, "%s (%s, default %s)\n    %s\n", s.Name, s.Type, def, s.Documentation())
	}
}
