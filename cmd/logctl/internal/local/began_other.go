//go:build !linux

package local

import (
	"os/exec"
	"strconv"
	"strings"
)

// beganAt tells when a process began, in the words of ps. It is an error when the process has
// ended, also where its parent was not told yet.
func beganAt(pid int) (string, error) {
	cmd := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid))
	cmd.Env = append(cmd.Environ(), "LC_ALL=C", "TZ=UTC")
	out, err := cmd.Output()
	if err != nil {
		return "", ErrGone
	}
	state, began, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	if began == "" || strings.HasPrefix(state, "Z") {
		return "", ErrGone
	}
	return strings.TrimSpace(began), nil
}
