package main

import (
	"bytes"
	"log/slog"
	"math"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strings"
	"testing"
	"time"

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

func TestGarbageIsHalfOfWhatIsScannedAQuarterOfAllAndMoreWhereLittleIsInUse(t *testing.T) {
	const mib = 1 << 20
	for u, want := range map[usage]int{
		{}: garbageHighest, {all: 1 * mib}: garbageHighest, {all: 4 * mib}: 400, {all: 8 * mib, scanned: 8 * mib}: 200, {all: 32 * mib, scanned: 32 * mib}: 50,
		{all: 16 * mib}: 50, {all: 32 * mib}: 25, {all: 64 * mib}: 25, {all: 1 << 40}: 25, {all: 1 << 40, scanned: 1 << 40}: 50, {all: 128 * mib, scanned: 96 * mib}: 37,
	} {
		if got := garbageFor(u); got != want {
			t.Errorf("%d %% garbage with %+v, want %d", got, u, want)
		}
	}
}

func TestThePercentageFollowsWhatIsInUse(t *testing.T) {
	was := debug.SetGCPercent(100)
	t.Cleanup(func() { debug.SetGCPercent(was) })
	boundGarbage(nil)
	if got := percentNow(); got != garbageHighest {
		t.Fatalf("%d %% at the beginning, want %d", got, garbageHighest)
	}
	held := make([]byte, 256<<20)
	for deadline := time.Now().Add(10 * time.Second); percentNow() != garbagePercent; runtime.Gosched() {
		runtime.GC()
		if time.Now().After(deadline) {
			t.Fatalf("still %d %% with 256 MiB in use, want %d", percentNow(), garbagePercent)
		}
	}
	runtime.KeepAlive(held)
}

func percentNow() int {
	s := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	metrics.Read(s)
	return int(s[0].Value.Uint64())
}
