//go:build linux || darwin

package main

import (
	"log/slog"
	"math"
	"syscall"
)

// fewDescriptors is from where on a process can do without more.
const fewDescriptors = 4096

// descriptors is how many file descriptors the process may have. Go raises the soft limit to the hard
// one before main; that it did is seen here and not taken for granted.
func descriptors(log *slog.Logger) int {
	var r syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &r); err != nil {
		log.Warn("the limit of file descriptors is not known", "err", err)
		return 0
	}
	if r.Cur < r.Max {
		raised := syscall.Rlimit{Cur: r.Max, Max: r.Max}
		if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &raised) == nil {
			r = raised
		}
	}
	n := int(min(r.Cur, math.MaxInt32))
	if n < fewDescriptors {
		log.Warn("few file descriptors: connections and open segments share them", "limit", n, "remedy", "raise LimitNOFILE of the unit, or ulimit -n")
	} else {
		log.Info("file descriptors", "limit", n)
	}
	return n
}
