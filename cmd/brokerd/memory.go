package main

import (
	"log/slog"
	"math"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// garbagePercent is how much garbage may lie beside what is in use before it is collected. Much of
// what is in use are requests, which are cheap to collect around and dear to keep: half of Go's
// default saves a third of the memory.
const garbagePercent = 50

// memoryShare is how much of the memory that a container or a unit may use is Go's: the rest is for
// the kernel's buffers of connections and for what is mapped.
const memoryShare = 0.85

// boundGarbage sets that, unless the environment says otherwise (GOGC).
func boundGarbage(env []string) {
	if !isSet(env, "GOGC") {
		debug.SetGCPercent(garbagePercent)
	}
}

// boundMemory makes Go collect harder before the limit of the process's cgroup (version 1 or 2) is
// reached, unless the environment says otherwise (GOMEMLIMIT), and logs what holds.
func boundMemory(env []string, log *slog.Logger, fromCgroup memlimit.Provider) {
	set := isSet(env, "GOMEMLIMIT")
	limit, err := uint64(0), memlimit.ErrNoLimit
	if !set {
		limit, err = fromCgroup()
	}
	switch {
	case set:
		log.Info("memory limit", "bytes", debug.SetMemoryLimit(-1), "from", "GOMEMLIMIT")
	case err != nil || limit > math.MaxInt64:
		log.Info("no memory limit", "cgroup", err)
	default:
		bytes := int64(float64(limit) * memoryShare)
		debug.SetMemoryLimit(bytes)
		log.Info("memory limit", "bytes", bytes, "from", "cgroup", "of", limit)
	}
}

func isSet(env []string, name string) bool {
	return slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, name+"=") })
}
