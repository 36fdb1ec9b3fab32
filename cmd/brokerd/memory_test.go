package main

import (
	"bytes"
	"log/slog"
	"math"
	"runtime/debug"
	"strings"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

func TestTheMemoryLimitIsTheCgroupsShareUnlessTheEnvironmentSaysOtherwise(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	unlimited := func() (uint64, error) { return 0, memlimit.ErrNoLimit }
	const before = 123 << 20
	for name, test := range map[string]struct {
		env    []string
		cgroup memlimit.Provider
		want   int64
		says   string
	}{
		"a gibibyte":       {nil, memlimit.Limit(1 << 30), 1 << 30 * 85 / 100, "from=cgroup"},
		"no limit":         {nil, unlimited, before, "no memory limit"},
		"more than can be": {nil, memlimit.Limit(math.MaxUint64), before, "no memory limit"},
		"GOMEMLIMIT":       {[]string{"GOMEMLIMIT=123MiB"}, memlimit.Limit(1 << 30), before, "from=GOMEMLIMIT"},
	} {
		t.Run(name, func(t *testing.T) {
			debug.SetMemoryLimit(before)
			var log bytes.Buffer
			boundMemory(test.env, slog.New(slog.NewTextHandler(&log, nil)), test.cgroup)
			if got := debug.SetMemoryLimit(-1); got/1024 != test.want/1024 {
				t.Errorf("%d bytes, want %d", got, test.want)
			}
			if !strings.Contains(log.String(), test.says) {
				t.Errorf("it logs %s", &log)
			}
		})
	}
}
