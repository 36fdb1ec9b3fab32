package broker

import (
	"runtime/debug"
	"time"

	"quorumlog/log"
	"quorumlog/protocol"
)

// What of the process's file descriptors is for other things than connections and segments: the
// other nodes' streams, the metadata, the admin port.
const sparedDescriptors = 128

// shareDescriptors divides a process's file descriptors, of which there are n, between clients'
// connections and open segments, which take two each. Without a number there is no limit.
func shareDescriptors(n int) (connections, segments int) {
	if n <= 0 {
		return 0, 0
	}
	rest := max(n-sparedDescriptors, 64)
	segments = min(rest/4, log.DefaultOpenSegments)
	return rest - 2*segments, segments
}

// newServer makes the server of clients, which listens later.
func (b *Broker) newServer() {
	connections, _ := shareDescriptors(b.descriptors)
	frames, decoded := requestBudgets(b.settings.Int("queued.max.request.bytes"), debug.SetMemoryLimit(-1))
	b.server = protocol.NewServer(protocol.Config{
		Table: b.apis, Logger: b.log.With("part", "protocol"),
		MaxRequestBytes: int(b.settings.Int("socket.request.max.bytes")),
		IdleTimeout:     time.Duration(b.settings.Int("connections.max.idle.ms")) * time.Millisecond,
		FrameBudget:     frames, DecodeBudget: decoded, Descriptors: connections,
		Answered: b.countErrors,
	})
	b.applyLimits()
}

// requestBudgets is what requests may take as they were received, and decoded, in bytes: as set, else
// what suits the memory limit.
func requestBudgets(queued, limit int64) (frames, decoded int64) {
	frames, decoded = min(32<<20, max(limit/8, 1<<20)), min(256<<20, max(limit/4, 1<<20))
	if queued > 0 {
		frames = queued
	}
	return frames, decoded
}

// applyLimits gives the server the limits that may change while it runs.
func (b *Broker) applyLimits() {
	b.server.SetLimits(protocol.Limits{
		Connections:  int(b.settings.Int("max.connections")),
		PerIP:        int(b.settings.Int("max.connections.per.ip")),
		PerIPOf:      b.settings.PerAddress("max.connections.per.ip.overrides"),
		CreationRate: int(b.settings.Int("max.connection.creation.rate")),
	})
}
