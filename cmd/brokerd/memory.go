package main

import (
	"runtime/debug"
	"slices"
	"strings"
)

// garbagePercent is how much garbage may lie beside what is in use before it is collected. Much of
// what is in use are requests, which are cheap to collect around and dear to keep: half of Go's
// default saves a third of the memory.
const garbagePercent = 50

// boundGarbage sets that, unless the environment says otherwise (GOGC).
func boundGarbage(env []string) {
	if !slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "GOGC=") }) {
		debug.SetGCPercent(garbagePercent)
	}
}
