package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"strings"

	"quorumlog/broker"
	"quorumlog/broker/config"
)

// openBroker starts the broker that the options describe.
func openBroker(ctx context.Context, o *options, values *config.Values, log *slog.Logger) (server, error) {
	reportIdle(o.settings, log)
	voters := make([]broker.Voter, len(o.voters))
	for i, v := range o.voters {
		voters[i] = broker.Voter{ID: v.id, Addr: v.addr}
	}
	b, err := broker.Open(ctx, broker.Config{
		NodeID: o.nodeID, DataDir: o.dataDir,
		Listen: o.listen, Advertise: o.advertise, RaftListen: o.raftListen, AdminListen: o.adminListen,
		Voters: voters, Join: o.join,
		Settings: values, Logger: log, Version: version(), Descriptors: descriptors(log),
	})
	if err != nil {
		return server{}, err
	}
	report(values, o, b.Addr().String())
	return server{addr: b.Addr(), failed: b.Failed(), err: b.Err, close: b.Close}, nil
}

// reportIdle tells of settings that change nothing here, as they stand in a configuration that was
// brought along.
func reportIdle(settings map[string]string, log *slog.Logger) {
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		if s, ok := config.Broker.Lookup(name); ok && s.Idle(settings[name]) {
			log.Warn("a setting has no effect", "setting", name, "value", settings[name], "reason", s.Why)
		}
	}
}

// report lets DescribeConfigs show what flags decided.
func report(values *config.Values, o *options, bound string) {
	id := strconv.Itoa(int(o.nodeID))
	values.Report("node.id", id)
	values.Report("broker.id", id)
	values.Report("log.dirs", o.dataDir)
	values.Report("listeners", "PLAINTEXT://"+bound)
	if o.advertise != "" {
		values.Report("advertised.listeners", "PLAINTEXT://"+o.advertise)
	}
	if len(o.voters) > 0 {
		voters := make([]string, len(o.voters))
		for i, v := range o.voters {
			voters[i] = fmt.Sprintf("%d@%s", v.id, v.addr)
		}
		values.Report("controller.quorum.voters", strings.Join(voters, ","))
	}
}
