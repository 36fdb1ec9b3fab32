package local

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync"
)

// beganAt tells when a process began: the boot, and the clock ticks since. It is an error when
// the process has ended, also where its parent was not told yet.
func beganAt(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	ticks, err := startTicks(b)
	if err != nil {
		return "", err
	}
	return boot() + "+" + ticks, nil
}

// Where fields lie behind the name in parentheses, which may itself hold spaces and parentheses
// (proc(5): they are 3 and 22 of the whole line).
const (
	statState = 0
	statStart = 19
)

func startTicks(stat []byte) (string, error) {
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) <= statStart {
		return "", fmt.Errorf("a process's stat has %d fields behind its name", len(fields))
	}
	switch string(fields[statState]) {
	case "Z", "X", "x":
		return "", ErrGone
	}
	return string(fields[statStart]), nil
}

var boot = sync.OnceValue(func() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
})
