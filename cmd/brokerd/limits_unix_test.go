//go:build linux || darwin

package main

import (
	"log/slog"
	"math"
	"syscall"
	"testing"
)

func TestTheSoftLimitOfDescriptorsIsRaised(t *testing.T) {
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was) })
	low := was
	low.Cur = was.Max / 2
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &low); err != nil {
		t.Fatal(err)
	}
	if n := descriptors(slog.New(slog.DiscardHandler)); uint64(n) != min(was.Max, math.MaxInt32) {
		t.Errorf("%d of %d", n, was.Max)
	}
}
