package main

import (
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// How much garbage may lie beside what is in use before it is collected. Much of what is in use are
// buffers of requests, which cost a collection nothing and are dear to keep: a quarter of them. Of
// what a collection has to look through it may be half, and in any case what makes uncollected, in
// bytes, with what is in use: where that is little, collections would follow one another, each at the
// price of a look at every goroutine's stack.
const (
	garbagePercent   = 25
	garbageOfScanned = 50 // percent
	uncollected      = 24 << 20
	garbageHighest   = 400 // percent: what an empty heap begins with, which makes 16 MiB of it
)

// memoryShare is how much of the memory that a container or a unit may use is Go's: the rest is for
// the kernel's buffers of connections and for what is mapped.
const memoryShare = 0.85

// boundGarbage sets that, unless the environment says otherwise (GOGC).
func boundGarbage(env []string) {
	if isSet(env, "GOGC") {
		return
	}
	debug.SetGCPercent(garbageHighest)
	adjustAfterCollection(garbageHighest)
}

// adjustAfterCollection has the percentage follow what is in use: it is worked out anew after each
// collection, of which it learns as one takes the sentinel.
func adjustAfterCollection(now int) {
	sentinel := new(*byte)
	runtime.AddCleanup(sentinel, func(now int) {
		percent := garbageFor(inUse())
		if percent != now {
			debug.SetGCPercent(percent)
		}
		adjustAfterCollection(percent)
	}, now)
}

// usage is the memory in use as the last collection found it, in bytes, and what of it the collection
// had to look through.
type usage struct{ all, scanned uint64 }

// garbageFor is the percentage of what is in use that may be garbage.
func garbageFor(u usage) int {
	least := max(100*(uncollected-min(u.all, uncollected)), garbageOfScanned*u.scanned) / max(u.all, 1)
	return int(min(max(least, garbagePercent), garbageHighest))
}

func inUse() (u usage) {
	samples := []metrics.Sample{{Name: "/gc/scan/total:bytes"}, {Name: "/gc/heap/live:bytes"}, {Name: "/gc/scan/stack:bytes"}, {Name: "/gc/scan/globals:bytes"}}
	metrics.Read(samples)
	for i, s := range samples {
		switch {
		case s.Value.Kind() != metrics.KindUint64:
		case i == 0:
			u.scanned = s.Value.Uint64()
		default:
			u.all += s.Value.Uint64()
		}
	}
	return u
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
