package main

import (
	"context"
	"log/slog"

	"quorumlog/broker"
	"quorumlog/broker/config"
)

// openBroker starts the broker that the options describe.
func openBroker(ctx context.Context, o *options, values *config.Values, log *slog.Logger) (server, error) {
	cfg := broker.Config{
		NodeID: o.nodeID, DataDir: o.dataDir,
		Listen: o.listen, Advertise: o.advertise, RaftListen: o.raftListen, AdminListen: o.adminListen,
		Join: o.join, Settings: values, Logger: log, Version: version(),
	}
	for _, v := range o.voters {
		cfg.Voters = append(cfg.Voters, broker.Voter{ID: v.id, Addr: v.addr})
	}
	return broker.Open(ctx, cfg)
}
